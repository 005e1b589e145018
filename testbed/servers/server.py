"""What every server has in common, be it a local process, a container or external: start, stop, pause."""

import os
import random
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol


class ServerUnavailable(Exception):
    """A real Postgres or Kafka cannot be started or used; the message lists what was tried and what to install."""


class Server(Protocol):
    """One server: started by the test bed, or external and known by its address only."""

    stop_command: str  # a shell command for a person who kept the server; a comment where there is nothing to stop

    def start(self) -> None:
        """Start it, or start it again on the same port with the same data."""

    def stop(self, how: signal.Signals) -> None:
        """Send this signal and wait until the server has ended; its data stays."""

    def pause(self) -> None:
        """Freeze it: connections stay open, nothing answers."""

    def resume(self) -> None:
        """Continue after `pause`."""

    def end(self) -> None:
        """Stop it permanently, as fast as possible."""

    def is_up(self) -> bool:
        """Whether it runs; it may not answer yet."""

    def log(self) -> str:
        """The last lines of its log."""


class ExternalServer:
    """A server whose address came from the environment: the test bed uses it and never stops it."""

    def __init__(self, variable: str) -> None:
        self.stop_command = f"# nothing to stop: the test bed did not start the server of {variable}"
        self._refusal = (
            f"The server of {variable} is external and must not be stopped or paused: "
            "start another one with own=True (needs a Docker engine or local processes)."
        )

    def start(self) -> None:
        raise ServerUnavailable(self._refusal)

    def stop(self, how: signal.Signals) -> None:
        raise ServerUnavailable(self._refusal)

    def pause(self) -> None:
        raise ServerUnavailable(self._refusal)

    def resume(self) -> None:
        raise ServerUnavailable(self._refusal)

    def end(self) -> None:
        """Do nothing: the server belongs to the person who started it."""

    def is_up(self) -> bool:
        return True

    def log(self) -> str:
        return "(the log of an external server is not available)"


class CleanupProcess:
    """A small process that runs a command once this process has ended, even by SIGKILL.

    It waits for the end of a pipe that only this process holds open. PR_SET_PDEATHSIG would not do: it fires when the
    starting *thread* ends, it does not reach containers, and macOS does not have it.
    """

    def __init__(self, command: list[str]) -> None:
        # A session of its own, so that Ctrl-C at the terminal does not reach it.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def cancel(self) -> None:
        """End it without running the command: the server has ended already."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin:
            self._process.stdin.close()


def postgres_version() -> int | None:
    """The major version that TESTBED_POSTGRES_VERSION chooses, or None."""
    chosen = os.environ.get("TESTBED_POSTGRES_VERSION", "")
    if chosen and not chosen.isdecimal():
        raise ServerUnavailable(f"TESTBED_POSTGRES_VERSION={chosen}: expected a major version such as 17")
    return int(chosen) if chosen else None


def free_port() -> int:
    """Return a port on which nothing listens and which no outgoing connection takes while its server restarts.

    It is below the range of ephemeral ports. A client that retries a local port inside that range can be given the
    same port for its own end. It is then connected to itself, and the server cannot listen there again.
    """
    while True:
        port = random.randint(15000, 31999)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_until_ready(probe: Callable[[], object], server: Server, name: str, seconds: float) -> None:
    """Block until `probe` raises nothing.

    Raises ServerUnavailable with the end of the log if the server ends or does not answer in time.
    """
    deadline = time.monotonic() + seconds
    while True:
        up = server.is_up()
        try:
            probe()
        except Exception as error:  # while the server starts, any error of the probe is expected
            if up and time.monotonic() < deadline:
                time.sleep(0.02)
                continue
            outcome = f"did not answer within {seconds:.0f} s" if up else "ended"
            raise ServerUnavailable(f"{name} {outcome} ({error}). The end of its log:\n{server.log()}") from error
        return


def tail(log: Path, lines: int = 25) -> str:
    """Return the last lines of a log file."""
    if not log.exists():
        return "(no log)"
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])


def run_tool(command: list[str], name: str, *, cwd: Path) -> None:
    """Run a command to its end; raises ServerUnavailable with its output if it fails."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=cwd)
    if done.returncode != 0:
        output = (done.stdout + done.stderr)[-2000:]
        raise ServerUnavailable(f"{name} failed with exit code {done.returncode}:\n{output}")
