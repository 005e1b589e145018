"""Members and relays are killed and frozen while delegations end: each end is told once, and none is missing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cluster import wait_until
from halting import REPLY_POINTS, halting, wait_until_halted
from repetitions import Repetition
from stage import PUSH, Stage
from staged_process import Process
from under_load import BRIEF_SESSION

from testbed.workload import acting

ACTS: dict[acting.Act, float] = {
    acting.answers: 4.0,
    acting.answers_in_place: 4.0,
    acting.fails: 2.0,
    acting.fails_before_its_error: 1.0,
    acting.ends_twice: 3.0,
    acting.completes_before_its_text: 2.0,
    acting.repeats_with_its_key: 1.0,
    acting.is_told_by_the_platform: 1.0,
    acting.loses_its_caller: 0.5,
    acting.answers_at_length: 0.1,
}


def replies_to(stage: Stage, delegation_ids: set[str]) -> dict[str, int]:
    """Return the number of rows in inboxes per delegation."""
    rows = stage.query(
        """SELECT request_body ->> 'delegation_id', count(*) FROM activity_logs
            WHERE activity_type = 'a2a_receive' AND request_body ->> 'delegation_id' = ANY (%s) GROUP BY 1""",
        list(delegation_ids),
    )
    return dict(rows)


def assert_each_told_once(stage: Stage) -> None:
    """Wait for the last reply, and compare all inboxes with the model."""
    stage.wait_until_drained()
    platform_told, gone = stage.ids(acting.is_told_by_the_platform), stage.ids(acting.loses_its_caller)
    assert stage.inbox_faults(without=platform_told | gone) == []
    assert replies_to(stage, platform_told) == dict.fromkeys(platform_told, 1)
    stage.cluster.assert_view_equals_log()
    given_up = stage.query("SELECT delegation_id FROM projector.outbox WHERE ended_as = 'given_up'")
    assert {each for (each,) in given_up} == gone


def wait_until_at_work(stage: Stage, before: int) -> None:
    """Block until the new member has projected more than `before`, or there is nothing left to project."""
    wait_until(
        lambda: stage.platform.is_done or stage.cluster.projected_records() > before, f"more than {before} projected"
    )


def test_each_end_is_told_once_while_members_and_relays_are_killed(stage: Stage, repetition: Repetition) -> None:
    rng, repeats = repetition.rng(), repetition.repeats(5, 100)
    first = stage.cluster.start_member(**PUSH, **BRIEF_SESSION)
    stage.wait_until_switched_on()
    first.kill()
    acts = ACTS if not repetition.is_long else ACTS | {acting.completes_without_text: 0.5}
    stage.platform.start(acts, delegations=repetition.pick(200, 20_000), per_second=repetition.pick(15, 120))
    survivor = stage.start_relay()
    for _ in range(repeats):
        member = stage.cluster.start_member(**PUSH, **BRIEF_SESSION, batch_records="50")
        relay = stage.start_relay()
        wait_until_at_work(stage, stage.cluster.projected_records())
        time.sleep(rng.uniform(0, 1.5))  # any moment of a batch and of a pass
        member.kill()
        relay.kill()
    assert survivor.is_running, survivor.text()
    stage.platform.join()
    stage.cluster.start_member(**PUSH)
    stage.start_relay()
    assert_each_told_once(stage)
    repetition.report(f"{repeats} members and as many relays killed: {len(stage.to_tell())} ends, each told once")


@contextmanager
def relay_halted(stage: Stage, point: str) -> Iterator[Process]:
    """A relay that waits at this point with a reply in hand, until the block ends."""
    stage.switch_on()
    with halting(stage, REPLY_POINTS[point]):
        stage.play(acting.answers, 20)
        relay = stage.start_relay(lock_timeout_ms="30000")
        wait_until_halted(stage, relay)
        yield relay


@pytest.mark.parametrize("point", REPLY_POINTS)
def test_frozen_relay_leaves_its_replies_to_another_one(stage: Stage, point: str) -> None:
    """Postgres ends its transaction, and with it the locks of its rows."""
    with relay_halted(stage, point) as frozen:
        frozen.freeze()
    stage.start_relay()
    stage.wait_until_drained()
    frozen.thaw()
    assert stage.inbox_faults() == []


@pytest.mark.parametrize("point", REPLY_POINTS)
def test_relay_killed_with_a_reply_in_hand_tells_once(stage: Stage, point: str) -> None:
    """The reply and its mark are one transaction: the server commits both or none."""
    with relay_halted(stage, point) as relay:
        relay.kill()
        stage.start_relay()
    stage.wait_until_drained()
    assert stage.inbox_faults() == []


def test_replies_arrive_whole_and_by_what_was_known(stage: Stage) -> None:
    """A text of 1 MB, two reports of one end, a status before its text, and a source row that is gone."""
    stage.switch_on()
    for act in (acting.answers_at_length, acting.ends_twice, acting.completes_before_its_text, acting.fails):
        stage.play(act, 2)
    stage.settle()
    [gone] = stage.platform.play(acting.answers_at_length)
    stage.settle()
    stage.query("DELETE FROM activity_logs WHERE response_body ->> 'delegation_id' = %s RETURNING id", gone.id)
    stage.start_relay()
    stage.wait_until_drained()
    assert stage.inbox_faults(without={gone.id}) == []
    [(text, truncated)] = stage.query(
        """SELECT response_body ->> 'text', response_body -> 'truncated' FROM activity_logs
            WHERE activity_type = 'a2a_receive' AND request_body ->> 'delegation_id' = %s""",
        gone.id,
    )
    assert truncated is True
    [(preview,)] = stage.query("SELECT result_preview FROM delegations WHERE delegation_id = %s", gone.id)
    assert text == preview
