"""Processes of the projector without the time that Python needs to import it.

One server process per test run imports the projector once. It forks a child per command. A child is a real process:
own memory, own environment, own standard streams, and every signal reaches it. A few tests start a fresh interpreter
instead (`python -m projector`), to prove that this works too.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

_MESSAGE_BYTES = 1 << 20
_STATUS_BYTES = 16
_STREAMS = 3


class ForkServer:
    """The server as its starter sees it. It ends with its starter."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "forkserver"
        command = [sys.executable, __file__, str(self._path)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE)
        while not self._path.exists():
            if self._process.poll() is not None:
                raise RuntimeError("the fork server did not start")
            time.sleep(0.01)

    def start(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | None = None,
        stderr: IO[bytes] | None = None,
    ) -> "ForkedProcess":
        """Run `projector` with these arguments. A stream that is None is inherited; standard input is empty then."""
        with open(os.devnull, "rb") as nothing:
            streams = (stdin or nothing, stdout, stderr)
            fds = [stream.fileno() if stream else number for number, stream in enumerate(streams)]
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            connection.connect(str(self._path))
            message = {"arguments": list(arguments), "environment": dict(environment), "folder": os.getcwd()}
            socket.send_fds(connection, [json.dumps(message).encode()], fds)
        return ForkedProcess(arguments, connection)

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


class ForkedProcess:
    """A child, with the methods of `subprocess.Popen` that the tests use."""

    def __init__(self, arguments: Sequence[str], connection: socket.socket) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self._connection = connection
        self.pid = int(connection.recv(_STATUS_BYTES))

    def poll(self) -> int | None:
        """The exit code, or None while it runs. A negative one is the signal that ended it."""
        return self._status(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end. Raises subprocess.TimeoutExpired."""
        code = self._status(timeout)
        if code is None:
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None and select.select([self._connection], [], [], timeout)[0]:
            self.returncode = int(self._connection.recv(_STATUS_BYTES))
            self._connection.close()
        return self.returncode


# --- the server's side


def _serve(path: str) -> list[str]:
    """Fork a child per request, until standard input ends. Returns only in a child: its arguments."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    listener.bind(f"{path}.new")
    listener.listen(64)
    os.rename(f"{path}.new", path)  # the starter connects as soon as it finds the path, so it must listen already
    wake_up, woken = socket.socketpair()
    woken.setblocking(False)
    wake_up.setblocking(False)
    signal.set_wakeup_fd(wake_up.fileno())
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    children: dict[int, socket.socket] = {}
    while True:
        ready, _, _ = select.select([listener, woken, sys.stdin], [], [])
        if sys.stdin in ready:
            _exit()
        if woken in ready:
            woken.recv(4096)
            _report_ended(children)
        if listener in ready:
            connection, _ = listener.accept()
            content, fds, _, _ = socket.recv_fds(connection, _MESSAGE_BYTES, _STREAMS)
            if (pid := os.fork()) == 0:
                signal.set_wakeup_fd(-1)
                for each in (listener, wake_up, woken, connection, *children.values()):
                    each.close()
                return _become(json.loads(content), fds)
            for fd in fds:
                os.close(fd)
            children[pid] = connection
            connection.send(str(pid).encode())


def _report_ended(children: dict[int, socket.socket]) -> None:
    while children:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid == 0:
            return
        connection = children.pop(pid)
        with connection, suppress(BrokenPipeError):  # the starter may no longer ask
            connection.send(str(os.waitstatus_to_exitcode(status)).encode())


def _become(message: Any, fds: list[int]) -> list[str]:
    """Take over the request's streams, environment and folder, and forget the server's signal handlers."""
    for number, fd in enumerate(fds):
        os.dup2(fd, number)
        os.close(fd)
    os.environ.clear()
    os.environ.update(message["environment"])
    os.chdir(message["folder"])
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.stdin = os.fdopen(0, closefd=False)
    return list(message["arguments"])


def _exit() -> NoReturn:
    os._exit(0)


if __name__ == "__main__":
    import gc
    import importlib
    import pkgutil

    import projector
    from projector.cli.main import main

    for module in pkgutil.walk_packages(projector.__path__, "projector."):
        if module.name != "projector.__main__":
            importlib.import_module(module.name)
    gc.freeze()  # what is frozen is not collected when a child ends, which would take longer than most commands
    sys.argv = ["projector", *_serve(sys.argv[1])]
    sys.exit(main(sys.argv[1:]))
