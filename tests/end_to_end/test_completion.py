"""Completion in bash, zsh and fish: as `projector completion --help` installs it: what the tab key does."""

import fcntl
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from projector.cli.examples import EXAMPLES
from projector.cli.setup_commands import COMPLETION

SECONDS = 60
SHELLS = {"bash": ["--norc", "--noprofile"], "zsh": ["-f"]}
LINES = [
    ("projector stat", "projector status"),
    ("projector dead-letters dis", "projector dead-letters discard"),
    ("projector status --js", "projector status --json"),
    ("projector --topic x stat", "projector --topic x status"),
    ("projector push list --state ex", "projector push list --state expired"),
    ("projector completion z", "projector completion zsh"),
    ("projector replay inc", "projector replay incident.jsonl"),
    ("projector init --into fold", "projector init --into folder"),
]
"""What is typed before the tab key, and what it makes of it: commands, options, values of options, files, folders."""
END = " /"
"""What some shells add to a word that is complete."""


def program(shell: str) -> str:
    found = shutil.which(shell)
    assert found, f"the program {shell} is missing: install the package {shell}"
    return found


def installation(shell: str) -> str:
    """What the help says to type, or to write into the file of the shell."""
    (line,) = [line for line in EXAMPLES["completion"] if f"completion {shell}" in line]
    before = re.findall("Zsh needs `(.*)` before it", COMPLETION.help or "") if shell == "zsh" else []
    return "; ".join([*before, line.partition("  #")[0]])


def variables(home: Path) -> dict[str, str]:
    return {"HOME": str(home), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "TERM": "dumb"}


def create_files(folder: Path) -> None:
    (folder / "incident.jsonl").touch()
    (folder / "folder").mkdir()


class Terminal:
    """A terminal in which a shell runs."""

    def __init__(self, side: int) -> None:
        self._side = side

    def after(self, typed: str, expected: str) -> re.Match[str]:
        """Type this, and wait for a pattern in what the shell prints."""
        os.write(self._side, typed.encode())
        printed, until = "", time.monotonic() + SECONDS
        while not (found := re.search(expected, printed)):
            assert time.monotonic() < until, f"{typed!r} printed {printed!r}, and not {expected}"
            if select.select([self._side], [], [], 1)[0]:
                printed += os.read(self._side, 65536).decode()
        return found


@contextmanager
def terminal(shell: str, folder: Path) -> Iterator[Terminal]:
    ours, theirs = pty.openpty()
    command = [program(shell), *SHELLS[shell], "-i"]
    with subprocess.Popen(
        command,
        cwd=folder,
        env=variables(folder),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0) and None,  # so the tab key is read as typed
    ) as running:
        os.close(theirs)
        try:
            yield Terminal(ours)
        finally:
            os.close(ours)
            running.kill()


@pytest.mark.parametrize("shell", SHELLS)
def test_tab_key_completes_the_line(shell: str, tmp_path: Path) -> None:
    create_files(tmp_path)
    with terminal(shell, tmp_path) as shown:
        shown.after(f"{installation(shell)}; echo installed=$?\n", r"\ninstalled=0")
        for typed, completed in LINES:
            # Ctrl-A and Ctrl-E go to the ends of the line, which is printed and not run.
            line = shown.after(f"{typed}\t\x01echo '<\x05>'\n", r"[\r\n]<(.*)>")[1]
            assert line.rstrip(END) == completed


def test_fish_offers_what_completes_the_line(tmp_path: Path) -> None:
    create_files(tmp_path)
    typed = "; ".join(f"complete -C '{typed}'" for typed, _ in LINES)
    done = subprocess.run(
        [program("fish"), "--no-config", "-c", f"{installation('fish')}; {typed}"],
        cwd=tmp_path,
        env=variables(tmp_path),
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert (done.returncode, done.stderr) == (0, "")
    offered = [line.partition("\t")[0].rstrip(END) for line in done.stdout.splitlines()]
    assert offered == [completed.split()[-1] for _, completed in LINES]
