"""The push is switched on over a large history: what ended before is told to nobody, whatever is read again."""

import signal

from cluster import Member
from repetitions import Repetition
from stage import PUSH, Stage

from testbed.workload import Mix, records
from testbed.workload.acting import answers, fails


def publish_history(stage: Stage, repetition: Repetition, delegations: int) -> Mix:
    """Publish old ends, dated in the past, besides what the feed carries."""
    unrelated = 0.0 if repetition.is_long else 0.5
    history = Mix(delegations=delegations, seed=repetition.seed, malformed_share=0, unrelated_share=unrelated)
    stage.cluster.publish(history)
    return history


def stop(member: Member) -> None:
    assert member.signal(signal.SIGTERM).exit_code() == 0, member.text()[-2000:]


def assert_told(stage: Stage, delegation_ids: set[str]) -> None:
    """Wait for the last reply; exactly these delegations are told, each once."""
    stage.wait_until_drained()
    assert stage.to_tell().keys() == delegation_ids
    assert stage.inbox_faults() == []
    queued = stage.query("SELECT delegation_id FROM projector.outbox")
    assert {each for (each,) in queued} == delegation_ids


def test_flag_over_a_projected_history_tells_only_new_ends(stage: Stage, repetition: Repetition) -> None:
    history = publish_history(stage, repetition, repetition.pick(600, 100_000))
    stage.play(answers, 20)  # these ended a moment before: only the position tells them apart
    off = stage.cluster.start_member()
    stage.settle()
    stop(off)
    assert stage.query("SELECT count(*) FROM projector.push") == [(0,)]

    member = stage.cluster.start_member(**PUSH)
    stage.wait_until_switched_on()
    stage.start_relay()
    stage.settle()
    assert_told(stage, set())
    new = stage.play(answers, 10) | stage.play(fails, 5)
    assert_told(stage, new)

    stage.cluster.publish(records(history))  # the connector reads everything again
    assert_told(stage, new)

    stop(member)
    stage.query("DELETE FROM projector.positions RETURNING topic")
    stage.cluster.start_member(**PUSH)  # the projector reads everything again
    assert_told(stage, new)
    ended = "SELECT count(*) FROM delegations WHERE status IN ('completed', 'failed', 'stuck')"
    [(ends,)] = stage.query(ended)
    repetition.report(f"flag over a history: {ends} ends in the view, read three times; {len(new)} told")


def test_flag_before_the_first_projection_tells_no_history(stage: Stage, repetition: Repetition) -> None:
    """No position yet: every offset counts, and the times keep the history out."""
    publish_history(stage, repetition, repetition.pick(600, 20_000))
    stage.cluster.start_member(**PUSH)
    stage.wait_until_switched_on()
    stage.start_relay()
    assert_told(stage, set())
    assert_told(stage, stage.play(answers, 10))
