"""`projector erase`: no text of the workspace is left in the database, and nothing brings one back."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest
from builders import record
from erasing_log import CANARY, FILL, erase, produce, texts
from projecting import connected, query
from psycopg import sql
from reconciling import At, Log, change
from rows import CALLEE, answer, verdict

from projector.domain.erasing import ERASED, erased
from projector.postgres import delegations
from projector.postgres.connection import Connection
from projector.projection.transaction import project
from projector.pruning import erase as erasing
from projector.pruning.erase import Erased
from projector.rebuild.from_recordings import FromRecordings


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield produce(log)


def everything(conn: Connection) -> list[str]:
    """Every row of every table as a text. Printable bytes are shown as characters."""
    tables = query(
        conn,
        """
        SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace
         WHERE relkind = 'r' AND nspname IN ('public', 'projector', 'projector_shadow')
        """,
    )
    conn.execute("SET bytea_output = 'escape'")
    rows = [row for table in tables for row in conn.execute(sql.SQL("SELECT t::text FROM {} t").format(sql.SQL(table)))]
    return [row[0] for row in rows]


def test_no_text_of_the_workspace_is_left_anywhere(log: Log) -> None:
    log.conn.execute(FILL)
    stop_a_rebuild(log)
    found = Counter(each.partition("(")[0] for each in everything(log.conn) if CANARY in each)
    assert found.total() > 12
    assert erase(log) == Erased(delegations=4, dead_letters=1, copies=2, parked_events=1)
    assert [row for row in everything(log.conn) if CANARY in row and f"{CANARY} task of other" not in row] == []
    rows = log.rows()
    assert (rows["others"].error_detail, rows["flying"].task_preview) == ("theirs", "do flying")
    assert (rows["done"].task_preview, rows["done"].result_preview, rows["done"].error_detail) == (ERASED, ERASED, None)
    assert (rows["judged"].result_preview, rows["judged"].error_detail) == (None, ERASED)
    assert erase(log) == Erased(0, 0, 0, 0)


def stop_a_rebuild(log: Log) -> None:
    def stop() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        log.reconcile(progress=At(stop, phase="comparing"))


def test_late_events_bring_no_text_back(log: Log) -> None:
    erase(log)
    rows = log.rows()
    values = [
        *(
            texts("done", 0),
            answer(1, "completed", of="done", text=CANARY),
            answer(2, "failed", of="done", error=CANARY),
        ),
        *(answer(5, "completed", of="empty", text=CANARY), verdict(41, of="judged", error_detail=CANARY)),
        *(texts("lost", 7, idempotency_key="k"), answer(8, "completed", of="lost", text=CANARY)),
    ]
    project(log.conn, [record(value, 100 + n) for n, value in enumerate(values)])
    assert (log.rows(), log.parked()) == (rows, [])


def test_rebuild_brings_no_text_back(log: Log, tmp_path: Path) -> None:
    recording = tmp_path / "all.jsonl"
    assert log.run("record", "--out", str(recording)).code == 0
    erase(log)
    assert log.verify() == {}
    assert log.rebuild() is None
    assert log.rebuild(FromRecordings([recording], log.topic)) is None
    rows = log.rows()
    change(log, "DELETE FROM delegations WHERE delegation_id <> 'flying'")
    change(log, "UPDATE delegations SET task_preview = 'wrong'")
    assert log.rebuild() == (5, 1, 0)
    assert log.rows() == rows


def test_explain_agrees(log: Log) -> None:
    erase(log)
    assert log.run("explain", "done", "--json").json()["verdict"] == "equal"


def test_delegation_in_flight_is_erased_after_its_end(log: Log) -> None:
    run = ("erase", "--workspace", CALLEE)
    asked = log.run(*run)
    assert (asked.code, asked.out) == (1, "")
    assert "erase the texts of 4 delegations, and delete 1 dead letter and 0 deleted copies" in asked.err
    first = log.run(*run, "--yes")
    assert (first.code, first.out) == (
        1, "the texts of 4 delegations erased. Deleted: 1 dead letter, 0 deleted copies, 1 parked event\n"
    )  # fmt: skip
    assert "1 delegation left with texts" in first.err
    log.produce(answer(50, "completed", of="flying", text=CANARY)).project()
    second = log.run(*run, "--yes", "--json")
    assert (second.code, second.json()["erased"]["delegations"]) == (0, 1)
    assert log.verify() == {}


def test_reply_that_is_due_keeps_its_text(log: Log) -> None:
    change(log, "INSERT INTO outbox (delegation_id, due_at, next_attempt_at) VALUES ('done', now(), now())")
    assert erase(log).delegations == 3
    assert log.rows()["done"].result_preview == f"{CANARY} result"


def test_unknown_workspace_is_named(log: Log) -> None:
    nowhere = "00000000-0000-4000-8000-00000000ffff"
    found = log.run("erase", "--workspace", nowhere, "--yes")
    assert (found.code, f"nothing of workspace {nowhere} was found" in found.err) == (6, True)


def test_rule_in_sql_and_in_python_are_one(database_url: str) -> None:
    with connected(database_url) as conn:
        conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, result_preview,
                                     error_detail)
            SELECT concat_ws('/', s, coalesce(r, '-'), coalesce(e, '-')), %(callee)s, %(callee)s, 't', s, r, e
              FROM unnest('{completed,failed,stuck}'::text[]) s, unnest('{NULL,"",r}'::text[]) r,
                   unnest('{NULL,"",e}'::text[]) e
            """,
            {"callee": UUID(CALLEE)},
        )
        ids = query(conn, "SELECT delegation_id FROM delegations")
        before = delegations.read_delegations(conn, ids)
        assert erasing.erase(conn, UUID(CALLEE)).delegations == len(before) == 27
        assert {row.delegation_id: row for row in delegations.read_delegations(conn, ids)} == {
            row.delegation_id: erased(row) for row in before
        }
