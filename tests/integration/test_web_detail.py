"""One delegation: its story from the topic, from `activity_logs`, or its row alone; and texts that are hidden."""

import json
import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import psycopg
import pytest
from activity_table import create_activity_table, insert_activities
from cluster import wait_until
from dashboards import HTML, NOBODY, Site, browser, dashboard
from explaining import Platform
from psycopg.conninfo import make_conninfo
from relaying import Relaying
from rows import answer, delegate, heartbeat, verdict
from topics import create_topic

from projector.explain import report
from projector.web import story

OUTCOMES = ["inserted", "heartbeat", "advanced", "refused", "dead_letter"]
SECRET = "the launch code is 0000"
TEXTS: Any = {"request_body": {"delegation_id": "d-1", "task": SECRET}}


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=6), database_url)


@pytest.fixture
def told(platform: Platform) -> Platform:
    """A delegation with its story, a late answer, a dead letter that mentions it, and a reply."""
    records = [
        platform.send(delegate(0, idempotency_key="key-of-theirs", **TEXTS)),
        platform.send(heartbeat(1), minute=1),
        platform.send(verdict(30, silent=1), minute=30),
        platform.send(answer(31, "completed", text=f"done: {SECRET}"), minute=31),
        platform.send(answer(32, SECRET, error=SECRET), minute=32),
    ]
    platform.project(*records)
    with psycopg.connect(platform.database_url, autocommit=True, options="-c search_path=projector,public") as conn:
        relaying = Relaying(conn)
        relaying.queue("d-1")
        conn.execute("UPDATE outbox SET last_error = %s, attempts = 3", [f"refused: {SECRET}"])
    return platform


@pytest.fixture
def site(told: Platform) -> Iterator[Site]:
    with dashboard(told.database_url, told.bootstrap_servers, topic=told.topic) as site:
        yield site


def test_story_comes_from_the_topic(site: Site) -> None:
    found = site.json("/admin/delegations/d-1")
    assert found == {**site.json("/delegation.json?id=d-1"), "as_of": found["as_of"]}
    story = found["story"]
    assert (story["source"], story["agreement"], story["reason"]) == ("topic", "equal", None)
    steps = story["steps"]
    assert [step["record"]["outcome"] for step in steps] == OUTCOMES
    assert [step["record"]["offset"] for step in steps] == list(range(len(steps)))
    assert len({step["record"]["partition"] for step in steps}) == 1
    assert [step["gap_seconds"] for step in steps[:3]] == [None, 60.0, 1740.0]
    assert json.loads(steps[0]["value"])["method"] == "delegate"
    assert steps[2]["record"]["silent_since"] == "2025-05-05T10:01:00+00:00"
    assert found["row"]["status"] == "stuck"
    assert (found["reply"]["state"], found["reply"]["attempts"]) == ("due", 3)
    assert "idempotency_key" not in found["row"]


@pytest.mark.parametrize("path", ["/delegation?id=d-1", "/delegation.json?id=d-1", "/admin/delegations/d-1"])
@pytest.mark.parametrize("servers", ["kafka", "nobody"])
def test_idempotency_key_is_not_shown(told: Platform, path: str, servers: str) -> None:
    """Neither from the topic nor from the platform's table."""
    create_activity_table(told.database_url)
    with psycopg.connect(told.database_url) as conn:
        insert_activities(conn, delegate(0, idempotency_key="key-of-theirs", **TEXTS))
    kafka = told.bootstrap_servers if servers == "kafka" else NOBODY
    with dashboard(told.database_url, kafka, topic=told.topic) as site:
        answer = unescape(site.client.get(path, headers=HTML if path.startswith("/delegation?") else {}).text)
    assert "key-of-theirs" not in answer
    assert re.search(r'\\?"idempotency_key\\?": ?\\?"\(hidden\)\\?"', answer)


def test_key_of_a_repeated_request_is_not_shown(told: Platform) -> None:
    again = delegate(40, idempotency_key="key-of-theirs", request_body={"delegation_id": "d-2", "task": "again"})
    told.project(told.send(again, minute=40))
    with dashboard(told.database_url, told.bootstrap_servers, topic=told.topic) as site:
        answer = site.client.get("/delegation.json?id=d-2").text
    assert "repeats the idempotency key of caller" in answer
    assert "key-of-theirs" not in answer


def test_dead_letter_that_mentions_the_delegation_is_named(site: Site) -> None:
    [letter] = site.json("/admin/delegations/d-1")["story"]["letters"]
    assert (letter["topic"], letter["offset"]) == (site.reader.settings.topic, 4)
    assert f"projector dead-letters show {letter['partition']} 4" in site.page("/delegation?id=d-1")


@pytest.mark.parametrize(
    ("first", "latest", "shown"),
    [(1, 2, [0, 3, 4]), (0, 1, [4]), (2, 3, [0, 1, 2, 3, 4]), (9, 1, [0, 1, 2, 3, 4]), (1, 9, [0, 1, 2, 3, 4])],
)
def test_of_many_records_the_first_and_the_latest_are_shown(
    site: Site, monkeypatch: pytest.MonkeyPatch, first: int, latest: int, shown: list[int]
) -> None:
    """A page of each beat of a day would take all the memory."""
    whole = site.json("/delegation.json?id=d-1")["story"]
    monkeypatch.setattr(story, "_FIRST", first)
    monkeypatch.setattr(story, "_LATEST", latest)
    found = site.json("/delegation.json?id=d-1")["story"]
    assert found["steps"] == [whole["steps"][place] for place in shown]
    assert found["left_out"] == len(whole["steps"]) - len(shown)
    page = site.page("/delegation?id=d-1")
    assert ("between the first and the latest are not shown here" in page) == (len(shown) < len(whole["steps"]))


