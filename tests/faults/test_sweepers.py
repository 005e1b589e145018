"""Sweepers that are killed, frozen and five at once, while callees beat, answer late and fall silent.

Each verdict is written once, none against a sign of life that was there, and every silent delegation gets one.
"""

import itertools
import time
from collections import Counter
from typing import Any, LiteralString

import psycopg
from cluster import wait_until
from halting import VERDICT_POINTS, halting, wait_until_halted
from repetitions import Repetition
from stage import LONGER_THAN_A_ROUND, Stage

from testbed.workload.acting import Act, Delegated, answers
from testbed.workload.silences import (
    answers_late,
    falls_silent,
    fills_the_history,
    keeps_beating,
    misses_its_deadline,
    wakes_up,
    works_on_something_else,
)

# Fewer than half of those in flight are silent at once: more would be a question for the brake.
MIX: dict[Act, float] = {
    falls_silent: 15.0,
    answers_late: 10.0,
    wakes_up: 10.0,
    works_on_something_else: 2.0,
    misses_its_deadline: 5.0,
    keeps_beating: 48.0,
    answers: 10.0,
}
CHAT: LiteralString = """
    INSERT INTO activity_logs (workspace_id, activity_type, created_at) VALUES (%s, 'agent_log', clock_timestamp())
"""
PATIENT = {"lock_timeout_ms": "20000", "statement_timeout_ms": "30000"}


def begin(stage: Stage, *, delegations: int, per_second: float, together: int = 1) -> None:
    stage.rules = LONGER_THAN_A_ROUND
    stage.platform.play(fills_the_history)
    stage.cluster.start_member()
    stage.platform.start(MIX, delegations=delegations, per_second=per_second, together=together)


def assert_all_swept(stage: Stage, what: str, repetition: Repetition) -> None:
    """When the platform has played everything, pass until nothing is left, and judge all verdicts."""
    stage.platform.join()
    stage.sweep_all()
    judgements = stage.assert_swept(silent=stage.ids(falls_silent, misses_its_deadline))
    assert not stage.ids(works_on_something_else, keeps_beating, answers) & set(stage.verdicts())
    outcomes = dict(Counter(each.outcome for each in judgements))
    repetition.report(
        f"{what}: {len(stage.platform.played)} delegations, {len(stage.cluster.acknowledged)} records, verdicts "
        f"{outcomes}, {sum(each.overtaken for each in judgements)} overtaken"
    )


def test_killed_sweepers_write_each_verdict_once(stage: Stage, repetition: Repetition) -> None:
    """Nobody carries what a killed one wrote, before a whole pass has judged it again."""
    rng, killed, turns = repetition.rng(), 0, itertools.cycle(("in its pass", "after its insert"))
    begin(stage, delegations=repetition.pick(200, 5_000), per_second=repetition.pick(30, 50))
    while killed < repetition.repeats(5, 100):
        is_any_moment = next(turns) == "in its pass"
        stage.settle()
        stage.feed.pause()
        known = len(stage.verdicts())
        is_there = stage.is_in_a_pass if is_any_moment else lambda: len(stage.verdicts()) > known  # noqa: B023
        sweeper = stage.start("sweep", "--once", "--json", **stage.thresholds())
        wait_until(lambda: is_there() or not sweeper.is_running, "a pass, or its verdicts")  # noqa: B023
        time.sleep(rng.uniform(0, 0.3) if is_any_moment else 0)
        killed += sweeper.is_running
        sweeper.kill()
        stage.sweep()
        stage.feed.resume()
    assert_all_swept(stage, f"{killed} sweepers killed in a pass", repetition)


def test_five_frozen_and_thawed_sweepers_write_each_verdict_once(stage: Stage, repetition: Repetition) -> None:
    rng = repetition.rng()
    at_full_speed = {"delegations": 100_000, "per_second": 2_000, "together": 500}
    begin(stage, **at_full_speed if repetition.is_long else {"delegations": 200, "per_second": 30})
    sweepers = [stage.start_sweeper() for _ in range(5)]
    while not stage.platform.is_done:
        frozen = rng.sample(sweepers, 2)
        for each in frozen:
            each.freeze()
        time.sleep(rng.uniform(0.2, 1.0))
        for each in frozen:
            each.thaw()
        time.sleep(rng.uniform(0.2, 1.0))
    for each in sweepers:
        assert each.is_running, each.text()
        assert each.stop() == 0, each.text()
    assert_all_swept(stage, "five sweepers", repetition)


def test_verdicts_that_nobody_carried_yet_are_written_once(stage: Stage) -> None:
    """The view still shows the delegations in flight, so each pass judges them again."""
    stage.platform.play(fills_the_history)
    silent = stage.play(falls_silent, 15)
    stage.project()
    stage.feed.pause()
    passes = [stage.start("sweep", "--once", "--json") for _ in range(5)]
    for each in passes:
        assert each.process.wait(timeout=60) == 0, each.text()
    counts = stage.sweep()
    assert (counts["verdicts"], counts["repeated"]) == ({"stuck": 0, "failed": 0}, 15)
    assert stage.verdicts() == sorted(silent)
    stage.feed.resume()
    stage.assert_swept(silent=silent)


def write(conn: psycopg.Connection[Any], delegated: Delegated, method: str, status: str) -> None:
    """Insert a row of the delegation in a transaction of the test."""
    conn.execute(
        """INSERT INTO activity_logs (workspace_id, activity_type, source_id, target_id, method, status, created_at,
                                     request_body)
           VALUES (%s, 'delegation', %s, %s, %s, %s, clock_timestamp(),
                   jsonb_build_object('delegation_id', %s::text))""",
        [delegated.caller, delegated.callee, delegated.caller, method, status, delegated.id],
    )


def test_sweeper_frozen_before_its_insert_spares_what_ended_or_lives(stage: Stage) -> None:
    stage.platform.play(fills_the_history)
    stage.play(falls_silent, 5)
    stage.project()
    ended, beating, working, *dead = stage.platform.of(falls_silent)
    with stage.connect() as conn:
        conn.execute("LOCK TABLE activity_logs IN SHARE MODE")  # stops an INSERT before it looks at the table
        sweeper = stage.start("sweep", "--once", "--json", **PATIENT)
        wait_until_halted(stage, sweeper)
        sweeper.freeze()
        write(conn, ended, "delegate_result", "completed")
        write(conn, beating, "heartbeat", "ok")
        conn.execute(CHAT, [working.callee])
        conn.commit()
        sweeper.thaw()
    assert sweeper.process.wait(timeout=60) == 0, sweeper.text()
    assert stage.verdicts() == sorted(each.id for each in dead)
    stage.assert_swept(silent={each.id for each in dead})


def test_verdict_overtaken_in_its_commit_changes_nothing(stage: Stage) -> None:
    """The sweeper is frozen after its INSERT. The heartbeat is committed and carried before the verdict is."""
    stage.platform.play(fills_the_history)
    [delegated] = stage.platform.play(falls_silent)
    stage.project()
    with halting(stage, VERDICT_POINTS["in the commit"]) as conn:
        sweeper = stage.start("sweep", "--once", "--json", **PATIENT)
        wait_until_halted(stage, sweeper)
        sweeper.freeze()
        delegated.beat()
        stage.settle()
        conn.commit()
        sweeper.thaw()
    assert sweeper.process.wait(timeout=60) == 0, sweeper.text()
    [judgement] = stage.assert_swept(silent=set())
    assert (judgement.outcome, judgement.overtaken) == ("stale", True)
    rows = stage.query("SELECT status FROM delegations WHERE delegation_id = %s", delegated.id)
    assert rows == [("dispatched",)]
