"""`projector dashboard` as a process, and a client that asks it as a browser does."""

import http.client
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from benchmarks.environment import Environment
from benchmarks.projecting import Command

TOKEN = "token-of-the-benchmark-only"
_TIMEOUT_SECONDS = 60.0


class Answer(NamedTuple):
    """`seconds`: from the request until the whole body is read."""

    status: int
    body: bytes
    seconds: float


class Client:
    """One connection, which stays open between requests."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_TIMEOUT_SECONDS)

    def get(self, path: str) -> Answer:
        """Ask for a page, or for JSON where the path names no page. Raises OSError."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "text/html, application/json"}
        began_at = time.perf_counter()
        self._connection.request("GET", path, headers=headers)
        response = self._connection.getresponse()
        body = response.read()
        return Answer(response.status, body, time.perf_counter() - began_at)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Dashboard(NamedTuple):
    """A dashboard that runs, and its address."""

    command: Command
    address: str

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client for the length of the block."""
        with closing(Client(self.address)) as client:
            yield client


@contextmanager
def dashboard(environment: Environment, url: str, group: str | None = None) -> Iterator[Dashboard]:
    """Run `projector dashboard` for the length of the block, on any free port."""
    settings = {"PROJECTOR_DASHBOARD_TOKENS": TOKEN, "PROJECTOR_DASHBOARD_ADDRESS": "127.0.0.1:0"}
    with tempfile.TemporaryDirectory(prefix="bench-log-") as folder:
        command = Command(["dashboard"], environment, url, Path(folder) / "log", group, settings)
        try:
            command.wait_for_log("dashboard started")
            [(_, fields)] = command.logged("dashboard started")
            yield Dashboard(command, fields["address"])
        finally:
            command.process.terminate()
            command.process.wait()
