"""What a rebuild deletes is kept in the same transaction, and comes back as it was."""

from collections.abc import Iterator, Sequence

import pytest
from projecting import query
from reconciling import Log, change, plant, produce_whole
from rows import answer, verdict

from projector.errors import ProjectorError
from projector.postgres import deleted
from projector.postgres.deleted import Restored, Selection
from projector.rebuild.reconcile import Result

EVERYTHING = Selection()


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield produce_whole(log)


# --- what is kept


def kept(log: Log) -> list[tuple[str, str]]:
    return query(log.conn, "SELECT kind, delegation_id FROM deleted ORDER BY id")


def delete_planted(log: Log) -> Result:
    """Plant two rows, one with a column of the platform, and delete them by a rebuild."""
    log.conn.execute("ALTER TABLE delegations ADD note text, ADD number bigint GENERATED ALWAYS AS IDENTITY")
    plant(log, "planted", 60, key="k-planted")
    plant(log, "another", 61)
    change(log, "UPDATE delegations SET note = 'of the platform' WHERE delegation_id = 'planted'")
    return log.reconcile(repair=True)


def test_deleted_rows_are_kept_with_run_and_source(log: Log) -> None:
    done = delete_planted(log)
    assert done.written == (0, 0, 2)
    assert done.applied is not None
    entries = deleted.latest(log.conn, EVERYTHING, limit=10)
    assert {(each.kind, each.delegation_id, each.status, each.source) for each in entries} == {
        ("row", "planted", "queued", f"topic {log.name}"),
        ("row", "another", "queued", f"topic {log.name}"),
    }
    assert {each.run_id for each in entries} == {str(done.applied.run_id)}
    assert deleted.count(log.conn, Selection(run_id=done.applied.run_id)) == 2


def test_delete_and_copy_are_one_transaction(log: Log) -> None:
    plant(log, "planted", 60)
    log.conn.execute("ALTER TABLE projector.deleted ADD CHECK (delegation_id <> 'planted')")
    with pytest.raises(ProjectorError, match="violates check constraint"):
        log.rebuild()
    assert "planted" in log.rows()


def test_parked_event_without_a_successor_is_kept(log: Log) -> None:
    change(
        log,
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since)
        SELECT topic, 0, 1, 'nowhere', 'verdict', 'stuck', now(), now() FROM positions LIMIT 1
        """,
    )
    report = log.reconcile().report
    assert (dict(report.kinds), report.parked_deletions, report.deletes) == ({"parked": 1}, 1, True)
    log.rebuild()
    assert kept(log) == [("parked event", "nowhere")]
    assert [each[0] for each in log.parked()] == ["e"]
    assert restore(log) == [Restored("parked event", "nowhere", None)]
    assert [each[0] for each in log.parked()] == ["e", "nowhere"]
    assert query(log.conn, "SELECT count(silent_since) FROM parked") == [1]


def test_replaced_parked_event_is_no_deletion(log: Log) -> None:
    change(log, "UPDATE parked SET status = 'failed'")
    assert not log.reconcile().report.deletes
    log.rebuild()
    assert kept(log) == []


# --- back again


def restore(log: Log, ids: Sequence[str] | None = None) -> list[Restored]:
    return list(deleted.restore(log.conn, Selection(ids)))


def test_restored_row_is_as_it_was(log: Log) -> None:
    log.conn.execute("ALTER TABLE delegations ADD note text, ADD number bigint GENERATED ALWAYS AS IDENTITY")
    plant(log, "planted", 60, key="k-planted")
    change(log, "UPDATE delegations SET note = 'theirs', result_preview = 'é\"\\' WHERE delegation_id = 'planted'")
    rows = query(log.conn, "SELECT d::text FROM delegations d WHERE delegation_id = 'planted'")
    log.rebuild()
    assert restore(log, ["planted"]) == [Restored("row", "planted", None)]
    assert query(log.conn, "SELECT d::text FROM delegations d WHERE delegation_id = 'planted'") == rows
    assert kept(log) == []


def test_restored_row_takes_events_parked_since(log: Log) -> None:
    plant(log, "planted", 60)
    log.rebuild()
    log.produce(answer(70, "in_progress", of="planted"), verdict(71, of="planted", silent=70)).project()
    assert len(log.parked()) == 3
    assert restore(log) == [Restored("row", "planted", None)]
    assert log.statuses()["planted"] == "stuck"
    assert [each[0] for each in log.parked()] == ["e"]


def test_one_refused_row_costs_no_other(log: Log) -> None:
    for delegation_id, key in (("free", None), ("same id", None), ("same key", "k-planted")):
        plant(log, delegation_id, 60, key=key)
    log.rebuild()
    plant(log, "same id", 62)
    plant(log, "holder", 63, key="k-planted")
    assert {each.delegation_id: each.problem for each in restore(log)} == {
        "free": None,
        "same id": "a row with its id exists",
        "same key": "delegation holder has its idempotency key",
    }
    assert {each for _, each in kept(log)} == {"same id", "same key"}


def test_row_that_postgres_refuses_stays_kept(log: Log) -> None:
    delete_planted(log)
    log.conn.execute("ALTER TABLE delegations ADD CHECK (note IS NULL)")
    problems = {each.delegation_id: each.problem for each in restore(log)}
    assert problems["another"] is None
    assert "violates check constraint" in (problems["planted"] or "")
    assert kept(log) == [("row", "planted")]


def test_latest_row_of_a_delegation_comes_back(log: Log) -> None:
    for minute in (60, 61):
        plant(log, "planted", minute)
        log.rebuild()
    assert [each.problem for each in restore(log)] == [None, "a row with its id exists"]
    assert log.rows()["planted"].created_at.minute == 1


def test_discarded_entries_are_gone(log: Log) -> None:
    delete_planted(log)
    assert deleted.discard(log.conn, Selection(["planted", "nowhere"])) == 1
    assert kept(log) == [("row", "another")]
