"""Wrong clocks, those of the events and that of the machine: no rule of the projection reads a wall clock."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from rows import answer, delegate, heartbeat
from strategies import written
from under_load import under_load

import projector
from testbed.workload import Record

JUMPING = """
import itertools, time
_true_time, _jumps = time.time, itertools.cycle([0, 86_400, -86_400])
time.time = lambda: _true_time() + next(_jumps)
time.time_ns = lambda: int(time.time() * 1e9)
"""
PAST, FUTURE = "1970-01-01T00:00:00Z", "9999-12-31T17:59:59.999999Z"
CLOCK_READERS = {"projector.worker.health", "projector.worker.measures", "projector.logs", "projector.kafka.rebalance"}
"""Modules of a member that may read a wall clock: for times in reports, metrics, log lines and heartbeats."""


def test_extreme_and_backward_event_times_match_the_oracle(cluster: Cluster) -> None:
    cluster.watch_positions()
    cluster.start_member()
    cluster.publish(_extreme_times())
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_outcomes_counted_once()


def _extreme_times() -> Iterator[Record]:
    for n, (first, last) in enumerate([(PAST, FUTURE), (FUTURE, PAST), (PAST, PAST), (FUTURE, FUTURE)] * 5):
        body = {"delegation_id": f"d-{n}", "task": "wait"}
        deadline = {} if first is PAST else {"deadline": FUTURE}
        rows = [
            delegate(0, request_body=body | deadline, created_at=first),
            answer(1, "dispatched", of=f"d-{n}", created_at=last),
            heartbeat(2, of=f"d-{n}") | {"created_at": first},
            answer(3, "completed", of=f"d-{n}", text="done", created_at=first),
        ]
        yield from (Record(b"c1", written(row), 0) for row in rows)


def test_jumping_machine_clock_does_not_change_the_table(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each reading is a day away from the one before. Python runs this file before the member's first line."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    cluster.watch_positions()
    member = cluster.start_member()
    with under_load(cluster, per_second=1000):
        cluster.wait_until_more_projected_than(500)
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    cluster.assert_nothing_dropped()
    cluster.assert_projected_once()
    cluster.assert_outcomes_counted_once()
    assert len({line["time"][:10] for line in member.lines()}) > 1, "the clock did not jump"


def test_no_projecting_module_reads_a_wall_clock() -> None:
    folder = Path(projector.__file__).parent
    for name in _reached_from("projector.worker.loop", folder) - CLOCK_READERS:
        tree = ast.parse(_file(name, folder).read_text())
        readings = [ast.unparse(node) for node in ast.walk(tree) if _reads_a_clock(node)]
        assert readings == [], f"{name} reads a wall clock: {readings}"


def _reads_a_clock(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return (ast.unparse(node.value), node.attr) in {("time", "time"), ("time", "time_ns")} or (
            node.attr in {"now", "utcnow", "today"} and ast.unparse(node.value).split(".")[-1] in {"datetime", "date"}
        )
    # SQL too. What only people read, `moved_at` and `claimed_at`, is filled with clock_timestamp().
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "now()" in node.value


def _file(name: str, folder: Path) -> Path:
    """The source of one of the project's modules."""
    path = folder.parent.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _reached_from(name: str, folder: Path) -> set[str]:
    """The project's modules that a module imports, directly or through others."""
    reached, unread = {name}, [name]
    while unread:
        for node in ast.walk(ast.parse(_file(unread.pop(), folder).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("projector"):
                module = node.module or ""
                names = {module, *(f"{module}.{alias.name}" for alias in node.names)}
                new = {name for name in names if _file(name, folder).exists()} - reached
                reached |= new
                unread += new
    return reached
