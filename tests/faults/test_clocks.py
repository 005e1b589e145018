"""Clocks that cannot be trusted: those of the events, and the machine's own, which projecting never looks at."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster
from rows import answer, beat, delegate
from strategies import written

import projector
from testbed.workload import Mix, Record

JUMPING = """
import itertools, time
_true_time, _jumps = time.time, itertools.cycle([0, 86_400, -86_400])
time.time = lambda: _true_time() + next(_jumps)
time.time_ns = lambda: int(time.time() * 1e9)
"""
PAST, FUTURE = "1970-01-01T00:00:00Z", "9999-12-31T17:59:59.999999Z"
LOOKERS = {"projector.worker.health", "projector.logs"}
"""Modules of a member that may look at a wall clock: they say when they said something."""


def test_events_of_1970_and_9999_and_those_that_go_backwards_make_the_table_that_the_log_says(scene: Cluster) -> None:
    scene.watch_positions()
    scene.member()
    scene.play(_timeless())
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.each_ended_once()


def _timeless() -> Iterator[Record]:
    for n, (first, last) in enumerate([(PAST, FUTURE), (FUTURE, PAST), (PAST, PAST), (FUTURE, FUTURE)] * 5):
        body = {"delegation_id": f"d-{n}", "task": "wait"}
        deadline = {} if first is PAST else {"deadline": FUTURE}
        told = [
            delegate(0, request_body=body | deadline, created_at=first),
            answer(1, "dispatched", of=f"d-{n}", created_at=last),
            beat(2, of=f"d-{n}") | {"created_at": first},
            answer(3, "completed", of=f"d-{n}", text="done", created_at=first),
        ]
        yield from (Record(b"c1", written(row), 0) for row in told)


def test_a_machine_whose_clock_jumps_by_a_day_makes_the_same_table(
    scene: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the clock is a day off the one before; Python runs this file before the member's first line."""
    (tmp_path / "sitecustomize.py").write_text(JUMPING)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    scene.watch_positions()
    member = scene.member()
    with scene.playing(Mix(delegations=100), per_second=1000):
        member.says("partition claimed", times=3)
    scene.caught_up()
    scene.view_equals_log()
    scene.nothing_dropped()
    scene.nothing_twice()
    scene.each_ended_once()
    assert len({line["time"][:10] for line in member.lines()}) > 1, "the clock did not jump"


def test_no_module_that_projects_looks_at_a_wall_clock() -> None:
    folder = Path(projector.__file__).parent
    for name in _reached_from("projector.worker.loop", folder) - LOOKERS:
        looks = [ast.unparse(node) for node in ast.walk(ast.parse(_file(name, folder).read_text())) if _looks(node)]
        assert looks == [], f"{name} looks at the clock: {looks}"


def _looks(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute):
        return (ast.unparse(node.value), node.attr) in {("time", "time"), ("time", "time_ns")} or (
            node.attr in {"now", "utcnow", "today"} and ast.unparse(node.value).split(".")[-1] in {"datetime", "date"}
        )
    # `moved_at` and `claimed_at` are told to people, by a clock of Postgres: no rule reads them.
    return isinstance(node, ast.Constant) and isinstance(node.value, str) and "now()" in node.value


def _file(name: str, folder: Path) -> Path:
    """The source of a module of ours."""
    path = folder.parent.joinpath(*name.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _reached_from(name: str, folder: Path) -> set[str]:
    """The modules of ours that a module imports, and those that they import."""
    found, left = {name}, [name]
    while left:
        for node in ast.walk(ast.parse(_file(left.pop(), folder).read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("projector"):
                module = node.module or ""
                names = {module, *(f"{module}.{alias.name}" for alias in node.names)}
                new = {each for each in names if _file(each, folder).exists()} - found
                found |= new
                left += new
    return found
