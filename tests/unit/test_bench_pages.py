"""The benchmark of the pages: which requests it makes, and what it says of them."""

from urllib.parse import urlsplit

import pytest
from starlette.routing import Route

from benchmarks.goals import Goal
from benchmarks.page_outages import is_calm
from benchmarks.page_readers import OPEN, opened
from benchmarks.page_requests import TOO_LONG, Known, Timed, requests, shown
from benchmarks.pages import _goals_of_requests
from projector.settings import load
from projector.web.app import Dashboard
from projector.web.login import Login
from projector.web.reader import Reader

ID = "c3c81a0e-086a-b4f5-4abd-f52b627d6ae8"
KNOWN = Known(ID, ID, ID, None)
OTHERS = {"/login", "/login/{code}", "/logout", "/static/{name}", "/csp-report", "/openapi.json"}
"""Routes that read nothing of Postgres."""


def test_every_route_is_asked() -> None:
    reader = Reader(load({"database_url": "postgresql://127.0.0.1:1/none"}))
    dashboard = Dashboard(reader)
    routes: list[Route] = dashboard.routes(Login(reader.settings, dashboard.render))
    reader.close()
    asked = {urlsplit(each.path).path.replace(f"/{ID}", "/{id:path}") for each in requests(KNOWN)}
    missing = {route.path for route in routes} - asked - OTHERS
    assert {path for path in missing if not path.endswith((".json", ".csv"))} == set()
    assert len({path for path in asked if path.endswith((".json", ".csv"))}) > 5


def test_twenty_pages_are_open() -> None:
    assert len(opened(KNOWN)) == OPEN
    assert set(opened(KNOWN)) - {each.path for each in requests(KNOWN) if each.is_likely} == set()


def test_detail_of_a_projected_delegation_is_asked_if_there_is_one() -> None:
    assert len(requests(KNOWN._replace(in_topic="x"))) == len(requests(KNOWN)) + 1


def test_path_is_short_to_read() -> None:
    path = f"/delegations?status=any&caller={ID}&since=2026-11-25T17%3A07%3A53%2B00%3A00"
    assert shown(path) == "/delegations?status=any&caller=c3c8…&since=2026-11-25"


def timed(path: str, seconds: list[float], *, is_likely: bool = True, status: int = 200) -> Timed:
    return Timed(path, is_likely, status, 10, 9.0, seconds)


@pytest.mark.parametrize(
    ("measured", "reached"),
    [
        ([timed("/a", [0.1, 0.9, 5.0]), timed("/b", [0.5])], [True, True]),
        ([timed("/a", [0.1, 1.1, 1.2]), timed("/b", [0.5])], [False, True]),
        ([timed("/a", [0.1]), timed("/delegation?id=x", [3.9])], [True, True, True]),
        ([timed("/a", [0.1]), timed(f"/admin/delegations/{ID}", [4.1])], [True, False, True]),
        ([timed("/a", [0.1]), timed("/b", [0.2], status=503)], [True, False]),
        ([timed("/a", [0.1]), timed("/b", [3.0], status=503, is_likely=False)], [True, True]),
    ],
    ids=[
        "good",
        "a slow median",
        "a search may take three seconds",
        "and no more",
        "a likely one took too long",
        "a nasty one may",
    ],
)
def test_goals_are_about_likely_requests(measured: list[Timed], reached: list[bool]) -> None:
    goals: list[Goal] = _goals_of_requests(measured)
    assert [goal.reached for goal in goals] == reached


def test_calm_is_a_page_without_a_missing_member() -> None:
    good = b"The view has every record of the log."
    assert is_calm(200, good)
    assert not is_calm(503, good)
    assert not is_calm(200, good + b" No member runs: nothing is projected.")
    assert not is_calm(200, good + b" The state of the topic is 12 s old.")
    assert not is_calm(200, TOO_LONG)
