"""`projector dashboard` as a process, and a client that asks it as a browser does."""

import http.client
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urlsplit

from benchmarks.environment import Environment
from benchmarks.measurement import Failed
from benchmarks.projecting import Command

TOKEN = "token-of-the-benchmark-only"
_TIMEOUT_SECONDS = 60.0


class Answer(NamedTuple):
    """`seconds`: from the request until the whole body is read."""

    status: int
    body: bytes
    seconds: float

    @property
    def text(self) -> str:
        """The beginning of the page, without its tags and its header."""
        content = re.sub(rb".*<main[^>]*>", b"", self.body, flags=re.DOTALL)
        return " ".join(re.sub(rb"<[^>]*>", b" ", content).decode(errors="replace").split())[:300]


class Client:
    """One connection, which stays open between requests."""

    def __init__(self, address: str) -> None:
        parts = urlsplit(address)
        self._connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=_TIMEOUT_SECONDS)
        self._headers = {"Accept": "text/html, application/json"}

    def log_in(self) -> None:
        """Show the token in the form, and keep the cookie. Raises Failed."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        self._connection.request("POST", "/login", urlencode({"token": TOKEN}), headers)
        response = self._connection.getresponse()
        response.read()
        cookie = response.headers.get("Set-Cookie", "")
        if response.status != 303 or not cookie:
            raise Failed(f"the login failed: status {response.status}")
        self._headers["Cookie"] = cookie.partition(";")[0]

    def get(self, path: str) -> Answer:
        """Ask for a page, or for JSON where the path names no page. Raises OSError."""
        began_at = time.perf_counter()
        try:
            response = self._asked(path)
        except ConnectionError:  # closed while it was idle: a browser opens another one
            self._connection.close()
            response = self._asked(path)
        body = response.read()
        return Answer(response.status, body, time.perf_counter() - began_at)

    def _asked(self, path: str) -> http.client.HTTPResponse:
        self._connection.request("GET", path, headers=self._headers)
        return self._connection.getresponse()

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Dashboard(NamedTuple):
    """A dashboard that runs, and its address."""

    command: Command
    address: str

    def last_error(self) -> str:
        """The exception of the last request that failed, from the log; empty if there is none."""
        failed = [fields for _, fields in self.command.logged("a request failed")]
        return str(failed[-1].get("exception", failed[-1]))[-1_000:] if failed else ""

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client that is logged in, for the length of the block."""
        with closing(Client(self.address)) as client:
            client.log_in()
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
            command.process.kill()  # it holds nothing, and may wait for a server that is frozen
            command.process.wait()
