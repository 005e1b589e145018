"""How cost grows: the rate of catching up with so many rows in the table already.

The rows are made by one statement, with all indexes in place and random ids, as a history would have them: most have
ended, one in a hundred is in flight. Rounds go through all sizes in turn, so that a slow minute is no size's own.
"""

import statistics
import time
from argparse import Namespace
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from rich.console import Console

from benchmarks.environment import Environment, servers
from benchmarks.measured import Measured
from benchmarks.projecting import catch_up
from benchmarks.recording import made
from benchmarks.report import keep, spread, table


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print a table, and keep what was measured."""
    found: dict[int, list[Measured]] = {rows: [] for rows in arguments.rows}
    with servers(folder) as places:
        versions = places.versions
        field = places.field("growth", made(arguments.records), console)
        templates = {rows: _filled(field, rows, console) for rows in arguments.rows}
        for number in range(arguments.rounds):
            for rows, template in templates.items():
                url = _copy(field, template)
                found[rows].append(catch_up(field, url))
                field.drop(url)
                console.print(f"round {number + 1}: {rows:,} rows: {found[rows][-1].events_per_second:,.0f} events/s")
    medians = {rows: statistics.median(each.events_per_second for each in measured) for rows, measured in found.items()}
    first = medians[arguments.rows[0]]
    listed = [
        [
            f"{rows:,}",
            f"{median:,.0f}",
            spread([each.events_per_second for each in found[rows]]),
            f"{median / first:.0%}",
        ]
        for rows, median in medians.items()
    ]
    columns = ["rows before", "events/s", "spread", f"of {arguments.rows[0]:,} rows"]
    table(console, f"catching up on {field.records:,} records with a table that holds rows", columns, listed)
    measured = {str(rows): [each._asdict() for each in each_round] for rows, each_round in found.items()}
    keep("growth", {"records": field.records, "rows_before": measured}, versions)


def _filled(field: Environment, rows: int, console: Console) -> str:
    """The address of a database that holds so many rows, vacuumed."""
    url = field.database()
    began = time.monotonic()
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(
            """
            INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, result_preview,
                                     deadline, created_at, updated_at, idempotency_key)
            SELECT gen_random_uuid()::text, md5((n %% 600)::text)::uuid, gen_random_uuid(), repeat('task ', 20),
                   CASE WHEN n %% 100 = 0 THEN 'in_progress' ELSE 'completed' END, repeat('result ', 15),
                   at + interval '6 hours', at, at, CASE WHEN n %% 3 = 0 THEN 'before-' || n END
              FROM (SELECT n, timestamptz '2025-01-01' + n * interval '1 second' AS at
                      FROM generate_series(1, %(rows)s) AS n) AS history
            """,
            {"rows": rows},
        )
        conn.execute("VACUUM ANALYZE delegations")
    console.print(f"{rows:,} rows made in {time.monotonic() - began:.0f} s")
    return url


def _copy(field: Environment, template: str) -> str:
    """The address of a copy of the database there: each round finds the same rows."""
    name = f"growth_{time.time_ns()}"
    of = urlsplit(template).path.removeprefix("/")
    with psycopg.connect(field.postgres_url, autocommit=True) as server:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        server.execute(statement.format(sql.Identifier(name), sql.Identifier(of)))
        server.execute("CHECKPOINT")
    return urlsplit(template)._replace(path=f"/{name}").geturl()