def test_page_shows_what_waits(platform: Platform) -> None:
    platform.project(platform.send(answer(1, "completed", text="early")))
    with dashboard(platform.database_url, platform.bootstrap_servers, topic=platform.topic) as site:
        found = site.json("/delegation.json?id=d-1")
        assert found["row"] is None
        assert [each["status"] for each in found["parked"]] == ["completed"]
        assert "1 event parked" in site.page("/delegation?id=d-1")
        assert site.client.get("/admin/delegations/d-1").status_code == 404


def test_without_kafka_the_story_comes_from_the_platforms_table(told: Platform, postgres: object) -> None:
    create_activity_table(told.database_url)
    with psycopg.connect(told.database_url) as conn:
        insert_activities(conn, verdict(30, silent=1), delegate(0, **TEXTS), heartbeat(1), heartbeat(2, of="d-2"))
    with dashboard(told.database_url, NOBODY, topic=told.topic) as site:
        story = site.json("/delegation.json?id=d-1")["story"]
        assert (story["source"], story["agreement"]) == ("activity_logs", None)
        assert [step["record"]["said"] for step in story["steps"]] == [
            "delegate, pending",
            "heartbeat",
            "verdict, stuck",
        ]
        assert "Kafka does not answer" in story["reason"]
        assert "From the table activity_logs" in site.page("/delegation?id=d-1")


def test_platforms_table_in_another_database_is_read(told: Platform, empty_url: str) -> None:
    create_activity_table(empty_url)
    with psycopg.connect(empty_url) as conn:
        insert_activities(conn, delegate(0, **TEXTS))
    with dashboard(told.database_url, NOBODY, topic=told.topic, activity_database_url=empty_url) as site:
        story = site.json("/delegation.json?id=d-1")["story"]
        assert (story["source"], len(story["steps"])) == ("activity_logs", 1)


def test_without_both_the_row_is_shown_alone(told: Platform) -> None:
    with dashboard(told.database_url, NOBODY, topic=told.topic) as site:
        found = site.json("/delegation.json?id=d-1")
        assert (found["row"]["status"], found["story"]["source"]) == ("stuck", "row")
        assert "Kafka does not answer" in found["story"]["reason"]
        assert "activity_logs" in found["story"]["reason"]


def test_search_of_the_topic_holds_no_connection(told: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []
    with dashboard(told.database_url, told.bootstrap_servers, topic=told.topic) as site:
        wait_until(lambda: site.reader.topic.snapshot.value, "the state of the topic")
        search = report._search

        def watched(*arguments: object) -> object:
            used.append(site.reader._pool._used)
            return search(*arguments)  # type: ignore[arg-type]

        monkeypatch.setattr(report, "_search", watched)
        site.json("/delegation.json?id=d-1")
    assert set(used) == {0}


# --- texts are hidden


@pytest.fixture
def silent(told: Platform) -> Iterator[Site]:
    create_activity_table(told.database_url)
    with psycopg.connect(told.database_url, options="-c search_path=projector,public") as conn:
        insert_activities(conn, delegate(0, **TEXTS), answer(1, "failed", error=SECRET))
        conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, result_preview,
                                     error_detail)
            SELECT 'd-' || s, gen_random_uuid(), gen_random_uuid(), %(s)s, s, %(s)s, %(s)s
              FROM unnest(ARRAY['queued', 'failed', 'stuck', 'completed']) AS s
            """,
            {"s": SECRET},
        )
    with dashboard(told.database_url, told.bootstrap_servers, topic=told.topic, dashboard_texts="hide") as site:
        yield site


PATHS = ["/", "/delegations", "/delegations?status=any", "/callees", "/failures", "/plumbing", "/delegation?id=d-1"]
JSON = [
    "/overview.json",
    "/delegations.json?status=any",
    "/delegations.csv?status=any",
    "/failures.json",
    "/failures.csv",
]
JSON += ["/callees.json", "/plumbing.json", "/delegation.json?id=d-1", "/admin/delegations?status=failed"]
JSON += ["/admin/delegations/d-1", "/admin/delegations/failures", "/admin/delegations/plumbing"]


def test_hidden_texts_are_in_no_answer(silent: Site) -> None:
    client = browser(silent)
    for path in [*PATHS, *JSON]:
        done = client.get(path, headers={"accept": "text/html"} if path in PATHS else {})
        assert done.status_code == 200
        assert "launch" not in done.text, path
    assert "(hidden)" in client.get("/delegations.json?status=any").text


def test_hidden_texts_are_hidden_without_kafka(told: Platform) -> None:
    create_activity_table(told.database_url)
    with psycopg.connect(told.database_url) as conn:
        insert_activities(conn, delegate(0, **TEXTS), answer(1, "failed", error=SECRET))
    with dashboard(told.database_url, NOBODY, topic=told.topic, dashboard_texts="hide") as site:
        found = site.client.get("/delegation.json?id=d-1").text
        assert '"source":"activity_logs"' in found
        assert "launch" not in found
        assert "launch" not in site.page("/delegation?id=d-1")


def test_shown_texts_are_shown(site: Site) -> None:
    assert SECRET in site.page("/delegation?id=d-1")


def test_url_of_the_platforms_database_is_not_shown(told: Platform, empty_url: str) -> None:
    url = make_conninfo(empty_url, dbname="nosuch")
    with dashboard(told.database_url, NOBODY, topic=told.topic, activity_database_url=url) as site:
        reason = site.json("/delegation.json?id=d-1")["story"]["reason"]
        assert "nosuch" in reason
        assert "password" not in reason
