"""The connection that a service passes: another object is named, with what to pass instead."""

import asyncio
from typing import Any

import psycopg
import psycopg_pool
import pytest
from rows import CALLER
from sqlalchemy import create_engine, orm
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from projector import ledger
from projector.ledger import AlreadyExists, Conflict, Inserted, aio, audit
from projector.ledger.aio import audit as aio_audit
from projector.ledger.audit import Failed

URL = "postgresql://me:secret@db/mine"


def heartbeat(conn: Any) -> str:
    """The error of a call with this object as its connection."""
    with pytest.raises(TypeError) as raised:
        ledger.heartbeat(conn, "d-1")
    return str(raised.value)


async def aio_heartbeat(conn: Any) -> str:
    with pytest.raises(TypeError) as raised:
        await aio.heartbeat(conn, "d-1")
    return str(raised.value)


@pytest.mark.parametrize(
    ("wrong", "found"), [(None, "None"), (URL, "str; connect first, with psycopg.connect"), (7, "int")]
)
def test_value_is_no_connection(wrong: object, found: str) -> None:
    assert heartbeat(wrong) == f"conn must be a psycopg.Connection: found {found}"
    assert asyncio.run(aio_heartbeat(wrong)) == f"conn must be a psycopg.AsyncConnection: found {found}"


def test_connection_of_another_driver_is_named() -> None:
    another = type("Connection", (), {"__module__": "asyncpg.connection"})()
    assert heartbeat(another) == "conn must be a psycopg.Connection: found asyncpg.connection.Connection"


def test_twin_is_named(database_url: str) -> None:
    async def asynchronous() -> str:
        async with await psycopg.AsyncConnection.connect(database_url) as conn:
            return heartbeat(conn)

    assert asyncio.run(asynchronous()).endswith(
        "found psycopg.AsyncConnection; call the function of this name in projector.ledger.aio"
    )
    with psycopg.connect(database_url) as conn:
        assert asyncio.run(aio_heartbeat(conn)).endswith(
            "found psycopg.Connection; call the function of this name in projector.ledger"
        )
        assert heartbeat(conn.cursor()).endswith("found psycopg.Cursor; pass cursor.connection")


def test_connection_must_be_awaited(database_url: str) -> None:
    connecting = psycopg.AsyncConnection.connect(database_url)
    assert asyncio.run(aio_heartbeat(connecting)).endswith("found coroutine; await it first")
    connecting.close()


def test_pool_is_named(database_url: str) -> None:
    pool = psycopg_pool.ConnectionPool(database_url, open=False)
    assert heartbeat(pool).endswith("take a connection from it: with pool.connection() as conn")

    async def asynchronous() -> str:
        return await aio_heartbeat(psycopg_pool.AsyncConnectionPool(database_url, open=False))

    assert asyncio.run(asynchronous()).endswith("take a connection from it: async with pool.connection() as conn")


def test_objects_of_sqlalchemy_are_named(database_url: str) -> None:
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect() as conn, orm.Session(engine) as session:
            told = [heartbeat(each).partition("; ")[2] for each in (engine, conn, conn.connection, session)]
    finally:
        engine.dispose()
    assert told == [
        "connect first, and pass conn.connection.driver_connection",
        "pass conn.connection.driver_connection",
        "pass its driver_connection",
        "pass session.connection().connection.driver_connection",
    ]


def test_asynchronous_objects_of_sqlalchemy_are_named(database_url: str) -> None:
    async def told() -> list[str]:
        engine = create_async_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))
        try:
            async with engine.connect() as conn, AsyncSession(engine) as session:
                wrong = (engine, conn, session)
                return [(await aio_heartbeat(each)).partition("; ")[2] for each in wrong]
        finally:
            await engine.dispose()

    assert asyncio.run(told()) == [
        "connect first, and pass (await conn.get_raw_connection()).driver_connection",
        "pass (await conn.get_raw_connection()).driver_connection",
        "pass (await (await session.connection()).get_raw_connection()).driver_connection",
    ]


def test_audit_returns_the_wrong_connection() -> None:
    wrong: Any = URL
    for recorded in (
        audit.record_heartbeat(wrong, "d-1", caller_id=CALLER),
        asyncio.run(aio_audit.record_heartbeat(wrong, "d-1", caller_id=CALLER)),
    ):
        for part in recorded:
            assert isinstance(part, Failed)
            assert isinstance(part.error, TypeError)
            assert "secret" not in str(part.error)


def test_sqlalchemy_commits_only_what_it_began(database_url: str) -> None:
    """As the page warns: SQLAlchemy does not see the statements of the ledger."""
    engine = create_engine(database_url.replace("postgresql:", "postgresql+psycopg:"))

    def insert(conn: Any) -> object:
        return ledger.insert(conn.connection.driver_connection, "d-1", CALLER, CALLER, "count")

    try:
        with engine.connect() as conn:
            assert insert(conn) == Inserted("d-1")
            conn.commit()
        with engine.begin() as conn:
            assert insert(conn) == Inserted("d-1")
        with engine.begin() as conn:
            assert insert(conn) == AlreadyExists("d-1", Conflict.SAME_ID)
    finally:
        engine.dispose()
