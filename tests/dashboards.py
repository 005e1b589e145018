"""The dashboard of a test: in this process, on real servers, asked by a client that has a token."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import psycopg
from psycopg import sql
from rows import CALLEE, CALLER
from starlette.testclient import TestClient

from projector.settings import load
from projector.web.app import build
from projector.web.guard import LOOPBACK_COOKIE
from projector.web.reader import Reader
from projector.web.sessions import new_session

TOKEN = "a-token-of-the-operators"
NOBODY = "127.0.0.1:1"
"""An address where no Kafka is."""
HTML = {"accept": "text/html"}


class Site(NamedTuple):
    """The dashboard, and its sources."""

    client: TestClient
    reader: Reader

    def json(self, path: str, code: int = 200) -> Any:
        """The JSON of a path; the answer must have this status."""
        done = self.client.get(path)
        assert done.status_code == code, done.text
        return done.json()

    def page(self, path: str, code: int = 200) -> str:
        """The page of a path as a browser gets it."""
        done = self.client.get(path, headers=HTML)
        assert done.status_code == code, done.text
        assert done.headers["content-type"] == "text/html; charset=utf-8"
        return done.text


@contextmanager
def dashboard(database_url: str, bootstrap_servers: str = NOBODY, **settings: str) -> Iterator[Site]:
    """A running dashboard with these settings."""
    flags = {"dashboard_tokens": TOKEN} | settings
    reader = Reader(load(flags | {"database_url": database_url, "bootstrap_servers": bootstrap_servers}, {}))
    headers = {"authorization": f"Bearer {TOKEN}"}
    with TestClient(build(reader), "http://127.0.0.1", headers=headers, follow_redirects=False) as client:
        yield Site(client, reader)


def browser(site: Site) -> TestClient:
    """A client of the same dashboard with the cookie of a session, and without a token."""
    client = TestClient(site.client.app, "http://127.0.0.1", follow_redirects=False)
    client.cookies.set(LOOPBACK_COOKIE, new_session(TOKEN))
    return client


def ago(seconds: float) -> datetime:
    return datetime.now(UTC) - timedelta(seconds=seconds)


def insert(url: str, *rows: dict[str, Any]) -> None:
    """Insert rows of the view. What a row leaves out has a plain value."""
    usual = {"caller_id": CALLER, "callee_id": CALLEE, "task_preview": "count to three", "status": "queued"}
    with psycopg.connect(url, options="-c search_path=projector,public") as conn:
        for row in rows:
            columns = usual | row
            names = sql.SQL(", ").join(map(sql.Identifier, columns))
            values = sql.SQL(", ").join(sql.Placeholder() * len(columns))
            conn.execute(
                sql.SQL("INSERT INTO delegations ({}) VALUES ({})").format(names, values), list(columns.values())
            )
