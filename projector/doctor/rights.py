"""The checks of the rights of the role in use."""

from projector.doctor.checks import Check, change, note, ok
from projector.errors import Misconfigured
from projector.postgres import migrations
from projector.postgres.connection import Connection
from projector.postgres.rights import COMMANDS, lacking


def rights(conn: Connection) -> list[Check]:
    """One check per command. Members need only the rights of `run`: another role may migrate and rebuild."""
    needed = {"run", "migrate"} if _is_pending(conn) else {"run"}
    found = {each.command: each for each in lacking(conn)}
    checks = []
    for command in COMMANDS:
        name, lack = f"rights of {command}", found.get(command)
        if lack is None:
            checks.append(ok(name, "the role has them"))
        else:
            level = change if command in needed else note
            checks.append(level(name, f"the role lacks {lack.found}", lack.remedy))
    return checks


def _is_pending(conn: Connection) -> bool:
    """Whether a migration is pending. An unknown version is the matter of another check."""
    try:
        return bool(migrations.status(conn).pending)
    except Misconfigured:
        return False
