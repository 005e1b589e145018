"""The page of the machine: dead letters and parked events by cause, replies, passes, partitions."""

import re
from collections.abc import Iterator

import psycopg
import pytest
from cluster import wait_until
from dashboards import Site, ago, dashboard, insert
from topics import create_topic

STATEMENTS = """
    INSERT INTO dead_letters (topic, partition, "offset", value, reason, died_at)
    SELECT 't', n % 2, n, 'x', CASE WHEN n < 3 THEN 'not JSON' ELSE 'no status' END, now() - make_interval(mins => n)
      FROM generate_series(0, 9) AS n;
    INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, parked_at)
    SELECT 't', 0, n, 'd-' || n % 3, 'status', 'completed', now(), now() - make_interval(mins => n)
      FROM generate_series(1, 6) AS n;
    INSERT INTO repeated_requests (delegation_id, holder_id, topic, partition, "offset", requested_at)
    VALUES ('d-0', 'd-9', 't', 0, 9, now());
    INSERT INTO outbox (delegation_id, due_at, next_attempt_at, attempts, last_error)
    VALUES ('new', now() + interval '1 min', now() + interval '1 min', 0, NULL),
           ('due', now() - interval '5 min', now() - interval '1 min', 3, 'no route'),
           ('later', now() - interval '9 min', now() + interval '9 min', 4, 'no route');
    INSERT INTO outbox (delegation_id, due_at, next_attempt_at, attempts, last_error, given_up_at, ended_as)
    VALUES ('poison', now() - interval '1 h', now() - interval '1 h', 20, 'no such workspace', now(), 'given_up');
    INSERT INTO outbox (delegation_id, due_at, next_attempt_at, attempts, ended_as, sent_at, sent_to)
    VALUES ('answered', now() - interval '1 h', now() - interval '1 h', 1, 'sent', now() - interval '30 min', 'inbox');
    INSERT INTO passes (kind, started_at, ended_at, result)
    VALUES ('verify', now() - interval '65 s', now() - interval '60 s', '{"compared": 1234, "drift": 0}'),
           ('sweep', now() - interval '6 s', now() - interval '5 s', '{"verdicts": 2, "skipped": null}')
    """


@pytest.fixture(scope="module")
def site(shared_database_url: str, kafka: str) -> Iterator[Site]:
    topic = create_topic(kafka, partitions=2)
    insert(
        shared_database_url, *({"delegation_id": name, "status": "failed"} for name in ("poison", "answered", "nobody"))
    )
    with psycopg.connect(shared_database_url, options="-c search_path=projector,public") as conn:
        conn.execute(STATEMENTS)
        conn.execute(
            "INSERT INTO positions (topic, partition, next_offset, record_at) VALUES (%s, 0, 0, %s)", [topic, ago(9)]
        )
        conn.execute("INSERT INTO push VALUES (%s)", [topic])
    with dashboard(shared_database_url, kafka, topic=topic) as site:
        wait_until(lambda: site.reader.topic.snapshot.value, "the state of the topic")
        yield site


def test_dead_letters_are_grouped_by_cause(site: Site) -> None:
    found = [
        (each["reason"], each["letters"], each["sample_partition"], each["sample_offset"])
        for each in site.json("/plumbing.json")["letters"]
    ]
    assert found == [("no status", 7, 1, 3), ("not JSON", 3, 0, 0)]
    page = site.page("/plumbing")
    assert "projector dead-letters show 1 3" in page
    assert "projector dead-letters show 0 0" in page


def test_parked_events_of_repeated_requests_are_apart(site: Site) -> None:
    found = site.json("/plumbing.json")["parked"]
    assert [(each["is_repeated"], each["events"], each["delegations"]) for each in found] == [
        (False, 4, 2),
        (True, 2, 1),
    ]
    assert "nothing: their request repeated an idempotency key" in site.page("/plumbing")


def test_replies_that_were_not_sent_have_their_cause(site: Site) -> None:
    """One that waits for its next try has a cause too."""
    found = site.json("/plumbing.json")
    assert found["is_pushed"]
    assert [
        (each["delegation_id"], each["state"], each["attempts"], each["last_error"]) for each in found["unsent"]
    ] == [
        ("later", "due", 4, "no route"),
        ("due", "due", 3, "no route"),
        ("poison", "given_up", 20, "no such workspace"),
    ]


def test_first_page_counts_replies_that_are_late(site: Site) -> None:
    """A relay needs a moment for one that has just become due."""
    with psycopg.connect(site.reader.settings.database_url.get_secret_value(), autocommit=True) as conn:
        conn.execute(
            "INSERT INTO projector.outbox (delegation_id, due_at, next_attempt_at) VALUES ('now', now(), now())"
        )
        texts = [each["text"] for each in site.json("/overview.json")["condition"]]
        conn.execute("DELETE FROM projector.outbox WHERE delegation_id = 'now'")
    assert "2 results unsent for over a minute." in texts


def test_passes_have_their_counts(site: Site) -> None:
    assert [(each["kind"], each["result"]) for each in site.json("/plumbing.json")["passes"]] == [
        ("sweep", {"verdicts": 2, "skipped": None}),
        ("verify", {"compared": 1234, "drift": 0}),
    ]
    assert "1,234" in site.page("/plumbing")


def test_partitions_have_position_end_and_lag(site: Site) -> None:
    found = site.json("/plumbing.json")
    assert (found["topic_name"], found["topic_error"]) == (site.reader.settings.topic, None)
    partitions = [(each["partition"], each["position"], each["end"]) for each in found["topic"]["partitions"]]
    assert partitions == [(0, 0, 0), (1, None, 0)]


def test_detail_says_whether_the_caller_was_told(site: Site) -> None:
    assert site.json("/delegation.json?id=answered")["reply"]["state"] == "sent"
    assert re.search(
        r"Caller was told</dt><dd><span>[-\d: ]{19} UTC</span> <span class=\"dim\"><time[^>]*>30 min",
        site.page("/delegation?id=answered"),
    )
    assert "no reply was queued" in site.page("/delegation?id=nobody")
    assert site.json("/delegation.json?id=poison")["reply"]["state"] == "given_up"
    page = site.page("/delegation?id=poison")
    assert "no: given up" in page
    assert "projector push retry poison" in page
