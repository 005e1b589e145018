"""The checks of the view and of the projector's own tables."""

from projector.doctor.checks import Check, change, note, ok
from projector.errors import Misconfigured
from projector.postgres import inspection, migrations, queries
from projector.postgres.connection import Connection
from projector.postgres.inspection import Server
from projector.postgres.space import space
from projector.texts import counted, size

_MANY_DEAD_ROWS = 100_000


def schema(conn: Connection) -> Check:
    """Whether every migration of this release is applied, and no later one."""
    name = "schema"
    try:
        status = migrations.status(conn)
    except Misconfigured as error:
        return change(name, *_sentences(str(error)))
    if status.pending:
        pending = ", ".join(migration.name for migration in status.pending)
        return change(name, f"the database lacks {pending}", "run `projector migrate up`")
    return ok(name, f"version {status.applied[-1].version}, as this release needs it")


def _sentences(text: str) -> tuple[str, str]:
    """What is wrong, and what to do: an error of the migrations has both."""
    found, _, remedy = text.partition(". ")
    return (found, remedy) if remedy else (found, "run `projector migrate status`")


def shadow(conn: Connection) -> Check:
    """Whether `verify` and `rebuild` have the tables that they need."""
    name = "shadow"
    if migrations.status(conn).pending:
        return note(name, "not compared, because a migration is pending")
    if differing := inspection.differing_shadow_tables(conn):
        found = "; ".join(f"projector_shadow.{table.name}: {table.differences}" for table in differing)
        return change(name, found, "run `projector migrate recreate-shadow`")
    return ok(name, "its tables equal the tables that they copy")


def row_level_security(conn: Connection, server: Server) -> Check:
    """Whether row-level security hides rows from the role in use."""
    name = "row-level security"
    tables = inspection.secured_tables(conn)
    if hidden := [table.name for table in tables if table.applies]:
        return change(
            name,
            f"it hides rows of {', '.join(hidden)} from role {server.role}",
            f"ALTER ROLE {server.quoted_role} BYPASSRLS;",
        )
    if tables:
        names = ", ".join(table.name for table in tables)
        return ok(name, f"{names}: role {server.role} bypasses it")
    return ok(name, "no table of the projector has it")


def triggers_and_rules(conn: Connection) -> Check:
    """What can change or refuse the rows that are written into the view."""
    name = "triggers and rules"
    found = queries.triggers_and_rules(conn)
    rules = [each.removeprefix("rule ") for each in found if each.startswith("rule ")]
    if rules:
        drop = "\n".join(f"DROP RULE {_quoted(rule)} ON delegations;" for rule in rules)
        return change(name, f"delegations has {', '.join(found)}: Postgres cannot write a table with rules", drop)
    if found:
        return note(
            name,
            f"delegations has {', '.join(found)}",
            "a trigger must not change or suppress a row: then `verify` finds drift, or records become dead letters",
        )
    return ok(name, "delegations has none")


def _quoted(name: str) -> str:
    escaped = name.replace('"', '""')
    return f'"{escaped}"'


def database_space(conn: Connection) -> Check:
    """Hints: how large the tables are, and what limits a rebuild."""
    name = "database space"
    found = space(conn)
    sizes = [f"{table.name} {size(table.bytes)}" for table in found.tables[:3]]
    sentence = f"hint: the database has {size(found.database_bytes)} ({', '.join(sizes) or 'no table of ours'})"
    remedies = []
    if dead := [t for t in found.tables if t.dead_rows > max(_MANY_DEAD_ROWS, t.live_rows)]:
        sentence += "; " + ", ".join(f"{table.name} has {counted(table.dead_rows, 'dead row')}" for table in dead)
        remedies += [f"VACUUM {table.name};" for table in dead]
    if found.temp_file_limit is not None:
        sentence += f"; temp_file_limit is {size(found.temp_file_limit)}: verify and rebuild sort in files"
    if remedies or found.temp_file_limit is not None:
        return note(name, sentence, "\n".join(remedies) or None)
    return ok(name, sentence)
