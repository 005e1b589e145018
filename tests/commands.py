"""Commands of the projector as a shell runs them: real processes, with what they print and how they end."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple


class Ended(NamedTuple):
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """What it printed as one line of JSON, and nothing else."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def projector(*arguments: str, stdin: str = "", **settings: str) -> Ended:
    """Run a command; `settings` without the prefix. Nothing of our own environment's settings reaches it."""
    done = subprocess.run(
        [sys.executable, "-m", "projector", *arguments],
        input=stdin,
        env=environment(settings),
        capture_output=True,
        text=True,
        timeout=60,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
    return inherited | {f"PROJECTOR_{name.upper()}": value for name, value in settings.items()}
