"""The search of the topic for one delegation: it ends after a few seconds, and few run at once."""

from collections.abc import Iterator

import pytest
from cluster import wait_until
from dashboards import Site, dashboard
from explaining import Platform
from rows import delegate, heartbeat
from topics import create_topic

from projector.web import story


@pytest.fixture(scope="module")
def site(kafka: str, shared_database_url: str) -> Iterator[Site]:
    platform = Platform(kafka, create_topic(kafka, partitions=6), shared_database_url)
    platform.project(platform.send(delegate(0)), *(platform.send(heartbeat(n), minute=n) for n in range(1, 4)))
    with dashboard(shared_database_url, kafka, topic=platform.topic) as site:
        wait_until(lambda: site.reader.topic.snapshot.value, "the state of the topic")
        yield site


def test_search_ends_after_its_time_and_the_row_is_shown(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_SEARCH_SECONDS", 0.0)
    monkeypatch.setattr(story, "_STOP_SECONDS", 30.0)
    found = site.json("/delegation.json?id=d-1")
    assert (found["row"]["status"], found["story"]["source"], found["story"]["steps"]) == ("queued", "row", [])
    assert found["story"]["reason"].startswith("the search was ended after 4 records and 0 s; activity_logs: ")
    assert "The records are not shown" in site.page("/delegation?id=d-1")


def test_third_search_at_once_is_refused_and_the_next_is_not(site: Site) -> None:
    assert story._TWO.acquire(timeout=30)
    assert story._TWO.acquire(timeout=30)
    try:
        reason = site.json("/delegation.json?id=d-1")["story"]["reason"]
        assert reason.startswith("two other searches of the topic are running")
    finally:
        story._TWO.release(2)
    for _ in range(3):  # each search gives its place back
        assert site.json("/delegation.json?id=d-1")["story"]["source"] == "topic"


def test_id_that_nobody_knows_is_searched_and_not_found(site: Site) -> None:
    found = site.json("/delegation.json?id=nosuch")
    assert (found["row"], found["story"]["source"], found["story"]["agreement"]) == (None, "topic", "not_found")
    assert "The view has no delegation of this id." in site.page("/delegation?id=nosuch")


@pytest.mark.parametrize("query", ["", "id=", "id=a&x=1", "id=%00"])
def test_wrong_id_is_refused(site: Site, query: str) -> None:
    assert site.json(f"/delegation.json?{query}", 400)["error"]


@pytest.mark.parametrize("name", ["a/b", "a%2Fb", "stats/", "%3Cscript%3E", "..", "\u00fc", "x" * 2_000])
def test_odd_id_is_an_id(site: Site, name: str) -> None:
    assert site.client.get(f"/admin/delegations/{name}").status_code in (404, 200)
    assert "<script>" not in site.page(f"/delegation?id={name}")
