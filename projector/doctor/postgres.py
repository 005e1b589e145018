"""The checks of the database that has the view."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from projector.doctor.checks import Check, Checks, change, note, ok
from projector.doctor.clocks import Reading
from projector.doctor.rights import rights
from projector.doctor.tables import database_space, row_level_security, schema, shadow, triggers_and_rules
from projector.domain.positions import Position
from projector.errors import DatabaseUnavailable, Misconfigured
from projector.postgres import inspection, positions, queries
from projector.postgres.connection import Connection
from projector.postgres.inspection import Default, Server, open_inspection, reading
from projector.postgres.queries import PositionDetail
from projector.postgres.session import SETTINGS
from projector.settings import Settings

NAME = "postgres"
REMEDY = "start Postgres, or correct PROJECTOR_DATABASE_URL (what it leaves out comes from PGHOST, PGUSER, ...)"
_NOT_SET = {
    "default_transaction_read_only": ("off", "no member can write"),
    "session_replication_role": ("origin", "triggers do not fire, and one of them protects parked verdicts"),
}
"""What no session of the projector sets: the value that it needs, and what happens with another one."""
_UTF8 = "UTF8"
_OF_INITDB = {"TimeZone", "lc_monetary"}
"""What initdb writes into the configuration of each server."""


class Database:
    """The checks, and what other checks need: positions by partition, clock and server. None if they are unknown."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.positions: Mapping[int, Position] | None = None
        self.claims: Sequence[PositionDetail] = ()
        self.clock: Reading | None = None
        self.server: Server | None = None

    def check(self, checks: Checks) -> None:
        """Make the checks. Raises ProjectorError if Postgres cannot be reached, or no longer."""
        with open_inspection(self._settings) as conn:
            with reading(conn):
                self.server = server = inspection.server(conn)
            checks += [_server(server), _encoding(server)]
            self._read_clock(conn)
            checks.add("positions", lambda: self._read_positions(conn))
            checks.add("pooler", lambda: [_pooler(inspection.refusal_of_pooler(self._settings))])
            self._add_all(checks, conn, server)

    def _add_all(self, checks: Checks, conn: Connection, server: Server) -> None:
        parts: Sequence[tuple[str, Callable[[], Iterable[Check]]]] = (
            ("session defaults", lambda: [_defaults(inspection.defaults(conn), server)]),
            ("schema", lambda: [schema(conn)]),
            ("shadow", lambda: [shadow(conn)]),
            ("rights", lambda: rights(conn)),
            ("row-level security", lambda: [row_level_security(conn, server)]),
            ("triggers and rules", lambda: [triggers_and_rules(conn)]),
            ("database space", lambda: [database_space(conn)]),
        )
        for name, make in parts:
            if conn.closed:
                raise DatabaseUnavailable("the connection ended during the checks")
            checks.add(name, in_transaction(conn, make))

    def _read_positions(self, conn: Connection) -> list[Check]:
        with suppress(Misconfigured), reading(conn):  # the checks of schema and rights report it
            self.positions = positions.read(conn, self._settings.topic)
            self.claims = queries.positions(conn, topic=self._settings.topic)
        return []

    def _read_clock(self, conn: Connection) -> None:
        with reading(conn):
            asked_at = time.time()
            at = queries.clock(conn).timestamp()
            self.clock = Reading("Postgres", at, asked_at, time.time())


def in_transaction(conn: Connection, make: Callable[[], Iterable[Check]]) -> Callable[[], Iterable[Check]]:
    """The same checks in a transaction of their own: an error of one then leaves the others as they are."""

    def called() -> Iterable[Check]:
        with reading(conn):
            return list(make())

    return called


def _server(server: Server) -> Check:
    found = f"version {server.version_name}, database {server.database}, role {server.role}"
    if server.is_standby:
        return change(NAME, f"{found}: a standby, which only reads", "set PROJECTOR_DATABASE_URL to the primary")
    return ok(NAME, found)


def _encoding(server: Server) -> Check:
    name = "encoding"
    if server.encoding == _UTF8:
        return ok(name, f"the database is {_UTF8}")
    return change(
        name,
        f"the database is {server.encoding}, and texts of the platform are UTF-8",
        "create another database with ENCODING 'UTF8' TEMPLATE template0, and set PROJECTOR_DATABASE_URL to it",
    )


def _defaults(defaults: Sequence[Default], server: Server) -> Check:
    name = "session defaults"
    found = {each.name: each for each in defaults}
    wrong = [(found[each], *needed) for each, needed in _NOT_SET.items() if each in found]
    wrong = [each for each in wrong if each[0].value != each[1]]
    if wrong:
        return change(
            name,
            "; ".join(f"{_shown(default)}: {consequence}" for default, _, consequence in wrong),
            "\n".join(
                f"ALTER ROLE {server.quoted_role} SET {default.name} = '{value}';" for default, value, _ in wrong
            ),
        )
    overridden = [
        each for name, setting in SETTINGS.items() if (each := found.get(name)) and _is_odd(each, setting.value)
    ]
    if overridden:
        return note(name, f"{', '.join(map(_shown, overridden))}: the sessions of the projector override it")
    return ok(name, "as the projector needs them, or overridden by its sessions")


def _is_odd(default: Default, expected: str) -> bool:
    """Whether a default has another value than that of the projector. Of DateStyle, only the first part matters."""
    usual = {value.partition(",")[0].lower() for value in (expected, default.built_in or "")}
    is_usual = default.value.partition(",")[0].lower() in usual
    return not is_usual and (default.name not in _OF_INITDB or default.scope is not None)


def _pooler(refusal: str | None) -> Check:
    name = "pooler"
    if refusal is None:
        return ok(name, "none, or each client has a server session of its own")
    found, _, remedy = refusal.partition(". ")
    return change(name, found, remedy)


def _shown(default: Default) -> str:
    return f"{default.name} is {default.value}" + (f" (set for {default.scope})" if default.scope else "")
