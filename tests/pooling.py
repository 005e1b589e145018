"""A PgBouncer in front of the test's database, and what its server sessions contain."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg

from testbed.servers.pooler import Pooler, PoolMode, start_pooler

NO_RESET = {"server_reset_query": ""}
"""The option of a pool that gives the next client whatever a client leaves."""

LEFT_BY_AN_EARLIER_CLIENT: tuple[LiteralString, ...] = (
    "DO $$ BEGIN END $$",  # so that the settings of plpgsql are listed from the beginning
    "SET work_mem = '5MB'",
    "SET search_path = elsewhere, wärehouse, public",
    "SET TimeZone = 'Asia/Tokyo'",
    "SET lock_timeout = '7s'",
    "SET other.client = 'here'",
    "PREPARE left_by_another AS SELECT 1",
    "CREATE TEMP TABLE left_by_another (n int)",
    "CREATE FUNCTION pg_temp.left_by_another() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "SELECT pg_advisory_lock(pg_backend_pid())",
)

STATE: dict[str, LiteralString] = {
    "settings": "SELECT name, setting FROM pg_settings ORDER BY name",
    "custom": "SELECT current_setting('other.client', true)",
    "prepared": "SELECT name, statement FROM pg_prepared_statements ORDER BY name",
    "relations": "SELECT relname::text FROM pg_class WHERE relnamespace = pg_my_temp_schema() ORDER BY 1",
    "functions": "SELECT proname::text FROM pg_proc WHERE pronamespace = pg_my_temp_schema() ORDER BY 1",
    "locks": "SELECT objid::int FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()",
    "channels": "SELECT pg_listening_channels()",
}

State = dict[str, list[tuple[Any, ...]]]


@contextmanager
def pooled(folder: Path, url: str, mode: PoolMode, size: int, **options: str) -> Iterator[Pooler]:
    """A PgBouncer with this pool, and without a reset query unless the options have one."""
    settings = {**NO_RESET, "query_wait_timeout": "30", **options}
    with start_pooler(folder, url, pool_mode=mode, pool_size=size, options=settings) as pooler:
        yield pooler


@contextmanager
def all_sessions(url: str, size: int) -> Iterator[list[psycopg.Connection[Any]]]:
    """One client per server session of the pool, all at once and in a transaction: each then has its own."""
    with ExitStack() as stack:
        clients = [stack.enter_context(psycopg.connect(url)) for _ in range(size)]
        for client in clients:
            client.execute("SELECT", prepare=False)
        yield clients


def mark(url: str, size: int) -> None:
    """Change every server session of the pool, as earlier clients can."""
    with all_sessions(url, size) as clients:
        for client in clients:
            for statement in LEFT_BY_AN_EARLIER_CLIENT:
                client.execute(statement, prepare=False)


def states(url: str, size: int) -> dict[int, State]:
    """Server pid → what is in this session, for every server session of the pool."""
    with all_sessions(url, size) as clients:
        return {_pid(client): _state(client) for client in clients}


def _state(client: psycopg.Connection[Any]) -> State:
    return {name: client.execute(statement, prepare=False).fetchall() for name, statement in STATE.items()}


def _pid(client: psycopg.Connection[Any]) -> int:
    [(pid,)] = client.execute("SELECT pg_backend_pid()", prepare=False).fetchall()
    return int(pid)


@contextmanager
def busy(url: str, clients: int) -> Iterator[None]:
    """Let this number of other clients send short statements without a pause."""
    ended = threading.Event()

    def work() -> None:
        with psycopg.connect(url, autocommit=True) as conn:
            while not ended.is_set():
                conn.execute("SELECT count(*) FROM pg_class", prepare=False)

    threads = [threading.Thread(target=work) for _ in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        ended.set()
        for thread in threads:
            thread.join()
