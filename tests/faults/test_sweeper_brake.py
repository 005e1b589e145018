"""Half of the fleet is cut off while the other half works: nobody is marked until a person decides."""

import json
from typing import Any

from cluster import wait_until
from repetitions import Repetition
from stage import Stage
from staged_process import Process

from testbed.workload.acting import Act, answers
from testbed.workload.silences import falls_silent, fills_the_history, keeps_beating, misses_its_deadline

BACK = 5


def passes(sweeper: Process) -> list[dict[str, Any]]:
    """Return the counts of each pass in the log, but not of those that found the view behind."""
    lines = [json.loads(line) for line in sweeper.text().splitlines() if line.startswith("{")]
    return [line for line in lines if line["message"] == "swept" and line["skipped"] != "behind"]


def test_partitioned_half_is_held_while_the_other_half_works(stage: Stage, repetition: Repetition) -> None:
    count = repetition.pick(30, 1_000)
    stage.platform.play(fills_the_history)
    stage.platform.play(falls_silent, 2 * count)
    overdue = stage.play(misses_its_deadline, 3)
    stage.project()
    together = repetition.pick(10, 100)
    other_half: dict[Act, float] = {keeps_beating: 3.0, answers: 1.0}
    stage.platform.start(other_half, delegations=count, per_second=count / 6, together=together)
    sweeper = stage.start("sweep", sweep_interval_seconds="1")
    wait_until(lambda: len(passes(sweeper)) > 2 and stage.platform.is_done, "passes while the other half works", 300)
    assert sweeper.stop() == 0
    assert {(each["skipped"], each["held"], each["verdicts"]["stuck"]) for each in passes(sweeper)} == {
        ("braked", 2 * count, 0)
    }
    assert stage.verdicts() == sorted(overdue), "deadlines are not braked"

    back, gone = stage.platform.of(falls_silent)[:BACK], stage.platform.of(falls_silent)[BACK:]
    for each in back:
        each.beat()
    stage.settle()
    held = stage.sweep()
    assert (held["skipped"], held["held"]) == ("braked", len(gone))
    assert held["verdicts"] == {"stuck": 0, "failed": 0}
    assert stage.sweep("--anyway")["verdicts"] == {"stuck": len(gone), "failed": 0}
    assert stage.verdicts() == sorted(overdue | {each.id for each in gone})
    stage.assert_swept(silent=overdue | {each.id for each in gone})
    repetition.report(f"brake: {2 * count} silent beside {count} others; {len(gone)} written with --anyway")
