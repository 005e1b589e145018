"""Sweepers and relays that write into a topic, where no key keeps a second record out, are killed in the middle."""

import json
import signal
import time
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from cluster import wait_until
from halting import REPLY_POINTS, halting, wait_until_halted
from repetitions import Repetition
from stage import Stage
from staged_process import Process
from topic_log import TopicLog
from topics import create_topic
from under_load import BRIEF_SESSION

from projector.domain.reply import event_id
from testbed.oracle import InboxRow, inbox_differences, judge, merge_partitions
from testbed.recording import AcknowledgedRecord
from testbed.workload import acting
from testbed.workload.log import Record
from testbed.workload.silences import falls_silent, keeps_beating

SINK = {"sweep_sink": "topic", "sweep_brake_minimum": "1000000"}
ENDS: dict[acting.Act, float] = {acting.answers: 4.0, acting.fails: 2.0, acting.ends_twice: 2.0}


def whole_topic(stage: Stage, topic: str) -> list[AcknowledgedRecord]:
    with TopicLog(stage.cluster.bootstrap_servers, topic) as log:
        return log.read_all().records


def fill_the_history(stage: Stage) -> None:
    """Publish a record of each minute of the last two hours, so that the topic itself has no gap."""
    now = stage.platform.table.now()
    times = [now - timedelta(minutes=minute) for minute in reversed(range(121))]
    row = {"id": str(uuid.uuid4()), "workspace_id": str(uuid.uuid4()), "activity_type": "agent_log"}
    values = [json.dumps(row | {"created_at": at.isoformat()}).encode() for at in times]
    stage.cluster.publish(
        Record(b"history", value, int(at.timestamp() * 1000)) for value, at in zip(values, times, strict=True)
    )


def start_pass(stage: Stage) -> Process:
    sweeper = stage.start("sweep", "--once", "--json", **SINK)
    wait_until(lambda: stage.is_in_a_pass() or not sweeper.is_running, "a pass")
    return sweeper


def test_verdict_in_the_topic_has_one_effect_though_sweepers_are_killed(stage: Stage, repetition: Repetition) -> None:
    rng, killed = repetition.rng(), 0
    fill_the_history(stage)
    stage.play(keeps_beating, 3)
    member = stage.cluster.start_member()
    while killed < repetition.repeats(4, 20):
        stage.play(falls_silent, 10)
        stage.settle()
        member.signal(signal.SIGSTOP)  # the view does not show what the first one writes
        first = start_pass(stage)
        time.sleep(rng.uniform(0, 0.3))  # any moment of its pass
        killed += first.is_running
        first.kill()
        second = start_pass(stage)
        time.sleep(0.3)  # it waits for the view
        member.signal(signal.SIGCONT)
        assert second.process.wait(timeout=60) == 0, second.text()
    stage.sweep_all(**SINK)

    silent = stage.ids(falls_silent)
    stage.cluster.acknowledged[:] = log = whole_topic(stage, stage.cluster.topic)
    stage.cluster.wait_until_caught_up()
    stage.cluster.assert_view_equals_log()
    stage.cluster.assert_nothing_dropped()
    judgements = judge(merge_partitions(log), stage.truth(), stage.rules)
    assert sorted(each.delegation_id for each in judgements) == sorted(silent), "one id per verdict"
    assert {each.outcome for each in judgements} == {"advanced"}
    assert stage.query("SELECT count(*) FROM delegations WHERE status = 'stuck'") == [(len(silent),)]
    repetition.report(f"sink topic: {killed} sweepers killed in a pass, {len(silent)} verdicts")


@pytest.fixture
def to_topic(kafka: str) -> dict[str, str]:
    """The settings of members and relays that push into a topic of the test's own."""
    return {"result_push": "topic", "push_topic": create_topic(kafka)}


def replies(stage: Stage, topic: str) -> list[InboxRow]:
    """Return the records of a topic of replies as rows of inboxes."""
    found = []
    for record in whole_topic(stage, topic):
        assert record.value is not None
        assert record.timestamp is not None
        row = json.loads(record.value)
        body = row["response_body"]
        at = datetime.fromtimestamp(record.timestamp / 1000, UTC) + timedelta(milliseconds=1)  # it is rounded down
        assert row["id"] == str(event_id(body["delegation_id"]))
        assert record.key == row["workspace_id"].encode()
        people = row["workspace_id"], row["target_id"]
        reply = row["status"], body["text"], row["error_detail"], body.get("truncated", False)
        found.append(InboxRow(body["delegation_id"], *people, *reply, at))
    return found


def assert_ids_are_the_ends(stage: Stage, topic: str) -> list[InboxRow]:
    """Wait for the last reply. A consumer that reads each id once gets what the model expects; returns all records."""
    stage.wait_until_drained()
    sent = replies(stage, topic)
    once = {each.delegation_id: each for each in reversed(sent)}
    assert inbox_differences(stage.to_tell(), once.values()) == []
    return sent


def test_relay_killed_between_send_and_mark_repeats_the_same_ids(stage: Stage, to_topic: dict[str, str]) -> None:
    stage.cluster.start_member(**to_topic)
    stage.wait_until_switched_on()
    with halting(stage, REPLY_POINTS["between insert and mark"]):
        stage.play(acting.answers, 20)
        relay = stage.start_relay(lock_timeout_ms="30000", **to_topic)
        wait_until_halted(stage, relay)
        relay.freeze()  # it would try again after its lock timeout
        before = replies(stage, to_topic["push_topic"])
        assert before, "it has sent them"
        relay.kill()
    stage.start_relay(**to_topic)
    sent = assert_ids_are_the_ends(stage, to_topic["push_topic"])
    assert len(sent) == 20 + len(before), "once more, with the same ids"


def test_ids_in_the_topic_are_the_ends_though_relays_are_killed(
    stage: Stage, to_topic: dict[str, str], repetition: Repetition
) -> None:
    rng, repeats = repetition.rng(), repetition.repeats(5, 50)
    stage.cluster.start_member(**to_topic)
    stage.wait_until_switched_on()
    stage.platform.start(ENDS, delegations=repetition.pick(150, 5_000), per_second=repetition.pick(20, 70))
    survivor = stage.start_relay(**to_topic)
    for _ in range(repeats):
        member = stage.cluster.start_member(**to_topic, **BRIEF_SESSION, batch_records="50")
        relay = stage.start_relay(**to_topic)
        time.sleep(rng.uniform(0.5, 2))  # any moment of a batch and of a pass
        member.kill()
        relay.kill()
    assert survivor.is_running, survivor.text()
    stage.platform.join()
    sent = assert_ids_are_the_ends(stage, to_topic["push_topic"])
    ends = len(stage.to_tell())
    repetition.report(f"target topic: {repeats} relays and members killed, {ends} ends, {len(sent)} records")
