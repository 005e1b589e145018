"""Dead letters on a real Postgres: retried, discarded, listed."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from cluster import wait_until
from plans import plans
from rows import CALLER, answer, delegate, heartbeat
from stored_dead_letters import NO_LIMITS, ONE_BY_ONE, letter, opened, places, remaining, request, statuses, store

from projector.domain.outcomes import Outcome
from projector.postgres import dead_letter_queries, dead_letters, queries
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import BEFORE_ALL, Filter
from projector.projection import dead_letters as retries
from projector.projection.transaction import project
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with opened(database_url) as conn:
        yield conn


def test_readable_dead_letter_is_projected_and_deleted(session: Connection) -> None:
    store(session, [letter(0, request()), letter(1, answer(1, "completed", text="3"))])
    assert retries.retry(session, Filter(), NO_LIMITS) == {Outcome.INSERTED: 1, Outcome.ADVANCED: 1}
    assert (remaining(session), statuses(session)) == ([], {"d-1": "completed"})


def test_dead_letter_that_fails_again_gets_its_new_reason(session: Connection) -> None:
    store(session, [letter(0, b"no json")])
    died_at = session.execute("SELECT died_at FROM dead_letters").fetchall()
    assert retries.retry(session, Filter(), NO_LIMITS) == {Outcome.DEAD_LETTER: 1}
    assert session.execute("SELECT died_at FROM dead_letters").fetchall() == died_at
    ((_, reason),) = remaining(session)
    assert reason.startswith("not JSON")
    assert session.execute("SELECT field, value FROM dead_letters").fetchall() == [(None, b"no json")]


def test_refused_dead_letter_does_not_affect_others(session: Connection) -> None:
    session.execute("ALTER TABLE delegations ADD CONSTRAINT no_seven CHECK (delegation_id <> 'd-7')")
    requests = [request(f"d-{n}") for n in range(9)]
    store(session, [letter(n, row) for n, row in enumerate(requests)])
    assert retries.retry(session, Filter(), NO_LIMITS) == {Outcome.INSERTED: 8, Outcome.DEAD_LETTER: 1}
    ((offset, reason),) = remaining(session)
    assert offset == 7
    assert "no_seven" in reason
    assert len(statuses(session)) == 8


def test_dead_letters_are_retried_in_topic_order(session: Connection) -> None:
    store(session, [letter(2, answer(3, "failed")), letter(0, request()), letter(1, answer(2, "completed"))])
    outcomes = retries.retry(session, Filter(), ONE_BY_ONE)
    assert outcomes == {Outcome.INSERTED: 1, Outcome.ADVANCED: 1, Outcome.REFUSED: 1}
    assert statuses(session) == {"d-1": "completed"}


def test_retried_early_event_is_parked(session: Connection) -> None:
    store(session, [letter(0, heartbeat(1))])
    assert retries.retry(session, Filter(), NO_LIMITS) == {Outcome.PARKED: 1}
    assert queries.parked_summary(session).events == 1
    project(session, [letter(1, request())])
    assert queries.parked_summary(session).events == 0


def test_retry_resolves_an_unavailable_body(session: Connection) -> None:
    row_id = "aaaaaaaa-0000-4000-8000-000000000001"
    left_out = answer(5, "completed", id=row_id, response_body="__debezium_unavailable_value")
    assert project(session, [letter(1, left_out)]) == {Outcome.DEAD_LETTER: 1}
    whole = delegate(0, id=row_id, request_body={"delegation_id": "d-1", "task": "t" * 3_000}, source_id=CALLER)
    project(session, [letter(0, whole)])
    assert retries.retry(session, Filter(), NO_LIMITS) == {Outcome.ADVANCED: 1}
    assert remaining(session) == []


def test_only_selected_dead_letters_are_retried(session: Connection) -> None:
    store(session, [letter(n, request(), topic=topic) for n in range(3) for topic in ("a", "b")])
    outcomes = retries.retry(session, Filter("b", 0, [1, 2, 99]), ONE_BY_ONE)
    assert outcomes == {Outcome.INSERTED: 1, Outcome.DUPLICATE: 1}
    assert [offset for offset, _ in remaining(session)] == [0, 1, 2, 0]


def test_records_at_one_place_are_selected_apart(session: Connection) -> None:
    store(session, [letter(0, b"one")], reason="not JSON: a")
    store(session, [letter(0, b"two"), letter(1, b"three")], reason="not JSON: b")
    assert retries.discard(session, Filter(reason="JSON: b", field="status", offsets=[0]), ONE_BY_ONE) == 1
    assert [each.reason for each in dead_letter_queries.latest(session, Filter(), limit=9)] == [
        "not JSON: b",
        "not JSON: a",
    ]
    assert retries.retry(session, Filter(reason="JSON: a"), ONE_BY_ONE) == {Outcome.DEAD_LETTER: 1}


def vacuum(session: Connection) -> None:
    """Until no snapshot of autovacuum keeps a page from being all-visible: an index-only scan depends on that."""

    def all_visible() -> bool:
        session.execute("VACUUM ANALYZE dead_letters")
        [(found,)] = session.execute(
            "SELECT relallvisible = relpages FROM pg_class WHERE oid = 'dead_letters'::regclass"
        ).fetchall()
        return bool(found)

    wait_until(all_visible, "all pages are all-visible")


def test_selection_reads_dead_letters_in_order_of_an_index(session: Connection) -> None:
    """However rare the selected ones are, the table is read once and never sorted."""
    session.execute(
        """
        INSERT INTO dead_letters (topic, partition, "offset", value, reason, field)
        SELECT 'topic ' || n % 3, n % 7, n, convert_to(repeat(md5(n::text), 9), 'UTF8'), 'reason ' || n % 50, 'status'
          FROM generate_series(1, 30000) n
        """
    )
    session.execute("RESET ALL")
    session.execute("SET search_path = projector, public")
    vacuum(session)
    wanted = Filter("topic 1", reason="reason 7")
    latest = plans(session, lambda: dead_letter_queries.latest(session, wanted, limit=50))
    assert "dead_letters_died" in latest
    assert "Sort" not in latest
    after = places(session)[-1]
    chunk = plans(
        session, lambda: dead_letters.places_after(session, after, wanted, max_records=500, max_bytes=100_000)
    )
    assert "Index Scan using dead_letters_pkey" in chunk
    count = plans(session, lambda: dead_letter_queries.count(session, Filter("topic 1"), limit=1_000))
    assert "Limit" in count
    assert "Index Only Scan" in count
    for plan in (latest, chunk, count):
        assert "Seq Scan" not in plan


def test_count_ends_at_its_limit(session: Connection) -> None:
    store(session, [letter(n, b"x") for n in range(5)])
    assert dead_letter_queries.count(session, Filter(), limit=3) == 3
    assert dead_letter_queries.count(session, Filter(), limit=9) == 5


def test_retry_moves_no_position(session: Connection) -> None:
    session.execute("INSERT INTO positions (topic, partition, next_offset) VALUES ('activity-log', 0, 5)")
    store(session, [letter(0, request())])
    retries.retry(session, Filter(), NO_LIMITS)
    assert session.execute("SELECT next_offset, moved_at FROM positions").fetchall() == [(5, None)]


def test_chunks_stay_within_their_limits(session: Connection) -> None:
    store(session, [letter(n, b"x" * size) for n, size in enumerate((40, 60, 1, 500, 20))])
    with transaction(session):
        sizes, after = [], BEFORE_ALL
        while chunk := dead_letters.places_after(session, after, Filter(), max_records=2, max_bytes=100):
            sizes.append([place.offset for place in chunk])
            after = chunk[-1]
    assert sizes == [[0, 1], [2], [3], [4]]


def test_stored_dead_letter_equals_its_record(session: Connection) -> None:
    stored = [
        RecordedRecord("t", 2**31 - 1, 2**63 - 1, None, None, b"\xff\x00"),
        RecordedRecord("t", 1, 1, 253_402_300_799_999, b"", b""),
    ]
    store(session, stored)
    with transaction(session):
        taken = dead_letters.take(session, places(session))
    assert [RecordedRecord(*each[:6]) for each in taken] == sorted(stored)


def test_discarded_dead_letters_are_deleted(session: Connection) -> None:
    store(session, [letter(n, b"x", topic=topic) for n in range(5) for topic in ("a", "b")])
    assert retries.discard(session, Filter("a", 0, [1, 3, 99]), ONE_BY_ONE) == 2
    assert retries.discard(session, Filter("a"), BatchLimits(batch_records=2, batch_bytes=1_000)) == 3
    assert dead_letter_queries.count(session, Filter()) == 5
    assert retries.discard(session, Filter(), BatchLimits(batch_records=2, batch_bytes=1_000)) == 5
    assert remaining(session) == []


def test_list_is_newest_first(session: Connection) -> None:
    for offset, partition in ((0, 0), (1, 1), (2, 0)):
        store(session, [letter(offset, b"abc", partition=partition)], reason=f"reason {offset}")
    assert [each.offset for each in dead_letter_queries.latest(session, Filter(), limit=2)] == [2, 1]
    (latest, *_) = dead_letter_queries.latest(session, Filter(partition=0), limit=50)
    assert (latest.offset, latest.size, latest.field, latest.reason) == (2, 3, "status", "reason 2")
    assert dead_letter_queries.latest(session, Filter("another"), limit=50) == []
    assert dead_letter_queries.count(session, Filter(partition=0)) == 2


def test_dead_letter_is_shown_with_key_and_value(session: Connection) -> None:
    store(session, [letter(4, b"\xff")])
    found = queries.dead_letter(session, topic="activity-log", partition=0, offset=4)
    assert found is not None
    assert (found.key, found.value) == (b"c1", b"\xff")
    assert found.record_at == datetime(2026, 5, 5, 10, 0, 0, 123_000, tzinfo=UTC)
    assert queries.dead_letter(session, topic="activity-log", partition=0, offset=5) is None
