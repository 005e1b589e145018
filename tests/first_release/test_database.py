"""The database of the first release is migrated, projected further and verified. prove_members.py has its members."""

from typing import Any

import psycopg
from cluster import Cluster
from psycopg.rows import dict_row

from first_release import run
from testbed.workload import Mix

TABLES = {"delegations": 29, "projector.positions": 3, "projector.parked": 3, "projector.large_rows": 12}
"""Table → its rows in the dump. Beside these it has three dead letters."""


def rows(cluster: Cluster, table: str) -> list[dict[str, Any]]:
    with psycopg.connect(cluster.database_url, row_factory=dict_row) as conn:
        return conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2".encode()).fetchall()


def test_migrations_keep_every_row(restored: Cluster) -> None:
    before = {table: rows(restored, table) for table in TABLES}
    assert {table: len(found) for table, found in before.items()} == TABLES
    assert run(restored, "migrate", "up").out.endswith("the schema is up to date\n")
    for table, stored in before.items():
        kept = [{name: row[name] for name in stored[0]} for row in rows(restored, table)]
        assert kept == stored


def test_members_go_on_and_the_second_edition_is_retried(restored: Cluster) -> None:
    """A time that is a number made a dead letter in the first edition of the contract; the second one reads it."""
    run(restored, "migrate", "up")
    restored.start_member()
    restored.publish(Mix(delegations=20, seed=8))
    restored.wait_until_caught_up()
    found = run(restored, "verify", "--json", code=3).json()
    assert (found["kinds"], found["drift"]) == ({"missing": 1, "unexpected": 0, "differs": 0, "parked": 0}, 1)
    assert "1 projected" in run(restored, "dead-letters", "retry", "--all", code=5).out
    assert run(restored, "verify", "--json").json()["drift"] == 0
    restored.assert_view_equals_log()
