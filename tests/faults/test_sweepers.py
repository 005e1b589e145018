"""Sweepers that are killed, frozen and five at once, while callees beat, answer late and fall silent.

Each verdict is written once, none against a sign of life that was there, and every silent delegation gets one.
"""

import time
from typing import Any, LiteralString

import psycopg
from cluster import wait_until
from repetitions import Repetition
from stage import Process, Stage

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
    works_on_something_else: 5.0,
    misses_its_deadline: 5.0,
    keeps_beating: 45.0,
    answers: 10.0,
}
CHAT: LiteralString = """
    INSERT INTO activity_logs (workspace_id, activity_type, created_at) VALUES (%s, 'agent_log', clock_timestamp())
"""
EACH_SECOND = {"sweep_interval_seconds": "1"}
PATIENT = {"lock_timeout_ms": "20000", "statement_timeout_ms": "30000"}
WAIT_IN_COMMIT: LiteralString = """
    CREATE FUNCTION public.wait_in_verdict() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4715);
        RETURN NULL;
    END $$;
    CREATE CONSTRAINT TRIGGER wait_in_verdict AFTER INSERT ON activity_logs DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW WHEN (NEW.method = 'verdict') EXECUTE FUNCTION public.wait_in_verdict()
"""


def begin(stage: Stage, delegations: int, per_second: float) -> None:
    stage.platform.play(fills_the_history)
    stage.cluster.start_member()
    stage.platform.start(MIX, delegations=delegations, per_second=per_second)


def assert_all_swept(stage: Stage, repetition: Repetition) -> None:
    """When the platform has played everything, pass until nothing is left, and judge all verdicts."""
    stage.platform.join()
    for _ in range(50):
        stage.settle()
        if stage.sweep()["verdicts"] == {"stuck": 0, "failed": 0}:
            break
    stage.assert_swept(silent=stage.ids(falls_silent, misses_its_deadline))
    if not repetition.is_long:  # a long round outlasts the threshold, and they have played to their ends
        kept = stage.ids(works_on_something_else, keeps_beating, answers)
        assert not kept & set(stage.verdicts())


def test_killed_sweepers_write_each_verdict_once(stage: Stage, repetition: Repetition) -> None:
    rng = repetition.rng()
    begin(stage, repetition.pick(200, 5_000), repetition.pick(30, 100))
    for _ in range(repetition.repeats(5, 100)):
        sweeper = stage.start("sweep", **EACH_SECOND)
        time.sleep(rng.uniform(0.3, 2.0))  # any moment of its passes
        assert sweeper.is_running, sweeper.text()
        sweeper.kill()
    assert_all_swept(stage, repetition)


def test_five_frozen_and_thawed_sweepers_write_each_verdict_once(stage: Stage, repetition: Repetition) -> None:
    rng = repetition.rng()
    begin(stage, repetition.pick(200, 100_000), repetition.pick(30, 2_000))
    sweepers = [stage.start("sweep", **EACH_SECOND) for _ in range(5)]
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
    assert_all_swept(stage, repetition)


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


def wait_until_blocked(stage: Stage, sweeper: Process) -> None:
    """Block until a session of the sweeper waits for a lock."""
    wait_until(lambda: stage.waiting_sessions() or not sweeper.is_running, f"a sweeper that waits:\n{sweeper.text()}")
    assert sweeper.is_running, sweeper.text()


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
        wait_until_blocked(stage, sweeper)
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
    with stage.connect() as conn:
        conn.execute(WAIT_IN_COMMIT)
        conn.commit()
        conn.execute("SELECT pg_advisory_xact_lock(4715)")
        sweeper = stage.start("sweep", "--once", "--json", **PATIENT)
        wait_until_blocked(stage, sweeper)
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
