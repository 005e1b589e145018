"""Dead letters, taken up again on a real Postgres: who leaves, who stays, and what happens when two do it at once."""

import json
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import psycopg
import pytest
from rows import CALLEE, CALLER, answer, delegate, heartbeat

from projector.domain.fold import Changes, DeadLetter
from projector.domain.outcomes import Outcome
from projector.errors import DatabaseUnavailable
from projector.postgres import connection, dead_letters, queries
from projector.postgres.connection import Connection, transaction
from projector.postgres.dead_letters import BEFORE_ALL, Coordinates, Filter
from projector.postgres.write_batch import prepare, write
from projector.projection import dead_letters as retries
from projector.projection.transaction import Outcomes, project, project_dead_letters
from projector.recordings.file import RecordedRecord
from projector.settings import BatchLimits, PostgresSettings

EVERYTHING = BatchLimits(batch_records=5_000, batch_bytes=8 * 1024 * 1024)
KEYED = {"source_id": CALLER}


@pytest.fixture
def ours(database_url: str) -> Iterator[Connection]:
    with opened(database_url) as conn:
        yield conn


def opened(url: str) -> Connection:
    conn = connection.connect(PostgresSettings(database_url=url))
    prepare(conn)
    return conn


def letter(offset: int, value: object, *, topic: str = "activity-log", partition: int = 0) -> RecordedRecord:
    content = value if isinstance(value, bytes) else json.dumps(value).encode()
    return RecordedRecord(topic, partition, offset, 1_777_975_200_123, b"c1", content)


def bury(
    conn: Connection, letters: Sequence[RecordedRecord], reason: str = "an older release could not read it"
) -> None:
    write(conn, Changes([], [], [], [], 0), {}, dead_letters=[DeadLetter(each, reason, "status") for each in letters])()


def left(conn: Connection) -> list[tuple[int, str]]:
    rows = conn.execute('SELECT "offset", reason FROM dead_letters ORDER BY topic, partition, "offset"')
    return [(offset, reason) for offset, reason in rows]


def statuses(conn: Connection) -> dict[str, str]:
    return dict(conn.execute("SELECT delegation_id, status FROM delegations").fetchall())


def test_readable_dead_letter_is_projected_and_deleted(ours: Connection) -> None:
    bury(ours, [letter(0, delegate(0, **KEYED)), letter(1, answer(1, "completed", text="3"))])
    assert retries.retry(ours, Filter(), EVERYTHING) == {Outcome.INSERTED: 1, Outcome.ADVANCED: 1}
    assert (left(ours), statuses(ours)) == ([], {"d-1": "completed"})


def test_dead_letter_that_fails_again_gets_its_new_reason(ours: Connection) -> None:
    bury(ours, [letter(0, b"no json")])
    died_at = ours.execute("SELECT died_at FROM dead_letters").fetchall()
    assert retries.retry(ours, Filter(), EVERYTHING) == {Outcome.DEAD_LETTER: 1}
    assert ours.execute("SELECT died_at FROM dead_letters").fetchall() == died_at
    ((_, reason),) = left(ours)
    assert reason.startswith("not JSON")
    assert ours.execute("SELECT field, value FROM dead_letters").fetchall() == [(None, b"no json")]


def test_refused_dead_letter_does_not_affect_others(ours: Connection) -> None:
    ours.execute("ALTER TABLE delegations ADD CONSTRAINT no_seven CHECK (delegation_id <> 'd-7')")
    asked = [delegate(0, request_body={"delegation_id": f"d-{n}", "task": "t"}, **KEYED) for n in range(9)]
    bury(ours, [letter(n, row) for n, row in enumerate(asked)])
    assert retries.retry(ours, Filter(), EVERYTHING) == {Outcome.INSERTED: 8, Outcome.DEAD_LETTER: 1}
    ((offset, reason),) = left(ours)
    assert offset == 7
    assert "no_seven" in reason
    assert len(statuses(ours)) == 8


def test_dead_letters_are_retried_in_topic_order(ours: Connection) -> None:
    bury(ours, [letter(2, answer(3, "failed")), letter(0, delegate(0, **KEYED)), letter(1, answer(2, "completed"))])
    outcomes = retries.retry(ours, Filter(), BatchLimits(batch_records=1, batch_bytes=1))
    assert outcomes == {Outcome.INSERTED: 1, Outcome.ADVANCED: 1, Outcome.REFUSED: 1}
    assert statuses(ours) == {"d-1": "completed"}


