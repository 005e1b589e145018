"""`projector migrate`: the schema, up and down."""

import argparse
import sys
from typing import Any

from projector.errors import ProjectorError
from projector.postgres import migrations
from projector.postgres.connection import Connection, connect
from projector.settings import Settings


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "migrate",
        help="bring the database's schema up to date, or take it back",
        description="Applies the numbered files of schema/, one transaction a file, under a lock: several at once are "
        "safe. A table `delegations` that is there already is adopted where it fits.",
    )
    ways = parser.add_subparsers(required=True, metavar="up | down | status")
    for name, command, about in (
        ("up", _up, "apply what is pending"),
        ("down", _down, "take everything back, or all that came after --to N"),
        ("status", _status, "which files are applied, which are pending"),
    ):
        way = ways.add_parser(name, parents=[settings], help=about, description=about.capitalize() + ".")
        way.set_defaults(command=command)
        if name == "down":
            way.add_argument("--to", metavar="N", type=int, default=0, help="stay at version N; 0 leaves nothing")
            way.add_argument("--yes", action="store_true", help="do not ask, even if rows would be destroyed")


def _connect(settings: Settings) -> Connection:
    return connect(settings)


def _up(settings: Settings, _: argparse.Namespace) -> int:
    with _connect(settings) as conn:
        for migration in migrations.up(conn):
            print(f"applied {migration.name}")
        print("the schema is up to date")
    return 0


def _down(settings: Settings, arguments: argparse.Namespace) -> int:
    with _connect(settings) as conn:
        stake = {table: rows for table, rows in migrations.rows_to_be_lost(conn, to=arguments.to).items() if rows}
        if stake and not arguments.yes:
            _ask(stake)
        for migration in migrations.down(conn, to=arguments.to):
            print(f"took back {migration.name}")
    return 0


def _ask(stake: dict[str, int]) -> None:
    lost = ", ".join(f"{rows} rows of {table}" for table, rows in stake.items())
    if not sys.stdin.isatty():
        raise ProjectorError(f"this would destroy {lost}: add --yes to do it")
    if input(f"This destroys {lost}. Type yes to go on: ").strip() != "yes":
        raise ProjectorError("nothing was taken back")


def _status(settings: Settings, _: argparse.Namespace) -> int:
    with _connect(settings) as conn:
        standing = migrations.status(conn)
    for migration in standing.applied:
        adopted = " (adopted)" if standing.adopted and migration.name.endswith("_delegations") else ""
        print(f"applied  {migration.name}{adopted}")
    for migration in standing.pending:
        print(f"pending  {migration.name}")
    return 0
