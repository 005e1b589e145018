"""`projector migrate`: applies and reverts the migrations of the schema."""

import json

from projector.cli.exit_codes import DONE
from projector.cli.output import confirm
from projector.cli.terminal import wrap
from projector.postgres import migrations
from projector.postgres.connection import connect, mapped_errors
from projector.postgres.queries import triggers_and_rules
from projector.settings import Settings
from projector.texts import counted


def up(settings: Settings) -> int:
    """Apply the pending migrations."""
    with connect(settings) as conn, mapped_errors():
        for migration in migrations.up(conn):
            print(f"applied {migration.name}")
        print("the schema is up to date")
        _print_triggers(triggers_and_rules(conn))
    return DONE


def down(settings: Settings, to: int, yes: bool) -> int:
    """Revert the migrations above version `to`. Ask first if rows would be lost."""
    with connect(settings) as conn, mapped_errors():
        lost = {table: rows for table, rows in migrations.rows_to_be_lost(conn, to=to).items() if rows}
        if lost and not yes:
            confirm("destroy " + ", ".join(f"{counted(rows, 'row')} of {table}" for table, rows in lost.items()))
        reverted = migrations.down(conn, to=to)
    for migration in reverted:
        print(f"reverted {migration.name}")
    if not reverted:
        print(f"no migration above version {to} is applied: nothing to revert")
    return DONE


def recreate_shadow(settings: Settings) -> int:
    """Create the tables of the shadow again."""
    with connect(settings) as conn, mapped_errors():
        migrations.recreate_shadow(conn)
    print("the shadow was created again")
    return DONE


def status(settings: Settings, json_output: bool) -> int:
    """Print the applied and the pending migrations."""
    with connect(settings) as conn, mapped_errors():
        found = migrations.status(conn)
        triggers = triggers_and_rules(conn) if found.applied else []
    if json_output:
        names = {"applied": [each.name for each in found.applied], "pending": [each.name for each in found.pending]}
        print(json.dumps({**names, "adopted": found.adopted, "triggers": triggers}))
        return DONE
    for migration in found.applied:
        adopted = " (adopted)" if found.adopted and migration.name.endswith("_delegations") else ""
        print(f"applied  {migration.name}{adopted}")
    for migration in found.pending:
        print(f"pending  {migration.name}")
    _print_triggers(triggers)
    return DONE


def _print_triggers(names: list[str]) -> None:
    if names:
        print(
            wrap(
                f"the table delegations has {', '.join(names)}: a trigger or rule that changes or refuses what the "
                "projector writes makes the table differ from the topic (`projector verify` shows it)"
            )
        )
