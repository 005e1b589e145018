"""The clock of the sweeper's machine is a day off: the database says what time it is."""

import json
import shutil
import subprocess
import sys
from typing import Any

import pytest
from commands import environment
from stage import Stage

from testbed.oracle import Overdue
from testbed.workload.acting import answers
from testbed.workload.silences import (
    falls_silent,
    fills_the_history,
    is_never_heard,
    keeps_beating,
    misses_its_deadline,
)

DAY_SECONDS = 86_400


def run_at(shift: str, *command: str, **settings: str) -> str:
    """Run Python with a wrong clock; returns its output. Only this process has the clock, not the servers."""
    faketime = shutil.which("faketime")
    assert faketime, "the program `faketime` is missing: install the package faketime"
    variables = environment(settings) | {"FAKETIME_DONT_FAKE_MONOTONIC": "1"}
    done = subprocess.run(
        [faketime, "-f", shift, sys.executable, *command], env=variables, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def sweep_at(stage: Stage, shift: str, *options: str) -> dict[str, Any]:
    """Make a pass with a wrong clock; returns its counts."""
    place = {"database_url": stage.cluster.database_url, "bootstrap_servers": stage.cluster.bootstrap_servers}
    group = {"topic": stage.cluster.topic, "group_id": f"group-{stage.cluster.topic}"}
    out = run_at(shift, "-m", "projector", "sweep", "--once", "--json", *options, **place, **group)
    counts: dict[str, Any] = json.loads(out.splitlines()[-1])
    return counts


def as_model(counts: dict[str, Any]) -> dict[str, tuple[str, str]]:
    return {each["delegation_id"]: (each["rule"], each["status"]) for each in counts["would_write"]}


def expected(model: dict[str, Overdue]) -> dict[str, tuple[str, str]]:
    return {delegation_id: (each.rule, each.status) for delegation_id, each in model.items()}


@pytest.mark.parametrize("shift", ["+1d", "-1d"])
def test_wrong_clock_of_the_sweeper_changes_no_verdict(stage: Stage, shift: str) -> None:
    now = float(run_at("+0d", "-c", "import time; print(time.time())"))
    there = float(run_at(shift, "-c", "import time; print(time.time())"))
    assert abs(there - now) > DAY_SECONDS / 2, "the clock is not wrong"
    stage.platform.play(fills_the_history)
    marked = stage.play(falls_silent, 5) | stage.play(misses_its_deadline, 3)
    stage.play(keeps_beating, 5)
    stage.play(answers, 3)
    stage.play(is_never_heard, 3)
    stage.project()
    model = stage.overdue()
    assert model.keys() == marked
    right, wrong = stage.sweep("--dry-run"), sweep_at(stage, shift, "--dry-run")
    assert as_model(right) == as_model(wrong) == expected(model)
    assert right | {"seconds": 0} == wrong | {"seconds": 0}
    assert sweep_at(stage, shift)["verdicts"] == {"stuck": 5, "failed": 3}
    assert stage.sweep()["verdicts"] == {"stuck": 0, "failed": 0}
    assert stage.verdicts() == sorted(marked)
    stage.assert_swept(silent=marked)
