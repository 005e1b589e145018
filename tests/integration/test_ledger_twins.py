"""The synchronous and the asynchronous ledger: the same calls have the same results and write the same rows."""

import asyncio
import inspect
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator

import psycopg
import pytest
from activity_table import SEARCH_PATH, activities, create_activity_table, view
from ledger_cases import AUDIT_CASES, CASES, FUNCTIONS, TWINS, Case, call, heartbeat, insert, results, status
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row
from roles import plain_role
from rows import CALLEE, CALLER, TEN

from projector.ledger import Effect, Inserted, aio
from projector.ledger.aio import audit as aio_audit

MODES: dict[str, dict[str, object]] = {
    "autocommit": {"autocommit": True},
    "pipeline": {"pipeline": True},
    "pipeline in autocommit": {"pipeline": True, "autocommit": True},
    "rows as dicts": {"row_factory": dict_row},
    "another time zone": {"options": "-c TimeZone=Pacific/Chatham -c DateStyle=German"},
}
CURSORS = {"synchronous": psycopg.RawCursor, "asynchronous": psycopg.AsyncRawCursor}


@pytest.fixture(scope="module")
def platform_url(shared_database_url: str) -> str:
    create_activity_table(shared_database_url)
    return make_conninfo(shared_database_url, options=SEARCH_PATH)


@pytest.fixture
def url(platform_url: str) -> str:
    """A database with the table `activity_logs`, without rows."""
    empty(platform_url)
    return platform_url


