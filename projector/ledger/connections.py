"""The connections of services: the ledger sets nothing on them, and names what is wrong with them."""

import inspect
from typing import Any

import psycopg

from projector.errors import Misconfigured

AnyConnection = psycopg.Connection[Any] | psycopg.AsyncConnection[Any]

_REMEDIES = {
    "builtins.str": "connect first, with psycopg.connect",
    "builtins.coroutine": "await it first",
    "psycopg.Connection": "call the function of this name in projector.ledger",
    "psycopg.AsyncConnection": "call the function of this name in projector.ledger.aio",
    "psycopg.Cursor": "pass cursor.connection",
    "psycopg.AsyncCursor": "pass cursor.connection",
    "psycopg_pool.pool.ConnectionPool": "take a connection from it: with pool.connection() as conn",
    "psycopg_pool.pool_async.AsyncConnectionPool": "take a connection from it: async with pool.connection() as conn",
    "sqlalchemy.engine.base.Engine": "connect first, and pass conn.connection.driver_connection",
    "sqlalchemy.engine.base.Connection": "pass conn.connection.driver_connection",
    "sqlalchemy.pool.base._ConnectionFairy": "pass its driver_connection",
    "sqlalchemy.orm.session.Session": "pass session.connection().connection.driver_connection",
    "sqlalchemy.ext.asyncio.engine.AsyncEngine": (
        "connect first, and pass (await conn.get_raw_connection()).driver_connection"
    ),
    "sqlalchemy.ext.asyncio.engine.AsyncConnection": "pass (await conn.get_raw_connection()).driver_connection",
    "sqlalchemy.ext.asyncio.session.AsyncSession": (
        "pass (await (await session.connection()).get_raw_connection()).driver_connection"
    ),
}
"""What to do instead of passing an object of this class, or of a class derived from it."""


def require_usable(conn: object, kind: type[AnyConnection]) -> None:
    """Raise TypeError if `conn` is of another kind, Misconfigured if psycopg does not send its texts as UTF-8."""
    if not isinstance(conn, kind):
        classes = [_name(each) for each in inspect.getmro(type(conn))]
        remedies = [_REMEDIES[name] for name in classes if name in _REMEDIES]
        found = "None" if conn is None else classes[0].removeprefix("builtins.")  # never the value: a URL is secret
        raise TypeError("; ".join([f"conn must be a {_name(kind)}: found {found}", *remedies[:1]]))
    if conn.info.encoding != "utf-8":
        raise Misconfigured(
            f"client_encoding is {conn.info.parameter_status('client_encoding')}, and the ledger writes texts that it "
            "cannot hold: connect with client_encoding=UTF8"
        )


def _name(kind: type) -> str:
    return f"{kind.__module__}.{kind.__qualname__}"
