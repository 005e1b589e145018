"""Runs the projector as processes, and returns their output and exit codes."""

import atexit
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import IO, Any, NamedTuple

from forkserver import ForkedProcess, ForkServer

TIMEOUT_SECONDS = 60

Process = subprocess.Popen[bytes] | ForkedProcess


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        """Parse the output, which must be exactly one line of JSON."""
        (line,) = self.out.splitlines()
        return json.loads(line)


def run_projector(*arguments: str, stdin: str = "", **settings: str) -> CommandResult:
    """Run a command with these settings (without their prefix) and no others of the environment."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin.encode())
        given.seek(0)
        process = start(arguments, environment(settings), stdin=given, stdout=out, stderr=err)
        try:
            code = process.wait(TIMEOUT_SECONDS)
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        return CommandResult(code, _text(out), _text(err))


def _text(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def start(
    arguments: Sequence[str],
    environment: Mapping[str, str],
    *,
    stdin: IO[bytes] | None = None,
    stdout: IO[bytes] | None = None,
    stderr: IO[bytes] | None = None,
) -> Process:
    """Start the projector. A stream that is None is inherited; standard input is empty then.

    The fork server saves the time of the imports. If the test changes where Python finds modules, the process is a new
    interpreter instead.
    """
    if environment.get("PYTHONPATH") == _PYTHONPATH:
        return _fork_server().start(arguments, environment, stdin=stdin, stdout=stdout, stderr=stderr)
    command = [sys.executable, "-m", "projector", *arguments]
    return subprocess.Popen(
        command, env=dict(environment), stdin=stdin or subprocess.DEVNULL, stdout=stdout, stderr=stderr
    )


def environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a command with these settings only.

    A terminal has its own size, so the one that pytest-xdist sets is left out.
    """
    others = {name for name in os.environ if name.startswith("PROJECTOR_")} | {"COLUMNS", "LINES"}
    inherited = {name: value for name, value in os.environ.items() if name not in others}
    return inherited | {f"PROJECTOR_{name.upper()}": value for name, value in settings.items()}


_PYTHONPATH = os.environ.get("PYTHONPATH")


@cache
def _fork_server() -> ForkServer:
    folder = tempfile.TemporaryDirectory(prefix="forkserver-")
    server = ForkServer(Path(folder.name))
    atexit.register(folder.cleanup)
    atexit.register(server.close)
    return server


def all_of(terminal: int) -> str:
    """The output to a terminal, until no process has its other end open."""
    shown = b""
    try:
        while chunk := os.read(terminal, 4096):
            shown += chunk
    except OSError:  # Linux raises it at the end
        pass
    os.close(terminal)
    return shown.decode(errors="replace")
