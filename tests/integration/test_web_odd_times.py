"""Times that Postgres has and Python has not stop no page: a platform's table may hold any."""

from collections.abc import Iterator

import pytest
from activity_table import create_activity_table
from dashboards import Site, dashboard, insert

from projector.web.pages import PAGES, Page

TIMES = ("infinity", "-infinity", "0044-03-15 BC", "20000-01-01", "0001-01-01", "9999-12-31 23:59:59.999999")
STATUSES = ("queued", "in_progress", "failed", "stuck", "completed")


@pytest.fixture(scope="module")
def site(shared_database_url: str) -> Iterator[Site]:
    create_activity_table(shared_database_url)
    columns = ("created_at", "updated_at", "deadline", "last_heartbeat")
    insert(
        shared_database_url,
        *(
            {"delegation_id": f"{status} {number}", "status": status} | dict.fromkeys(columns, time)
            for status in STATUSES
            for number, time in enumerate(TIMES)
        ),
    )
    with dashboard(shared_database_url) as site:
        yield site


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_shown(site: Site, page: Page) -> None:
    query = "?id=queued%201" if page.name == "delegation" else ""
    site.page(f"{page.path}{query}")
    site.json(f"{page.base}.json{query}")


@pytest.mark.parametrize("query", ["sort=age", "sort=silence", "sort=deadline", "only=overdue", "only=silent"])
@pytest.mark.parametrize("limit", [1, 5, 1000])
def test_every_list_is_shown(site: Site, query: str, limit: int) -> None:
    found = site.json(f"/delegations.json?{query}&limit={limit}")
    site.page(f"/delegations?{query}&limit={limit}")
    if found["next"]:
        site.json(f"/delegations.json?{query}&limit={limit}&cursor={found['next']}")


@pytest.mark.parametrize("number", range(len(TIMES)))
@pytest.mark.parametrize("status", STATUSES)
def test_every_delegation_is_shown(site: Site, status: str, number: int) -> None:
    assert f"{status} {number}" in site.page(f"/delegation?id={status}%20{number}")
    assert site.json(f"/admin/delegations/{status}%20{number}")["story"]["source"] == "row"
