"""Commands of the checks: their output is shown only where they fail."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
CONSTRAINTS = ROOT / "constraints.txt"
_SHOWN_CHARACTERS = 3_000


class CheckFailed(Exception):
    """What is wrong, and what to do."""


def run(command: Sequence[str | Path], folder: Path = ROOT, variables: Mapping[str, str] | None = None) -> str:
    """Run a command without the variables of this Python; returns its output. Raises CheckFailed with its errors."""
    own = ("PYTHON", "COVERAGE", "PROJECTOR_", "VIRTUAL_ENV")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    environment |= variables or {}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        words = " ".join(map(str, command))
        raise CheckFailed(
            f"`{words}` ended with {done.returncode}:\n{(done.stdout + done.stderr)[-_SHOWN_CHARACTERS:]}"
        )
    return done.stdout


def environment(python: str | Path, folder: Path, *packages: str | Path, constraints: Path = CONSTRAINTS) -> Path:
    """Create a virtual environment with these packages; returns the folder of its programs."""
    run([python, "-m", "venv", folder])
    pinned = {"PIP_CONSTRAINT": str(constraints), "PIP_BUILD_CONSTRAINT": str(constraints)}
    pip: list[str | Path] = [folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check"]
    run([*pip, "install", "--quiet", *packages], variables=pinned)
    return folder / "bin"


def checkout(commit: str, folder: Path) -> Path:
    """The files of a commit, in a new folder. Raises CheckFailed in a clone without it."""
    folder.mkdir(parents=True)
    run(["git", "archive", "--format=tar", f"--output={folder}.tar", commit])
    run(["tar", "-x", "-f", f"{folder}.tar", "-C", folder])
    return folder


PYTHON = sys.executable
