"""Bugs that end a worker, in its own code and in the client's, and what it leaves behind when it ends."""

import time
from collections.abc import Callable, Iterator

import kafka
import pytest
from cluster import Cluster
from pausing import terminate_sessions
from stepping import names, new_worker, step_for_ever, step_to_the_end, step_until_writing

from projector.errors import Fenced
from projector.kafka import connection, rebalance
from projector.process import backoff
from projector.worker.loop import Worker
from testbed.workload import Mix


@pytest.fixture
def member(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    monkeypatch.setattr(backoff, "FIRST_SECONDS", 0.05)
    monkeypatch.setattr(backoff, "MOST_SECONDS", 1.0)
    monkeypatch.setattr(connection, "_unexpected", [])
    member = new_worker(cluster)
    yield member
    member.stop()


def test_member_that_stops_before_its_first_poll_does_not_join(member: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """The signal comes while it waits for the other members of its command."""

    def poll(**_: object) -> None:
        raise AssertionError("a poll joins the group")

    with monkeypatch.context() as patched:
        patched.setattr(member.consumer, "poll", poll)
        member.consumer.before_first_join = lambda: setattr(member.shutdown, "requested", True)
        member.step()
    assert member.consumer.is_open
    assert member.shutdown.requested


def test_bug_of_ours_ends_the_worker_and_keeps_the_positions(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    before = cluster.positions()
    cluster.publish(Mix(delegations=20, seed=8))

    def bug(*_: object) -> None:
        raise AttributeError("a bug")

    with monkeypatch.context() as broken:
        broken.setattr(rebalance, "join", bug)
        with pytest.raises(AttributeError, match="a bug"):
            step_for_ever(member)
        assert len(connection._unexpected) == 5
    assert cluster.positions() == before
    step_to_the_end(member, cluster)
    cluster.assert_view_equals_log()


def run_into_a_bug(member: Worker, cluster: Cluster, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker ends with the bug's own error. No position names it, and each is where its partition is projected."""
    with pytest.raises(error, match="a bug"):
        member.run()
    assert names(cluster) == {None}
    monkeypatch.undo()
    step_to_the_end(member, cluster)
    cluster.assert_view_equals_log()
    cluster.assert_projected_once()


def buggy(error: type[Exception]) -> Callable[..., None]:
    def raise_error(*_: object, **__: object) -> None:
        raise error("a bug")

    return raise_error


@pytest.mark.parametrize("function", ["_claim", "require_owned"])
def test_bug_in_the_code_of_postgres_ends_the_worker(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    cluster.watch_positions()
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    cluster.publish(Mix(delegations=20, seed=8))
    monkeypatch.setattr(member.partitions, function, buggy(TypeError))
    if function == "_claim":
        member.consumer.pause_all()
    run_into_a_bug(member, cluster, TypeError, monkeypatch)


@pytest.mark.parametrize("function", ["log_ranges", "commit", "poll"])
def test_bug_in_the_code_of_kafka_ends_the_worker_at_the_fifth_time(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch, function: str
) -> None:
    """Other parts of each rebuilt consumer work: it polls, and it may even read."""
    cluster.watch_positions()
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    broken = {
        "log_ranges": (connection, "log_ranges"),
        "commit": (kafka.KafkaConsumer, "commit_async"),
        "poll": (kafka.KafkaConsumer, "poll"),
    }
    monkeypatch.setattr(*broken[function], buggy(RuntimeError))
    member.consumer.close()
    run_into_a_bug(member, cluster, RuntimeError, monkeypatch)


def test_success_between_errors_keeps_the_worker_running(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(7):
        cluster.publish(Mix(delegations=5, seed=number))
        step_to_the_end(member, cluster)
        while connection._unexpected:
            member.step()
        member.consumer._consumer._fetcher = None  # as a defect of the library would
        while member.consumer.is_open:
            member.step()
    step_to_the_end(member, cluster)
    cluster.assert_view_equals_log()


def test_stop_without_a_session_opens_one_to_release(member: Worker, cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    assert names(cluster) == {member.consumer.member}
    member._drop_polled()
    member._database.lost()
    member.stop()
    assert names(cluster) == {None}


def test_stop_with_a_broken_session_opens_another_to_release(
    member: Worker, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    step_until_writing(member, cluster, monkeypatch)
    member._pending = None  # a bug came before the end of the batch: the session is busy
    member.stop()
    assert names(cluster) == {None}


def test_fenced_member_waits_longer_each_time(
    member: Worker, cluster: Cluster, caplog: pytest.LogCaptureFixture
) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    heartbeat = member.settings.heartbeat_interval_ms / 1000
    for times in range(3):  # the fourth delay is at the limit of this test
        before = time.monotonic()
        member.partitions.fenced(Fenced("taken"))
        assert min(member.partitions._claim_at.values()) - before >= heartbeat * 2**times
        member.partitions._claim_at.clear()
        member.step()


def test_lost_session_is_noticed_before_the_group_is_joined(member: Worker, cluster: Cluster) -> None:
    cluster.publish(Mix(delegations=20))
    step_to_the_end(member, cluster)
    member.consumer.close()
    assert terminate_sessions(cluster) == 1
    member.step()
    assert not member.consumer.is_open
    step_to_the_end(member, cluster)
