"""Runs commands of the projector as processes, and returns their output and exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, NamedTuple


class Ended(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Parse the output, which must be exactly one line of JSON."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def projector(*arguments: str, stdin: str = "", **settings: str) -> Ended:
    """Run a command with these settings (without their prefix) and no others of the environment."""
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
    """Return the environment of a command with these settings only."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
    return inherited | {f"PROJECTOR_{name.upper()}": value for name, value in settings.items()}
