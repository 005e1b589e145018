"""`projector erase` beside rows of other writers, rebuilds, and triggers of the platform."""

from collections.abc import Iterator

import pytest
from erasing_log import CANARY, FILL, OTHER, erase, produce, texts
from projecting import query
from reconciling import At, Log, request
from rows import CALLEE, CALLER, answer, heartbeat, verdict

from projector import ledger
from projector.domain.erasing import ERASED
from projector.ledger import Effect
from projector.pruning import erase as erasing


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield produce(log)


def end_by_ledger(log: Log, delegation_id: str) -> None:
    """Insert a row and end it before the topic has its request."""
    ledger.insert(log.conn, delegation_id, CALLER, CALLEE, f"{CANARY} task")
    assert ledger.set_status(log.conn, delegation_id, "completed", result=f"{CANARY} result") is Effect.ADVANCED


def test_events_that_are_parked_beside_a_row_lose_their_texts(log: Log) -> None:
    log.produce(answer(50, "completed", of="early", text=f"{CANARY} early"), partition=1)
    log.produce(verdict(51, of="early", silent=50, error_detail=f"{CANARY} verdict"), heartbeat(52, of="early"))
    log.project()
    end_by_ledger(log, "early")
    parked = [(ERASED, None), (None, ERASED), (None, None)]
    erase(log)
    statement = "SELECT result_preview, error_detail FROM parked ORDER BY kind, parked.at"
    assert sorted(query(log.conn, statement), key=repr) == sorted(parked, key=repr)
    assert log.rebuild() == (0, 0, 1)  # no request in the topic explains its row
    assert sorted(query(log.conn, statement), key=repr) == sorted(parked, key=repr)


def test_parked_events_of_a_delegation_in_flight_keep_their_texts(log: Log) -> None:
    log.produce(answer(50, "completed", of="early", text="three"), partition=1).project()
    ledger.insert(log.conn, "early", CALLER, CALLEE, "count")
    erase(log)
    log.produce(request(49, "early")).project()
    assert log.rows()["early"].result_preview == "three"


def test_request_that_comes_during_a_rebuild_brings_no_text_back(log: Log) -> None:
    end_by_ledger(log, "direct")
    erase(log)
    late = texts("direct", 60), answer(61, "completed", of="direct", text=CANARY)
    log.reconcile(repair=True, progress=At(lambda: log.produce(*late).project(), "checking again"))
    row = log.rows()["direct"]
    assert (row.task_preview, row.result_preview) == (ERASED, ERASED)


def test_copies_of_events_of_a_lost_request_go_too(log: Log) -> None:
    """As `--dry-run` counts them."""
    log.conn.execute(
        "INSERT INTO deleted (run_id, source, kind, delegation_id, content) "
        "SELECT gen_random_uuid(), 't', 'parked event', delegation_id, to_jsonb(p) FROM parked p"
    )
    log.conn.execute(FILL)
    dry = log.run("erase", "--workspace", CALLEE, "--dry-run", "--json").json()
    assert (dry["found"]["copies"], erase(log).copies) == (3, 3)
    assert query(log.conn, "SELECT * FROM deleted") == []


def test_trigger_that_keeps_a_text_does_not_hold_the_command(log: Log) -> None:
    change_text = "NEW.task_preview := OLD.task_preview; RETURN NEW"
    log.conn.execute(
        f"""
        CREATE FUNCTION keep_task() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {change_text}; END $$;
        CREATE TRIGGER keep_task BEFORE UPDATE ON delegations FOR EACH ROW EXECUTE FUNCTION keep_task();
        """
    )
    done = log.run("erase", "--workspace", CALLEE, "--yes")
    assert done.code == 1
    assert "4 delegations left with texts that could be erased: " in done.err
    assert "a trigger of the table delegations" in done.err


def test_chunks_pass_every_row_once(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasing, "_CHUNK", 3)
    log.conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, created_at)
        SELECT n::text, CASE WHEN n %% 3 > 0 THEN %(callee)s ELSE %(other)s END::uuid,
               CASE WHEN n %% 2 = 0 THEN %(callee)s ELSE %(other)s END::uuid, 't', 'failed',
               CASE WHEN n < 5 THEN '-infinity' ELSE '2025-05-05'::timestamptz + n / 7 * '1 s'::interval END
          FROM generate_series(1, 30) AS n
        """,
        {"callee": CALLEE, "other": OTHER},
    )
    assert erase(log).delegations == 4 + 25
    assert set(query(log.conn, "SELECT delegation_id FROM delegations WHERE task_preview = 't'")) == {
        str(n) for n in range(3, 31, 6)
    }
