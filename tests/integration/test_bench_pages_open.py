"""The benchmark of the pages beside a real dashboard: its requests, its open pages, and runs that begin alike."""

import time
from collections.abc import Iterator

import psycopg
import pytest
from rich.console import Console

from benchmarks import page_readers
from benchmarks.dashboard import Dashboard, dashboard
from benchmarks.environment import Environment, Servers
from benchmarks.measurement import Failed
from benchmarks.page_readers import Readers, _forget
from benchmarks.page_requests import Request, measured
from benchmarks.page_rows import fill
from benchmarks.recording import START, generate
from testbed.servers.start import Postgres


@pytest.fixture
def environment(kafka: str, postgres: Postgres) -> Environment:
    topic = f"pages-{time.time_ns()}"
    return Servers(kafka, postgres.url).publish(topic, generate(10), Console(quiet=True))


@pytest.fixture
def shown(environment: Environment, database_url: str) -> Iterator[Dashboard]:
    with psycopg.connect(database_url, autocommit=True) as conn:
        fill(conn, rows=2_000, in_flight=100)
    with dashboard(environment, database_url) as running:
        yield running


def test_requests_and_open_pages(
    shown: Dashboard, environment: Environment, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with shown.client() as client:
        [overview, listing] = measured(client, [Request("/"), Request("/delegations.csv", is_likely=False)], 2)
        assert (overview.status, overview.is_likely, len(overview.seconds)) == (200, True, 2)
        assert (listing.status, listing.is_likely, listing.size > 10_000) == (200, False, True)
        with pytest.raises(Failed, match=r"status 400: .*limit=0 is not"):
            measured(client, [Request("/delegations.json?limit=0")], 1)
    monkeypatch.setattr(page_readers, "_OPENED_WITHIN_SECONDS", 0.0)
    readers = Readers(shown, ["/", "/delegations", "/callees"])
    readers.start()
    answers = readers.stop()
    assert [each.status for each in answers] == [200, 200, 200]
    assert all(page_readers._EVERY.search(each.body) for each in answers)
    failing = Readers(shown, ["/delegations?limit=0"])
    failing.start()
    with pytest.raises(Failed, match="status 400"):
        failing.stop()
    with psycopg.connect(database_url, autocommit=True) as conn:
        conn.execute("UPDATE delegations SET created_at = %s WHERE status = 'queued'", [START])
        _forget(environment, database_url)
        [(left,)] = conn.execute("SELECT count(*) FROM delegations").fetchall()
    assert left == 2_075
