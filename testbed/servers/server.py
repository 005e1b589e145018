"""What every part is, be it a process, a container or somebody else's server: it starts, stops and freezes."""

import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class NoServers(Exception):
    """No real Postgres or Kafka is to be had; the message says what was looked for and what to install."""


class Server(Protocol):
    """One server that we started, or one that is merely known by its address."""

    how_to_end: str  # the command that ends it, for a person who kept it

    def start(self) -> None:
        """Start it, or start it again on the same port with the data it had."""

    def stop(self, how: signal.Signals) -> None:
        """Stop it with this signal and wait until it is gone; its data stays."""

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""

    def resume(self) -> None:
        """Let it go on as if nothing had happened."""

    def end(self) -> None:
        """Stop it for good, as fast as can be."""

    def is_up(self) -> bool:
        """Whether there is any hope that it will answer."""

    def log(self) -> str:
        """The last lines that it said."""


class Elsewhere:
    """A server whose address came from the environment: it is used, never touched."""

    def __init__(self, variable: str) -> None:
        self.how_to_end = f"nothing: {variable} named it, and it is not ours"
        self._refusal = (
            f"This server was named by {variable} and may not be stopped or frozen: "
            "ask for one of your own with own=True (a Docker engine or local processes)."
        )

    def start(self) -> None:
        raise NoServers(self._refusal)

    def stop(self, how: signal.Signals) -> None:
        raise NoServers(self._refusal)

    def pause(self) -> None:
        raise NoServers(self._refusal)

    def resume(self) -> None:
        raise NoServers(self._refusal)

    def end(self) -> None:
        """Nothing: who started it ends it."""

    def is_up(self) -> bool:
        return True

    def log(self) -> str:
        return "(its log is elsewhere)"


class Leash:
    """Ends a server when its starter is gone, however that went: a tiny process waits for the end of our pipe.

    Not PR_SET_PDEATHSIG: that one bites when the starting *thread* ends, containers do not know it, nor does macOS.
    """

    def __init__(self, command: list[str]) -> None:
        # A session of its own, so that a Ctrl-C at the terminal does not reach it.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def release(self) -> None:
        """The server has ended by itself: there is nothing left to end."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def free_port() -> int:
    """A port on which nothing listens, and onto which no outgoing connection stumbles while its server restarts.

    Hence below the range of ephemeral ports: a client that keeps knocking at a dead local port inside that range ends
    up connected to itself, and then the server cannot have its port back.
    """
    while True:
        port = random.randint(15000, 31999)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until(answers: Callable[[], object], server: Server, name: str, seconds: float) -> None:
    """Block until the server answers; if it dies or takes too long, say so with the tail of its log."""
    deadline = time.monotonic() + seconds
    while True:
        up = server.is_up()
        try:
            answers()
        except Exception as error:  # any reason why it does not answer yet is a reason to ask again
            if up and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            verdict = f"did not answer within {seconds:.0f} s" if up else "ended"
            raise NoServers(f"{name} {verdict} ({error}). The end of its log:\n{server.log()}") from error
        return


def tail(log: Path, lines: int = 25) -> str:
    """The last lines of a log file."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
