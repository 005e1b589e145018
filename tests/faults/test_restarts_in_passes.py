"""Postgres is shut down at once in the middle of a pass, and starts again: the next pass completes the work."""

import time
from collections.abc import Callable

import pytest
from cluster import wait_until
from halting import REPLY_POINTS, VERDICT_POINTS, halting, wait_until_halted
from repetitions import Repetition
from stage import LONGER_THAN_A_ROUND, Stage

from testbed.servers.start import Postgres
from testbed.workload import acting, silences
from testbed.workload.silences import falls_silent, fills_the_history

SILENCES: dict[acting.Act, float] = {
    falls_silent: 3.0,
    silences.answers_late: 2.0,
    silences.wakes_up: 2.0,
    silences.keeps_beating: 9.0,
}
ENDS: dict[acting.Act, float] = {acting.answers: 3.0, acting.fails: 2.0, acting.ends_twice: 2.0}


@pytest.mark.parametrize("point", VERDICT_POINTS)
def test_restart_inside_a_pass_of_the_sweeper_repeats_nothing(
    stage: Stage, logical_postgres: Postgres, point: str
) -> None:
    stage.platform.play(fills_the_history)
    silent = stage.play(falls_silent, 15)
    stage.project()
    with halting(stage, VERDICT_POINTS[point]):
        sweeper = stage.start_sweeper()
        wait_until_halted(stage, sweeper)
        logical_postgres.restart("immediate")
    wait_until(lambda: len(stage.verdicts()) >= len(silent), f"verdicts:\n{sweeper.text()}")
    stage.assert_swept(silent=silent)
    assert sweeper.stop() == 0, sweeper.text()
    assert stage.verdicts() == sorted(silent)


@pytest.mark.parametrize("point", REPLY_POINTS)
def test_restart_inside_a_pass_of_the_relay_repeats_nothing(
    stage: Stage, logical_postgres: Postgres, point: str
) -> None:
    stage.switch_on()
    with halting(stage, REPLY_POINTS[point]):
        stage.play(acting.answers, 20)
        relay = stage.start_relay(lock_timeout_ms="30000")
        wait_until_halted(stage, relay)
        logical_postgres.restart("immediate")
    stage.wait_until_drained()
    assert stage.inbox_faults() == []
    assert relay.stop() == 0, relay.text()


def restart_again_and_again(
    stage: Stage, server: Postgres, repetition: Repetition, passes: Callable[[], int] | None = None
) -> None:
    """Restart the server of the platform's tables at random moments, until the platform has played everything.

    Half of the time nobody carries the changes. Then two whole `passes` come before the restart: the second one judges
    again what the first one judged.
    """
    rng, restarts = repetition.rng(), 0
    while restarts < repetition.repeats(3, 20) or not stage.platform.is_done:
        with stage.connect() as conn:
            conn.execute("CHECKPOINT")  # else the slot of the feed stays at the beginning of the log
        if restarts % 2:
            stage.feed.pause()
            if passes:
                wait_for_passes(passes, 2)
        else:
            stage.feed.resume()
        time.sleep(rng.uniform(0.5, 2.0))
        server.restart("immediate")
        restarts += 1
    stage.feed.resume()
    stage.platform.join()
    repetition.report(f"{restarts} restarts of the platform's Postgres: {len(stage.platform.played)} delegations")


def wait_for_passes(passes: Callable[[], int], count: int) -> None:
    known = passes()
    wait_until(lambda: passes() >= known + count, f"{count} more passes")


def test_sweeper_of_a_platform_that_restarts_repeats_nothing(
    stage_of_two: Stage, logical_postgres: Postgres, repetition: Repetition
) -> None:
    stage = stage_of_two
    stage.rules = LONGER_THAN_A_ROUND
    stage.platform.play(fills_the_history)
    stage.cluster.start_member()
    stage.platform.start(SILENCES, delegations=repetition.pick(150, 1_000), per_second=repetition.pick(40, 50))
    sweeper = stage.start_sweeper()
    restart_again_and_again(stage, logical_postgres, repetition, lambda: sweeper.text().count('"swept"'))
    assert sweeper.stop() == 0, sweeper.text()
    stage.sweep_all()
    stage.assert_swept(silent=stage.ids(falls_silent))
    assert not stage.ids(silences.keeps_beating) & set(stage.verdicts())


def test_relay_of_a_platform_that_restarts_tells_once(
    stage_of_two: Stage, logical_postgres: Postgres, repetition: Repetition
) -> None:
    stage = stage_of_two
    member = stage.switch_on()
    stage.platform.start(ENDS, delegations=repetition.pick(150, 1_000), per_second=repetition.pick(40, 50))
    relays = [stage.start_relay() for _ in range(2)]
    restart_again_and_again(stage, logical_postgres, repetition)
    stage.wait_until_drained()
    assert stage.inbox_faults() == []
    assert stage.to_tell().keys() == {each.id for each in stage.platform.played}
    assert [each.stop() for each in relays] == [0, 0]
    assert member.process.poll() is None
