"""The two endpoints that the platform had: recorded requests and replies, to the byte."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cluster import wait_until
from dashboards import Site, dashboard, insert
from starlette.testclient import TestClient

FOLDER = Path(__file__).parent.parent / "recorded_admin"
RECORDED = json.loads((FOLDER / "recorded.json").read_text())


@pytest.fixture(scope="module")
def site(shared_database_url: str) -> Iterator[Site]:
    insert(shared_database_url, *RECORDED["rows"])
    with dashboard(shared_database_url) as site:
        wait_until(lambda: site.reader.stats.snapshot.value, "the first count")
        yield site


@pytest.mark.parametrize("exchange", RECORDED["exchanges"], ids=lambda each: each["request"])
def test_reply_is_the_recorded_one(site: Site, exchange: dict[str, Any]) -> None:
    done = site.client.get(exchange["request"])
    assert (done.status_code, done.headers["content-type"]) == (exchange["status"], "application/json")
    assert done.text == exchange["body"]


def test_stranger_gets_the_recorded_refusal(site: Site) -> None:
    done = TestClient(site.client.app, "http://127.0.0.1").get("/admin/delegations")
    assert (done.status_code, done.text) == (401, '{"error":"unauthorized"}')


@pytest.mark.parametrize("limit", ["0", "1001", "-1", "x", "1.5", "\u0663", "1e3", "99999999999"])
def test_limit_outside_of_its_range_is_refused(site: Site, limit: str) -> None:
    assert site.json(f"/admin/delegations?limit={limit}", 400)["error"].startswith("limit=")


def test_new_parameters_add_fields_and_change_none(site: Site) -> None:
    old = site.json("/admin/delegations?status=failed&limit=1")
    new = site.json("/admin/delegations?status=failed&limit=1&sort=created")
    assert list(new) == ["delegations", "count", "status", "limit", "next", "as_of", "total"]
    assert {name: new[name] for name in old} == old


def test_counts_are_six_and_have_a_time(site: Site) -> None:
    done = site.client.get("/admin/delegations/stats")
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:.]+\+00:00", done.headers["x-as-of"])


def test_counts_before_the_first_are_unavailable(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(site.reader.stats, "snapshot", type(site.reader.stats.snapshot)())
    done = site.client.get("/admin/delegations/stats")
    assert (done.status_code, done.headers["retry-after"]) == (503, "5")
    assert done.json() == {"error": "the first count is not finished"}


def test_failure_is_told_without_its_detail(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise RuntimeError("a secret of the server")

    monkeypatch.setattr(site.reader, "connection", fail)
    for path in ("/admin/delegations", "/delegations", "/delegations.csv"):
        done = site.client.get(path)
        assert (done.status_code, "secret" in done.text) == (500, False)