def test_retried_early_event_is_parked(ours: Connection) -> None:
    bury(ours, [letter(0, heartbeat(1))])
    assert retries.retry(ours, Filter(), EVERYTHING) == {Outcome.PARKED: 1}
    assert queries.parked_summary(ours).events == 1
    project(ours, [letter(1, delegate(0, **KEYED))])
    assert queries.parked_summary(ours).events == 0


def test_retry_resolves_an_unavailable_body(ours: Connection) -> None:
    row_id = "aaaaaaaa-0000-4000-8000-000000000001"
    left_out = answer(5, "completed", id=row_id, response_body="__debezium_unavailable_value")
    assert project(ours, [letter(1, left_out)]) == {Outcome.DEAD_LETTER: 1}
    whole = delegate(0, id=row_id, request_body={"delegation_id": "d-1", "task": "t" * 3_000}, **KEYED)
    project(ours, [letter(0, whole)])
    assert retries.retry(ours, Filter(), EVERYTHING) == {Outcome.ADVANCED: 1}
    assert left(ours) == []


def test_only_selected_dead_letters_are_retried(ours: Connection) -> None:
    bury(ours, [letter(n, delegate(0, **KEYED), topic=topic) for n in range(3) for topic in ("a", "b")])
    outcomes = retries.retry(ours, Filter("b", 0, [1, 2, 99]), BatchLimits(batch_records=1, batch_bytes=1))
    assert outcomes == {Outcome.INSERTED: 1, Outcome.DUPLICATE: 1}
    assert [offset for offset, _ in left(ours)] == [0, 1, 2, 0]


def test_retry_moves_no_position(ours: Connection) -> None:
    ours.execute("INSERT INTO positions (topic, partition, next_offset) VALUES ('activity-log', 0, 5)")
    bury(ours, [letter(0, delegate(0, **KEYED))])
    retries.retry(ours, Filter(), EVERYTHING)
    assert ours.execute("SELECT next_offset, moved_at FROM positions").fetchall() == [(5, None)]


def test_chunks_stay_within_their_limits(ours: Connection) -> None:
    bury(ours, [letter(n, b"x" * size) for n, size in enumerate((40, 60, 1, 500, 20))])
    with transaction(ours):
        sizes, after = [], BEFORE_ALL
        while places := dead_letters.places_after(ours, after, Filter(), max_records=2, max_bytes=100):
            sizes.append([place.offset for place in places])
            after = places[-1]
    assert sizes == [[0, 1], [2], [3], [4]]


def test_stored_dead_letter_equals_its_record(ours: Connection) -> None:
    buried = [
        RecordedRecord("t", 2**31 - 1, 2**63 - 1, None, None, b"\xff\x00"),
        RecordedRecord("t", 1, 1, 253_402_300_799_999, b"", b""),
    ]
    bury(ours, buried)
    with transaction(ours):
        taken = dead_letters.take(ours, [Coordinates("t", line.partition, line.offset) for line in buried])
    assert [RecordedRecord(*each[:6]) for each in taken] == sorted(buried)


