"""The plans of the pages' statements: none reads a table as a whole where an index should serve."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qsl, urlsplit

import psycopg
import pytest
from plans import plans, rows_read
from projecting import connected

from benchmarks.page_requests import known, requests
from benchmarks.page_rows import fill
from projector.postgres import views_delegations, views_overview
from projector.postgres.connection import Connection
from projector.settings import Settings, load
from projector.web.listing import listing
from projector.web.pages import PAGES
from projector.web.parameters import Parameters
from projector.web.reader import Reader
from projector.web.refreshed import Refreshed

MOST_ROWS = 20_500


class Sources(Reader):
    """Every page reads from this connection, and nothing runs in the background."""

    def __init__(self, settings: Settings, conn: Connection) -> None:
        self.settings, self._conn = settings, conn
        self.topic = Refreshed("no topic", self._read_topic, 0)
        self.stats = Refreshed("no counts", self._read_stats, 0)
        self.last_day = Refreshed("no day", self._read_last_day, 0)

    @contextmanager
    def connection(self) -> Iterator[Connection]:
        yield self._conn


@pytest.fixture(scope="module")
def filled_url(shared_database_url: str) -> str:
    with psycopg.connect(shared_database_url, autocommit=True) as conn:
        fill(conn, rows=40_000, in_flight=500)
        conn.execute("INSERT INTO projector.push (topic) VALUES ('activity-log')")
    return shared_database_url


@pytest.fixture
def view(filled_url: str) -> Iterator[Connection]:
    with connected(filled_url) as conn:
        yield conn


@pytest.mark.parametrize("table", ["delegations", "outbox"])
def test_pages_read_no_table_as_a_whole(view: Connection, filled_url: str, table: str) -> None:
    pages = {path: page for page in PAGES for path in (page.path, f"/admin/delegations/{page.name}")}
    reader = Sources(load({"database_url": filled_url, "topic": "activity-log"}), view)
    read: dict[str, int] = {}
    for request in requests(known(view)):
        parts = urlsplit(request.path)
        page = pages.get(re.sub(r"\.(json|csv)$", "", parts.path.replace("/overview", "/")))
        if page is not None and page.name != "delegation" and request.is_likely:
            given = Parameters(parse_qsl(parts.query))
            read[request.path] = rows_read(view, partial(page.read, reader, given), table)
    assert {path: rows for path, rows in read.items() if rows > MOST_ROWS} == {}
    assert len(read) > 30


@pytest.mark.parametrize(
    ("index", "path"),
    [
        ("idx_delegations_created", "/delegations?status=any"),
        ("idx_delegations_failed", "/failures"),
        ("idx_delegations_failed", "/"),
    ],
)
def test_each_index_serves(view: Connection, filled_url: str, index: str, path: str) -> None:
    """Without it, the page reads more rows."""
    reader = Sources(load({"database_url": filled_url, "topic": "activity-log"}), view)
    page = next(page for page in PAGES if page.path == urlsplit(path).path)

    def read() -> int:
        given = Parameters(parse_qsl(urlsplit(path).query))
        return rows_read(view, lambda: page.read(reader, given), "delegations")

    with_it = read()
    with view.transaction(force_rollback=True):
        view.execute(f"DROP INDEX public.{index}".encode())
        assert read() > 2 * with_it


def test_counts_are_those_of_the_table_and_read_indexes(view: Connection) -> None:
    found = views_delegations.stats(view, timeout=timedelta(seconds=30))
    counted = view.execute("SELECT status, count(*) FROM delegations GROUP BY status").fetchall()
    assert found == dict(counted)
    assert sum(found.values()) == 40_500
    plan = plans(view, lambda: views_delegations.stats(view, timeout=timedelta(seconds=30)))
    assert "Index Only Scan using idx_delegations_failed" in plan
    assert "Seq Scan" not in plan


def test_counting_is_given_up_before_the_page_is(view: Connection, filled_url: str) -> None:
    """While the table is locked, the count ends by its own timeout."""
    wanted = views_delegations.Wanted(("completed",))
    assert views_delegations.count(view, wanted) == 10_001
    with psycopg.connect(filled_url) as other:
        other.execute("LOCK TABLE delegations")
        assert views_delegations.count(view, wanted) is None
    assert views_delegations.count(view, wanted) == 10_001


def test_whole_id_lists_that_delegation_alone(view: Connection, filled_url: str) -> None:
    reader = Sources(load({"database_url": filled_url}), view)
    one = known(view).delegation_id
    for given, found in ((one, [one]), (one[:20], [one]), (f"{one}x", [])):
        page = listing(reader, Parameters([("id", given), ("status", "any")]))
        assert [row.delegation_id for row in page.delegations] == found


def test_callee_is_wedged_until_it_completes_something(view: Connection) -> None:
    found = views_overview.wedged_callees(view, limit=5)
    work = [each.in_flight for each in found]
    assert len(found) >= 3
    assert work == sorted(work, reverse=True)
    with view.transaction(force_rollback=True):
        view.execute(
            """
            UPDATE delegations SET status = 'completed', updated_at = now() - interval '59 min' WHERE delegation_id =
                (SELECT min(delegation_id) FROM delegations WHERE callee_id = %s AND status = 'queued')
            """,
            [found[0].callee_id],
        )
        assert found[0].callee_id not in [each.callee_id for each in views_overview.wedged_callees(view, limit=5)]
