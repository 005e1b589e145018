"""The list of delegations: every filter as page, JSON and CSV, and page by page."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import timedelta
from html import unescape
from random import Random
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

import pytest
from dashboards import Site, ago, dashboard, insert

STATUSES = ("queued", "dispatched", "in_progress", "completed", "failed", "stuck")
IN_FLIGHT = STATUSES[:3]
WORKSPACES = [str(UUID(int=number)) for number in range(3)]
TEXTS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "＝1", '"quoted", with\nlines', "<b>bold</b>", "a\u202eb", "", "plain"]
SORTS = ("created", "age", "silence", "deadline")
ROWS = 120


def _rows() -> Iterator[dict[str, Any]]:
    """Rows with many equal times, so that only the id orders them, and with deadlines that are infinite."""
    random = Random(18)
    begin, recent = ago(90_000).replace(microsecond=123_456), ago(120)
    for number in range(ROWS):
        created = begin + timedelta(hours=random.randrange(8))
        yield {
            "delegation_id": f"{random.choice('aábB_%')}-{number}",
            "caller_id": random.choice(WORKSPACES),
            "callee_id": random.choice(WORKSPACES),
            "status": random.choice(STATUSES),
            "task_preview": random.choice(TEXTS),
            "error_detail": random.choice([None, *TEXTS]),
            "deadline": random.choice(["infinity", "-infinity", created + timedelta(hours=random.randrange(60))]),
            "created_at": created,
            "updated_at": random.choice([created + timedelta(hours=random.randrange(3)), recent]),
        }


@pytest.fixture(scope="module")
def site(shared_database_url: str) -> Iterator[Site]:
    insert(shared_database_url, *_rows())
    with dashboard(shared_database_url) as site:
        yield site


def _ids(rows: list[dict[str, Any]]) -> list[str]:
    return [row["delegation_id"] for row in rows]


def _filters(seed: int) -> dict[str, str]:
    random = Random(seed)
    return {
        "status": random.choice(["in_flight", "any", *STATUSES]),
        "caller": random.choice(["", *WORKSPACES]),
        "callee": random.choice(["", *WORKSPACES]),
        "since": random.choice(["", ago(80_000).isoformat()]),
        "until": random.choice(["", ago(70_000).isoformat()]),
        "id": random.choice(["", "", "a", "á", "b-", "_", "%"]),
        "only": random.choice(["", "self", "overdue", "silent"]),
        "sort": random.choice(["created", "age", "silence", "deadline"]),
        "limit": str(random.choice([1, 7, 100, 1000])),
    }


@pytest.mark.parametrize("seed", range(20))
def test_page_json_and_csv_list_the_same(site: Site, seed: int) -> None:
    query = urlencode(_filters(seed))
    listed = site.json(f"/delegations.json?{query}")
    ids = _ids(listed["delegations"])
    table = csv.DictReader(io.StringIO(site.client.get(f"/delegations.csv?{query}").text, newline=""))
    cells = list(table)
    assert [row["delegation_id"] for row in cells] == ids
    for row, cell in zip(listed["delegations"], cells, strict=True):
        for name, value in row.items():
            assert cell[name].removeprefix("'") == ("" if value is None else str(value))
            assert not cell[name].startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝"))
    links = re.findall(
        r'<a class="id" href="/delegation\?id=[^"]*" title="([^"]*)"', site.page(f"/delegations?{query}")
    )
    assert [unescape(each) for each in links] == ids


@pytest.mark.parametrize("seed", range(20))
def test_filter_selects_what_it_says(site: Site, seed: int) -> None:
    given = _filters(seed)
    everything = site.json("/delegations.json?status=any&limit=1000")["delegations"]
    wanted = {"in_flight": IN_FLIGHT, "any": STATUSES}.get(given["status"], (given["status"],))
    now, silent = ago(0).isoformat(), ago(site.reader.settings.stuck_after_seconds).isoformat()
    expected = {
        row["delegation_id"]
        for row in everything
        if row["status"] in wanted
        and given["caller"] in ("", row["caller_id"])
        and given["callee"] in ("", row["callee_id"])
        and (not given["since"] or row["created_at"] >= given["since"])
        and (not given["until"] or row["created_at"] < given["until"])
        and row["delegation_id"].startswith(given["id"])
        and (given["only"] != "self" or row["caller_id"] == row["callee_id"])
        and (given["only"] != "silent" or row["updated_at"] < silent)
        and (given["only"] != "overdue" or row["deadline"] is None or row["deadline"] < now)
    }
    if given["only"] in ("overdue", "silent"):
        expected -= {row["delegation_id"] for row in everything if row["status"] not in IN_FLIGHT}
    found = site.json(f"/delegations.json?{urlencode(given | {'limit': '1000'})}")
    ids = set(_ids(found["delegations"]))
    if given["only"] == "overdue":  # an infinite deadline is shown as none, and only the one in the past is overdue
        finite = {row["delegation_id"] for row in everything if row["deadline"]}
        assert ids & finite == expected & finite
    else:
        assert ids == expected
    assert found["total"] == {"value": len(ids), "relation": "eq"}


@pytest.mark.parametrize(
    ("status", "sort"),
    [("any", "created"), *(("in_flight", sort) for sort in SORTS), *(("queued", sort) for sort in SORTS)],
)
@pytest.mark.parametrize("limit", [2, 17])
def test_pages_are_complete_and_repeat_nothing(site: Site, status: str, sort: str, limit: int) -> None:
    base = f"/delegations.json?status={status}&sort={sort}"
    whole = _ids(site.json(f"{base}&limit=1000")["delegations"])
    found, cursor = [], ""
    while True:
        page = site.json(f"{base}&limit={limit}&cursor={cursor}")
        found += _ids(page["delegations"])
        cursor = page["next"]
        if cursor is None:
            break
    assert found == whole
    assert len(set(found)) == len(found)


def test_orders_are_what_they_say(site: Site) -> None:
    def column(sort: str, name: str) -> list[Any]:
        return [row[name] for row in site.json(f"/delegations.json?sort={sort}&limit=1000")["delegations"]]

    assert column("created", "created_at") == sorted(column("created", "created_at"), reverse=True)
    assert column("age", "created_at") == sorted(column("age", "created_at"))
    assert column("silence", "updated_at") == sorted(column("silence", "updated_at"))
    deadlines = column("deadline", "deadline")
    assert None in deadlines
    assert deadlines == sorted(deadlines, key=lambda each: each or "9999")


@pytest.mark.parametrize("status", ["completed", "failed", "stuck", "any"])
@pytest.mark.parametrize("sort", SORTS)
def test_what_has_ended_is_listed_by_the_newest(site: Site, status: str, sort: str) -> None:
    """The form offers every order beside every status."""
    query = f"status={status}&sort={sort}"
    found = site.json(f"/delegations.json?{query}&limit=1000")
    assert found["sort"] == "created"
    assert found["delegations"] == site.json(f"/delegations.json?status={status}&limit=1000")["delegations"]
    assert ("other orders are for" in site.page(f"/delegations?{query}")) == (sort != "created")


@pytest.mark.parametrize(
    "cursor", ["x", "AAAA", "W10", "WyJ4IiwgImEiXQ", "W251bGwsICJhIl0", "%00", "9" * 5_000, "W" * 5_000]
)
def test_wrong_cursor_is_refused(site: Site, cursor: str) -> None:
    error = site.json(f"/delegations.json?cursor={cursor}", 400)["error"]
    assert error.startswith("cursor ")


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("limit=1001", "limit=1001 is not a whole number from 1 to 1000"),
        ("caller=x", "caller=x is not a UUID"),
        ("status=x", "status=x is unknown: use one of"),
        ("id=a&id=b", "id is given twice"),
    ],
)
def test_wrong_parameter_is_named(site: Site, query: str, sentence: str) -> None:
    assert site.json(f"/delegations.json?{query}", 400)["error"].startswith(sentence)
    assert sentence in unescape(site.page(f"/delegations?{query}", 400))


@pytest.mark.parametrize(
    "since", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-11-26", "20261126T1200Z"]
)
def test_odd_times_are_times(site: Site, since: str) -> None:
    site.json(f"/delegations.json?{urlencode({'since': since})}")


def test_csv_without_rows_has_its_headings(site: Site) -> None:
    for path, first in (("/delegations.csv?id=nosuch", "delegation_id,"), ("/failures.csv?hours=1", "reason,")):
        done = site.client.get(path)
        assert done.text.startswith(first)
        assert done.headers["content-disposition"].startswith("attachment; ")
