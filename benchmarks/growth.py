"""Growth: the rate of catching up by the number of rows in the table before.

One statement inserts the rows, with all indexes in place and random ids, as after a long history: most have ended, one
in a hundred is in flight. Each round measures all sizes in turn, so that a slow minute affects all of them.
"""

import statistics
import time
from argparse import Namespace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
from psycopg import sql
from rich.console import Console

from benchmarks.environment import Environment, start_servers
from benchmarks.goals import Goal, ratios
from benchmarks.measurement import Measurement
from benchmarks.projecting import catch_up
from benchmarks.recording import generate
from benchmarks.report import goals_table, spread, table, write_results


def main(arguments: Namespace, console: Console, folder: Path) -> None:
    """Measure, print a table, and write the results."""
    measured: dict[int, list[Measurement]] = {rows: [] for rows in arguments.rows}
    with start_servers(folder) as servers:
        versions = servers.versions
        environment = servers.publish("growth", generate(arguments.records), console)
        templates = {rows: _filled(environment, rows, console) for rows in arguments.rows}
        for number in range(arguments.rounds):
            for rows, template in templates.items():
                url = _copy(environment, template)
                measured[rows].append(catch_up(environment, url))
                environment.drop_database(url)
                rate = measured[rows][-1].events_per_second
                console.print(f"round {number + 1}: {rows:,} rows: {rate:,.0f} delegation events/s")
    rates = {rows: [each.events_per_second for each in measured[rows]] for rows in arguments.rows}
    few, many = arguments.rows[0], arguments.rows[-1]
    per_event, median_of_few = environment.records / environment.events, statistics.median(rates[few])
    table_rows = [
        [
            f"{rows:,}",
            f"{statistics.median(each) * per_event:,.0f}",
            spread([rate * per_event for rate in each]),
            f"{statistics.median(each):,.0f}",
            f"{statistics.median(each) / median_of_few:.0%}",
        ]
        for rows, each in rates.items()
    ]
    columns = ["rows before", "records/s", "spread", "events/s", f"of {few:,} rows"]
    table(console, f"catching up on {environment.records:,} records, by rows in the table before", columns, table_rows)
    goal = Goal(f"with {many:,} rows in the table / with {few:,}", "≥ 0.9", ratios(rates[many], rates[few]))
    goals_table(console, [goal])
    as_json = {str(rows): [each._asdict() for each in each_size] for rows, each_size in measured.items()}
    result = {"records": environment.records, "rows_before": as_json, "goals": [goal.json]}
    write_results("growth", result, versions)


def _filled(environment: Environment, rows: int, console: Console) -> str:
    """Create a database with this number of rows, vacuumed; returns its URL."""
    url = environment.create_database()
    started = time.monotonic()
    with psycopg.connect(url, autocommit=True) as conn:
        insert_history(conn, rows, in_flight_every=100)
        conn.execute("VACUUM ANALYZE delegations")
    console.print(f"{rows:,} rows inserted in {time.monotonic() - started:.0f} s")
    return url


def insert_history(conn: psycopg.Connection[Any], rows: int, *, in_flight_every: int | None = None) -> None:
    """Insert this number of old delegations. One in `in_flight_every` is in flight; None: all have ended."""
    conn.execute(
        """
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, result_preview,
                                 deadline, created_at, updated_at, idempotency_key)
        SELECT gen_random_uuid()::text, md5((n %% 600)::text)::uuid, gen_random_uuid(), repeat('task ', 20),
               CASE WHEN n %% %(every)s = 0 THEN 'in_progress' ELSE 'completed' END, repeat('result ', 15),
               at + interval '6 hours', at, at, CASE WHEN n %% 3 = 0 THEN 'before-' || n END
          FROM (SELECT n, timestamptz '2025-01-01' + n * interval '1 second' AS at
                  FROM generate_series(1, %(rows)s) AS n) AS history
        """,
        {"rows": rows, "every": in_flight_every or rows + 1},
    )


def _copy(environment: Environment, template: str) -> str:
    """Copy the template database, so that each round starts with the same rows; returns the URL of the copy."""
    name = f"growth_{time.time_ns()}"
    source = urlsplit(template).path.removeprefix("/")
    with psycopg.connect(environment.postgres_url, autocommit=True) as server:
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
        server.execute(statement.format(sql.Identifier(name), sql.Identifier(source)))
        server.execute("CHECKPOINT")
    return urlsplit(template)._replace(path=f"/{name}").geturl()