@pytest.fixture(params=TWINS)
def twin(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def empty(url: str) -> None:
    with psycopg.connect(url) as conn:
        conn.execute("DELETE FROM delegations; DELETE FROM activity_logs")


def written(url: str) -> list[dict[str, object]]:
    """The rows of both tables; of a time, whether it is there."""
    with psycopg.connect(url) as conn:
        rows = [row._asdict() for row in view(conn)] + [row | {"id": "random"} for row in activities(conn)]
    times = {"created_at", "updated_at", "deadline", "last_heartbeat"}
    return [row | {name: row[name] is not None for name in times & set(row)} for row in rows]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_twins_have_the_same_arguments(name: str) -> None:
    sync, asynchronous = (inspect.signature(each) for each in FUNCTIONS[name])
    assert [str(each) for each in list(sync.parameters.values())[1:]] == [
        str(each) for each in list(asynchronous.parameters.values())[1:]
    ]
    assert sync.return_annotation == asynchronous.return_annotation


@pytest.mark.parametrize("autocommit", [True, False])
@pytest.mark.parametrize(
    "case", [*CASES.values(), *AUDIT_CASES.values()], ids=[*CASES, *map("audit: {}".format, AUDIT_CASES)]
)
def test_twins_return_these_results_and_write_the_same_rows(url: str, case: Case, autocommit: bool) -> None:
    rows = list[list[dict[str, object]]]()
    for played in TWINS.values():
        empty(url)
        assert played(url, case, autocommit=autocommit) == results(case)
        rows.append(written(url))
    assert rows[0] == rows[1]


@pytest.mark.parametrize("mode", MODES)
def test_any_connection_is_right(url: str, twin: str, mode: str) -> None:
    for case in (CASES["requests"], CASES["steps"]):
        empty(url)
        assert TWINS[twin](url, case, **MODES[mode]) == results(case)


def test_cursor_factory_does_not_matter(url: str, twin: str) -> None:
    assert TWINS[twin](url, CASES["steps"], cursor_factory=CURSORS[twin]) == results(CASES["steps"])


def test_deadline_is_stored(url: str, twin: str) -> None:
    assert TWINS[twin](url, [(insert(deadline=TEN), None)]) == [Inserted("d-1")]
    with psycopg.connect(url) as conn:
        assert view(conn)[0].deadline == TEN


EACH = [(insert(), None), (status("queued"), None), (heartbeat(), None)]
EACH_AUDIT = [
    (call("record_request", "d-1", CALLER, CALLEE, "count"), None),
    (call("record_status", "d-1", "queued", caller_id=CALLER), None),
    (call("record_heartbeat", "d-1", caller_id=CALLER), None),
]


def test_client_encoding_other_than_utf8_is_named(url: str, twin: str) -> None:
    for found in TWINS[twin](make_conninfo(url, client_encoding="LATIN1"), EACH):
        assert str(found).startswith("Misconfigured: client_encoding is LATIN1, ")


def test_hidden_row_is_not_called_missing(url: str, shared_database_url: str, twin: str) -> None:
    with plain_role(shared_database_url) as role_url, psycopg.connect(url, autocommit=True) as owner:
        owner.execute("ALTER TABLE delegations ENABLE ROW LEVEL SECURITY")
        try:
            found = TWINS[twin](make_conninfo(role_url, options=SEARCH_PATH), EACH[1:], autocommit=True)
        finally:
            owner.execute("ALTER TABLE delegations DISABLE ROW LEVEL SECURITY")
    assert [str(each).partition(" applies")[0] for each in found] == [
        "Misconfigured: row-level security of the table delegations"
    ] * 2


def test_errors_of_the_database_are_unchanged(url: str, twin: str) -> None:
    found = TWINS[twin](make_conninfo(url, options="-c search_path=pg_catalog"), EACH, autocommit=True)
    assert {str(each).partition(":")[0] for each in found} == {"UndefinedTable"}


def test_audit_refuses_pipeline_mode(url: str, twin: str) -> None:
    for found in TWINS[twin](url, EACH_AUDIT, autocommit=True, pipeline=True):
        assert isinstance(found, tuple)
        assert all(part.startswith("Misconfigured: the connection is in pipeline mode") for part in found)
    assert written(url) == []


def test_audit_refuses_a_transaction(url: str, twin: str) -> None:
    found = TWINS[twin](url, [(status("queued"), None), *EACH_AUDIT])
    for parts in found[1:]:
        assert isinstance(parts, tuple)
        assert all(part.startswith("Misconfigured: the connection is inside a transaction") for part in parts)
    assert written(url) == []


def test_audit_returns_errors_of_the_database(url: str, twin: str, caplog: pytest.LogCaptureFixture) -> None:
    read_only = make_conninfo(url, options=f"{SEARCH_PATH} -c default_transaction_read_only=on")
    for found in TWINS[twin](read_only, EACH_AUDIT, autocommit=True):
        assert isinstance(found, tuple)
        assert all(part.startswith("ReadOnlySqlTransaction: ") for part in found)
    rows = ("activity", "view") * 3
    assert [line.getMessage() for line in caplog.records if line.name == "projector.ledger.audit"] == [
        f'an audit write failed: the {row} row of delegation "d-1"' for row in rows
    ]


# --- tasks of one process


def test_one_of_five_tasks_makes_the_transition(url: str) -> None:
    async def raced() -> list[Effect]:
        async def advance() -> Effect:
            async with await psycopg.AsyncConnection.connect(url) as conn:
                return await aio.set_status(conn, "d-1", "dispatched")

        return list(await asyncio.gather(*(advance() for _ in range(5))))

    TWINS["asynchronous"](url, [(insert(), None)])
    assert Counter(asyncio.run(raced())) == {Effect.ADVANCED: 1, Effect.DUPLICATE: 4}


@pytest.fixture
def lock(url: str) -> Iterator[psycopg.Connection]:
    """A connection that holds the locks of both tables until its rollback."""
    with psycopg.connect(url) as conn:
        conn.execute("LOCK TABLE activity_logs, delegations")
        yield conn


async def cancelled_when_blocked(task: asyncio.Task[object], lock: psycopg.Connection) -> None:
    blocked = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"
    while lock.execute(blocked).fetchone() == (0,):
        await asyncio.sleep(0.01)  # Postgres does not signal that a session waits for a lock
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


CANCELLED: dict[str, Callable[[psycopg.AsyncConnection], Coroutine[object, object, object]]] = {
    "row": lambda conn: aio.insert(conn, "d-1", CALLER, CALLEE, "count"),
    "audit": lambda conn: aio_audit.record_request(conn, "d-1", CALLER, CALLEE, "count"),
}


@pytest.mark.parametrize("name", CANCELLED)
def test_cancelled_call_writes_nothing_and_leaves_the_connection(url: str, lock: psycopg.Connection, name: str) -> None:
    async def cancelled() -> object:
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as conn:
            await cancelled_when_blocked(asyncio.create_task(CANCELLED[name](conn)), lock)
            lock.rollback()
            assert written(url) == []
            return await aio.insert(conn, "d-1", CALLER, CALLEE, "count")

    assert asyncio.run(cancelled()) == Inserted("d-1")
