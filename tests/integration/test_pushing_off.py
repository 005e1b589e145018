"""Push off: a batch is the one of a release without it, and touches none of its tables."""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from builders import log
from projecting import claim_partition, connected, fence, query
from psycopg import Rollback
from pushing import pushing
from rows import CALLEE, answer, delegate, heartbeat, verdict

from projector.postgres import connection, write_batch
from projector.postgres.connection import Connection
from projector.postgres.migration_files import available
from projector.projection.transaction import project


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with pushing(database_url) as conn:
        yield conn


TABLES = ("push", "push_from", "ends", "outbox")


def test_without_push_no_table_of_it_is_touched(database_url: str) -> None:
    with connected(database_url) as conn:
        token = claim_partition(conn)
        before = uses(conn)
        project(conn, log(delegate(0), answer(1, "completed"), heartbeat(2), verdict(3)), fence(token, (0, 0, 4)))
        project(conn, log(delegate(0, "failed", target_id=CALLEE)))
        assert uses(conn) == before


def uses(conn: Connection) -> list[Any]:
    """How often each table of the push was read or written."""
    conn.execute("SELECT pg_stat_force_next_flush()")
    return conn.execute(
        """
        SELECT relname, seq_scan, idx_scan, n_tup_ins, n_tup_upd, n_tup_del FROM pg_stat_user_tables
         WHERE schemaname = 'projector' AND relname = ANY (%s) ORDER BY 1
        """,
        [list(TABLES)],
    ).fetchall()


def test_without_push_the_session_has_no_function_for_it(database_url: str) -> None:
    functions = "SELECT proname FROM pg_proc WHERE pronamespace = pg_my_temp_schema() ORDER BY 1"
    before = ["possible_causes", "refuse_unwritten", "write_batch"]
    with connected(database_url) as conn:
        assert query(conn, functions) == before
    with pushing(database_url) as conn:
        assert query(conn, functions) == [*before, "write_ends"]


def test_without_push_the_plans_are_those_before(database_url: str) -> None:
    """A release later, or a release without the tables of the push: Postgres plans each statement of a batch alike."""
    with connected(database_url) as conn:
        with_tables = plans(conn, database_url)
        (push,) = (migration for migration in available() if migration.version == 55)
        conn.execute(push.down, prepare=False)
        without = plans(conn, database_url)
    assert len(without) > 5
    assert with_tables == without


def plans(conn: Connection, url: str) -> list[list[tuple[str, str]]]:
    """The kinds of the nodes of each plan, with the indexes that they use, of a batch that is rolled back."""
    found: list[list[tuple[str, str]]] = []
    token = claim_partition(conn)
    with connected(url) as other, suppress(Rollback), other.transaction():
        other.add_notice_handler(
            lambda said: found.append(re.findall(r"\{([A-Z]+)|:indexid (\d+)", said.message_detail or ""))
        )
        other.execute("SET LOCAL debug_print_plan = on; SET LOCAL client_min_messages = log")
        project(other, log(delegate(0), answer(1, "completed"), heartbeat(2)), fence(token, (0, 0, 3)))
        raise Rollback
    return found


@pytest.mark.parametrize("with_push", [True, False])
def test_batch_without_ends_is_sent_as_before(
    session: Connection, monkeypatch: pytest.MonkeyPatch, *, with_push: bool
) -> None:
    """The call of the release before the push, byte for byte: 54 parameters of `write_batch`, and nothing else."""
    sent = statements(monkeypatch)
    project(session, log(delegate(0), answer(1, "dispatched")), push=with_push)
    assert sent == [(CALL_BEFORE, 54)]


def test_call_without_push_is_the_one_before(session: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = statements(monkeypatch)
    project(session, log(delegate(0), answer(1, "completed")))
    assert sent == [(CALL_BEFORE, 54)]
    project(session, log(answer(1, "completed")), push=True)
    assert sent[1:] == [(f"SELECT pg_temp.write_ends({places(55, 64)}) FROM pg_temp.write_batch({places(1, 54)})", 64)]


def places(first: int, last: int) -> str:
    return ", ".join(f"${n}" for n in range(first, last + 1))


CALL_BEFORE = f"SELECT pg_temp.write_batch({places(1, 54)})"


def statements(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """Each statement that is sent from now on, and the number of its parameters."""
    sent: list[tuple[str, int]] = []
    send = connection.send

    def noted(conn: Connection, statement: str, types: Any, values: Any) -> Any:
        sent.append((statement, len(values)))
        return send(conn, statement, types, values)

    monkeypatch.setattr(write_batch, "send", noted)
    return sent
