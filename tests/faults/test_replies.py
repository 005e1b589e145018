"""Members and relays are killed and frozen while delegations end: each end is told once, and none is missing."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import LiteralString

import pytest
from cluster import wait_until
from repetitions import Repetition
from stage import PUSH, Process, Stage
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
WAIT: LiteralString = """
    CREATE FUNCTION public.wait_in_reply() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4716);
        RETURN NEW;
    END $$;
"""
POINTS: dict[str, LiteralString] = {
    "in the insert": WAIT
    + """CREATE TRIGGER wait_in_reply AFTER INSERT ON activity_logs FOR EACH ROW
         WHEN (NEW.activity_type = 'a2a_receive') EXECUTE FUNCTION public.wait_in_reply()""",
    "between insert and mark": WAIT
    + """CREATE TRIGGER wait_in_reply BEFORE UPDATE ON projector.outbox FOR EACH ROW
         WHEN (NEW.ended_as = 'sent') EXECUTE FUNCTION public.wait_in_reply()""",
}
"""Where a relay can be paused."""


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
    rng = repetition.rng()
    first = stage.cluster.start_member(**PUSH, **BRIEF_SESSION)
    stage.wait_until_switched_on()
    first.kill()
    acts = ACTS if not repetition.is_long else ACTS | {acting.completes_without_text: 0.5}
    stage.platform.start(acts, delegations=repetition.pick(200, 20_000), per_second=repetition.pick(15, 200))
    survivor = stage.start_relay()
    for _ in range(repetition.repeats(5, 100)):
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


@contextmanager
def relay_paused(stage: Stage, point: str) -> Iterator[Process]:
    """A relay that waits at this point with a reply in hand, until the block ends."""
    stage.switch_on()
    with stage.connect() as conn:
        conn.execute(POINTS[point])
        conn.commit()
        conn.execute("SELECT pg_advisory_xact_lock(4716)")
        stage.play(acting.answers, 20)
        relay = stage.start_relay(lock_timeout_ms="30000")
        wait_until(lambda: stage.waiting_sessions(), f"a relay that waits {point}")
        yield relay


@pytest.mark.parametrize("point", POINTS)
def test_frozen_relay_leaves_its_replies_to_another_one(stage: Stage, point: str) -> None:
    """Postgres ends its transaction, and with it the locks of its rows."""
    with relay_paused(stage, point) as frozen:
        frozen.freeze()
    stage.start_relay()
    stage.wait_until_drained()
    frozen.thaw()
    assert stage.inbox_faults() == []


@pytest.mark.parametrize("point", POINTS)
def test_relay_killed_with_a_reply_in_hand_tells_once(stage: Stage, point: str) -> None:
    """The reply and its mark are one transaction: the server commits both or none."""
    with relay_paused(stage, point) as relay:
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
