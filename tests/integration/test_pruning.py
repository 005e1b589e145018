"""`projector prune`: what goes and what stays, and that nothing makes a pruned row again, from whatever source."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from builders import at, record
from projecting import query
from reconciling import At, Log, change, produce_whole, request
from rows import answer, heartbeat, verdict

from projector.postgres.connection import connect
from projector.projection.transaction import project
from projector.pruning import prune as pruning
from projector.pruning.prune import Plan, Pruned
from projector.rebuild import shadow
from projector.rebuild.from_recordings import FromRecordings
from projector.rebuild.reconcile import Busy
from projector.settings import PostgresSettings


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    """`old` has ended, and `lost` repeated its key. `late` ended an hour later. Others are in flight."""
    with Log(database_url, kafka, topic) as log:
        produce_whole(log)
        log.produce(request(7, "old", idempotency_key="k"), answer(8, "completed", of="old", text="done"))
        log.produce(request(9, "lost", idempotency_key="k"), answer(10, "completed", of="lost", text="done"))
        log.produce(request(11, "late"), answer(70, "failed", of="late", error="no"))
        yield log.project()


def prune(log: Log, minute: int = 60) -> Pruned:
    """Prune what ended before this minute."""
    with connect(PostgresSettings(database_url=log.url)) as conn:
        pruning.hold_off_rebuilds(conn)
        return pruning.prune(conn, at(minute))


def pruned(log: Log) -> list[Any]:
    return query(log.conn, "SELECT delegation_id, idempotency_key FROM pruned ORDER BY 1")


def test_prune_takes_what_ended_and_what_belongs_to_it(log: Log) -> None:
    assert pruning.plan(log.conn, at(60)) == Plan(delegations=2, view_rows=6, owed=0)
    assert prune(log) == Pruned(delegations=2, repeated_requests=1, parked_events=1)
    assert log.statuses() == {"b": "queued", "c": "queued", "d": "queued", "late": "failed"}
    assert pruned(log) == [("a", None), ("lost", None), ("old", "k")]
    assert log.parked() == [("e", 2, 0, "completed")]
    assert query(log.conn, "SELECT * FROM repeated_requests") == []
    assert prune(log) == Pruned(0, 0, 0)


def test_repeated_request_younger_than_the_horizon_stays(log: Log) -> None:
    assert prune(log, 9) == Pruned(2, 0, 0)
    assert [delegation_id for delegation_id, *_ in log.parked()] == ["e", "lost"]
    assert log.verify() == {}
    assert prune(log) == Pruned(0, 1, 1)


def test_events_of_what_was_pruned_change_nothing(log: Log) -> None:
    prune(log)
    rows, parked = log.rows(), log.parked()
    values = [
        *(request(7, "old", idempotency_key="k"), request(9, "lost", idempotency_key="k"), request(12, "a")),
        *(answer(8, "completed", of="old"), answer(90, "failed", of="old"), heartbeat(91, of="a")),
        *(verdict(92, of="lost"), answer(93, "completed", of="lost", text="done")),
    ]
    outcomes = project(log.conn, [record(value, 100 + n) for n, value in enumerate(values)])
    assert outcomes == {"duplicate": 3, "refused": 5}
    assert (log.rows(), log.parked(), query(log.conn, "SELECT * FROM repeated_requests")) == (rows, parked, [])


def test_key_of_a_pruned_delegation_stays_used(log: Log) -> None:
    prune(log)
    log.produce(request(100, "new", idempotency_key="k"), answer(101, "completed", of="new")).project()
    assert "new" not in log.rows()
    assert query(log.conn, "SELECT delegation_id, holder_id FROM repeated_requests") == [("new", "old")]
    assert log.verify() == {}


def test_rebuild_brings_nothing_back(log: Log) -> None:
    prune(log)
    verified = log.run("verify")
    assert (verified.code, verified.out.splitlines()[1:]) == (
        0,
        [
            "           3 pruned: their records are passed over; no rebuild brings them back",
            "the view equals the source",
        ],
    )
    assert log.rebuild() is None
    rows = log.rows()
    change(log, "DELETE FROM delegations")
    assert log.rebuild() == (len(rows), 0, 0)
    assert log.rows() == rows
    assert log.rebuild(drop_uncovered=True) is None


def test_shortened_log_brings_nothing_back(log: Log) -> None:
    """The request of `old` is gone from the log, and that of `new`, with the same key, is there."""
    prune(log)
    log.produce(request(600, "new", idempotency_key="k"), answer(601, "completed", of="old"))
    log.produce(request(600, "x"), partition=1).produce(request(600, "y"), partition=2).project()
    log.shorten({0: 9, 1: 3, 2: 1})
    assert log.verify() == {}
    assert log.rebuild() is None


@pytest.mark.parametrize("command", ["rebuild", "replay"])
def test_recording_brings_nothing_back(log: Log, tmp_path: Path, command: str) -> None:
    recording = tmp_path / "all.jsonl"
    assert log.run("record", "--out", str(recording)).code == 0
    prune(log)
    rows = log.rows()
    if command == "replay":
        assert log.run("replay", str(recording)).code == 0
    else:
        done = log.reconcile(FromRecordings([recording], log.topic), repair=True)
        assert (done.report.drift, done.written) == (0, None)
    assert (log.rows(), [each for each, *_ in log.parked()]) == (rows, ["e"])


def test_interrupted_rebuild_is_not_resumed_after_a_pruning(log: Log) -> None:
    """Its shadow has the rows that were pruned since."""

    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.reconcile(repair=True, progress=At(stop, phase="comparing"), batch=1)
    prune(log)
    done = log.reconcile(repair=True)
    assert (done.report.totals.is_resumed, done.written) == (False, None)


def test_pruning_and_rebuild_wait_for_each_other(log: Log) -> None:
    assert shadow.lock(log.conn)
    with pytest.raises(Busy, match="another verify, rebuild, prune or erase is running"):
        prune(log)
    assert pruned(log) == []


def test_explain_says_when_it_was_pruned(log: Log) -> None:
    prune(log)
    done = log.run("explain", "old")
    assert done.code == 0
    assert done.out.startswith("delegation old is not in the view: it was pruned at 20")
    assert log.run("explain", "lost", "--json").json()["verdict"] == "pruned"


def test_copies_that_a_rebuild_kept_go_too(log: Log) -> None:
    log.conn.execute(
        "INSERT INTO deleted (run_id, source, kind, delegation_id, content) "
        "SELECT gen_random_uuid(), 't', 'row', id, '{}' FROM unnest('{old,late,lost}'::text[]) AS id"
    )
    prune(log)
    assert query(log.conn, "SELECT delegation_id FROM deleted") == ["late"]


# --- the command


def test_command_asks_counts_and_deletes(log: Log) -> None:
    asked = log.run("prune", "--ended-before", "1d")
    assert (asked.code, asked.out) == (1, "")
    assert "delete 3 of the 6 rows of the view permanently" in asked.err
    dry = log.run("prune", "--ended-before", "1d", "--dry-run")
    assert dry.out.startswith("3 delegations of 6 would be deleted, ended before 20")
    assert pruned(log) == []
    done = log.run("prune", "--ended-before", "1d", "--yes", "--json").json()
    assert done["plan"] == {"delegations": 3, "view_rows": 6, "owed": 0}
    assert done["deleted"] == {"delegations": 3, "repeated_requests": 1, "parked_events": 1}
    again = log.run("prune", "--ended-before", "1d")
    assert again.out.startswith("0 delegations deleted, ended before ")


def test_command_reports_rows_that_a_trigger_kept(log: Log) -> None:
    log.conn.execute(
        """
        CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER keep BEFORE DELETE ON delegations FOR EACH ROW EXECUTE FUNCTION keep();
        """
    )
    done = log.run("prune", "--ended-before", "1d", "--yes")
    assert (done.code, pruned(log)) == (0, [])
    assert "3 delegations of that age stayed: another session had locked them, or a trigger" in done.err