def test_concurrent_retries_project_each_dead_letter_once(database_url: str, ours: Connection) -> None:
    asked = [delegate(n, request_body={"delegation_id": f"d-{n}", "task": "t"}, **KEYED) for n in range(60)]
    bury(ours, [letter(n, row) for n, row in enumerate(asked)] + [letter(60, b"no json")])
    ended: list[Outcomes] = []
    together = threading.Barrier(5)

    def once() -> None:
        with opened(database_url) as conn:
            together.wait()
            ended.append(retries.retry(conn, Filter(), BatchLimits(batch_records=7, batch_bytes=1_000_000)))

    threads = [threading.Thread(target=once) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(outcomes[Outcome.INSERTED] for outcomes in ended) == 60
    assert {outcome for outcomes in ended for outcome in outcomes} == {Outcome.INSERTED, Outcome.DEAD_LETTER}
    assert len(left(ours)) == 1


def test_second_retry_waits_for_the_first(database_url: str, ours: Connection) -> None:
    bury(ours, [letter(0, delegate(0, **KEYED)), letter(1, answer(1, "completed")), letter(2, answer(2, "failed"))])
    ended: list[Outcomes] = []

    def second() -> None:
        with opened(database_url) as conn:
            ended.append(retries.retry(conn, Filter(), BatchLimits(batch_records=2, batch_bytes=1_000_000)))

    with transaction(ours):
        letters = dead_letters.take(ours, [Coordinates("activity-log", 0, 0), Coordinates("activity-log", 0, 1)])
        thread = threading.Thread(target=second)
        thread.start()
        wait_until_somebody_waits_for(ours)
        ours.execute('DELETE FROM dead_letters WHERE "offset" < 2')
    thread.join()
    assert len(letters) == 2
    assert ended == [{Outcome.PARKED: 1}]


def wait_until_somebody_waits_for(conn: Connection) -> None:
    with psycopg.connect(conn.info.dsn, password=conn.info.password, autocommit=True) as onlooker:
        while not onlooker.execute(
            "SELECT 1 FROM pg_stat_activity WHERE %s = ANY (pg_blocking_pids(pid))", [conn.info.backend_pid]
        ).fetchone():
            pass


def test_interrupted_retry_keeps_the_remaining_dead_letters(database_url: str, ours: Connection) -> None:
    """The session ends between the write and the commit: neither the row nor the departure of its letter happened."""
    bury(ours, [letter(0, delegate(0, **KEYED)), letter(1, delegate(0, **KEYED))])

    def die_after_the_first(records: int) -> None:
        assert records == 1
        ours.execute("SELECT pg_terminate_backend(%s)", [victim.info.backend_pid])

    with opened(database_url) as victim, pytest.raises(DatabaseUnavailable):
        retries.retry(victim, Filter(), BatchLimits(batch_records=1, batch_bytes=1), progress=die_after_the_first)
    assert [offset for offset, _ in left(ours)] == [1]
    assert retries.retry(ours, Filter(), EVERYTHING) == {Outcome.DUPLICATE: 1}


def test_failed_chunk_keeps_its_dead_letters(ours: Connection) -> None:
    bury(ours, [letter(0, delegate(0, **KEYED))])
    ours.execute("CREATE FUNCTION die() RETURNS trigger AS $$ BEGIN RAISE admin_shutdown; END $$ LANGUAGE plpgsql")
    ours.execute("CREATE TRIGGER die BEFORE DELETE ON dead_letters EXECUTE FUNCTION die()")
    with pytest.raises(DatabaseUnavailable):
        project_dead_letters(ours, [Coordinates("activity-log", 0, 0)])
    assert (len(left(ours)), statuses(ours)) == (1, {})


def test_retry_waits_for_the_ledgers_insert(database_url: str, ours: Connection) -> None:
    bury(ours, [letter(0, delegate(0, **KEYED))])
    ended: list[Outcomes] = []

    def retried() -> None:
        with opened(database_url) as conn:
            ended.append(retries.retry(conn, Filter(), EVERYTHING))

    with transaction(ours):
        ours.execute(
            "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) VALUES ('d-1', %s, %s, 't')",
            [CALLER, CALLEE],
        )
        thread = threading.Thread(target=retried)
        thread.start()
        wait_until_somebody_waits_for(ours)
    thread.join()
    assert ended == [{Outcome.DUPLICATE: 1}]
    assert left(ours) == []


def test_discarded_dead_letters_are_deleted(ours: Connection) -> None:
    bury(ours, [letter(n, b"x", topic=topic) for n in range(5) for topic in ("a", "b")])
    assert retries.discard(ours, Filter("a", 0, [1, 3, 99]), BatchLimits(batch_records=1, batch_bytes=1)) == 2
    assert retries.discard(ours, Filter("a"), BatchLimits(batch_records=2, batch_bytes=1_000)) == 3
    assert queries.count_dead_letters(ours, Filter()) == 5
    assert retries.discard(ours, Filter(), BatchLimits(batch_records=2, batch_bytes=1_000)) == 5
    assert left(ours) == []


def test_list_is_newest_first(ours: Connection) -> None:
    for offset, partition in ((0, 0), (1, 1), (2, 0)):
        bury(ours, [letter(offset, b"abc", partition=partition)], reason=f"reason {offset}")
    assert [each.offset for each in queries.dead_letters(ours, limit=2)] == [2, 1]
    (latest, *_) = queries.dead_letters(ours, partition=0, limit=50)
    assert (latest.offset, latest.size, latest.field, latest.reason) == (2, 3, "status", "reason 2")
    assert queries.dead_letters(ours, topic="another", limit=50) == []
    assert queries.count_dead_letters(ours, Filter(partition=0)) == 2


def test_dead_letter_is_shown_with_key_and_value(ours: Connection) -> None:
    bury(ours, [letter(4, b"\xff")])
    found = queries.dead_letter(ours, topic="activity-log", partition=0, offset=4)
    assert found is not None
    assert (found.key, found.value) == (b"c1", b"\xff")
    assert found.record_at == datetime(2026, 5, 5, 10, 0, 0, 123_000, tzinfo=UTC)
    assert queries.dead_letter(ours, topic="activity-log", partition=0, offset=5) is None
