"""A broker that is killed, frozen, cut off or far away: the member resumes, and its health report shows the outage."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cluster import Cluster, Member, wait_until
from health_files import reported_healthy
from proxied_kafka import ProxiedKafka
from repetitions import Repetition
from short_timeouts import shorten_timeouts
from under_load import BRIEF_SESSION, under_load

from testbed.workload import Mix


def recent(delegations: int = 30, seed: int = 7) -> Mix:
    """Records of the last hours. A killed broker forgets the producers of older ones, and then stores a retry twice."""
    return Mix(delegations=delegations, seed=seed, start=datetime.now(UTC) - timedelta(hours=2))


class Health:
    """The health file of a member."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "health"

    def becomes(self, healthy: bool) -> None:
        wait_until(lambda: reported_healthy(self.path) is healthy, f"a health file that says {healthy}")


def started(cluster: Cluster, health: Health, **settings: str) -> Member:
    member = cluster.start_member(health_file=str(health.path), **settings)
    member.wait_for_log("partition claimed", times=3)
    health.becomes(True)
    return member


def test_broker_killed_and_restarted_under_load_loses_nothing(
    proxied_cluster: Cluster, broker: ProxiedKafka, repetition: Repetition
) -> None:
    proxied_cluster.start_member(**BRIEF_SESSION, batch_records="100")
    with under_load(proxied_cluster, recent(), per_second=500):
        for _ in range(repetition.repeats(1, 10)):
            proxied_cluster.wait_until_more_projected_than(proxied_cluster.projected_records() + 200)
            broker.server.kill()
            broker.server.start()
    proxied_cluster.assert_all_is_well()


def test_frozen_broker_turns_the_health_report_red(
    proxied_cluster: Cluster,
    broker: ProxiedKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repetition: Repetition,
) -> None:
    if not repetition.is_long:
        shorten_timeouts(tmp_path, monkeypatch)
    health = Health(tmp_path)
    started(proxied_cluster, health)
    proxied_cluster.publish(recent())
    proxied_cluster.wait_until_caught_up()
    broker.server.pause()
    try:
        health.becomes(False)
        frozen_until = datetime.now(UTC) + timedelta(seconds=repetition.pick(0, 45))
        wait_until(lambda: datetime.now(UTC) > frozen_until, "a freeze of a minute")
    finally:
        broker.server.resume()
    proxied_cluster.publish(recent(seed=8))
    proxied_cluster.assert_all_is_well()
    health.becomes(True)
    proxied_cluster.assert_outcomes_counted_once()


def test_cut_network_turns_the_health_report_red(
    proxied_cluster: Cluster, broker: ProxiedKafka, tmp_path: Path
) -> None:
    health = Health(tmp_path)
    started(proxied_cluster, health, **BRIEF_SESSION)
    broker.proxy.close()
    health.becomes(False)
    broker.proxy.open()
    proxied_cluster.publish(recent(60))
    proxied_cluster.assert_all_is_well()
    health.becomes(True)
    proxied_cluster.assert_outcomes_counted_once()


def test_connections_cut_repeatedly_under_load_lose_nothing(
    proxied_cluster: Cluster, broker: ProxiedKafka, repetition: Repetition
) -> None:
    proxied_cluster.start_member(batch_records="100")
    with under_load(proxied_cluster, recent(), per_second=600):
        for _ in range(repetition.repeats(3, 100)):
            proxied_cluster.wait_until_more_projected_than(proxied_cluster.projected_records())
            broker.proxy.cut()
    proxied_cluster.assert_all_is_well()
    proxied_cluster.assert_outcomes_counted_once()


def test_half_open_connections_are_closed_and_replaced(
    proxied_cluster: Cluster,
    broker: ProxiedKafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    repetition: Repetition,
) -> None:
    if not repetition.is_long:
        shorten_timeouts(tmp_path, monkeypatch)
    member = proxied_cluster.start_member()
    member.wait_for_log("partition claimed", times=3)
    proxied_cluster.publish(recent())
    proxied_cluster.wait_until_caught_up()
    broker.proxy.make_half_open()
    proxied_cluster.publish(recent(seed=8))
    proxied_cluster.assert_all_is_well()
    proxied_cluster.assert_outcomes_counted_once()


def test_slow_line_is_not_treated_as_an_outage(proxied_cluster: Cluster, broker: ProxiedKafka, tmp_path: Path) -> None:
    """Each round trip takes a tenth of a second."""
    broker.proxy.delay_seconds = 0.05
    health = Health(tmp_path)
    member = started(proxied_cluster, health)
    proxied_cluster.publish(recent(60))
    proxied_cluster.assert_all_is_well()
    health.becomes(True)
    assert "waiting for" not in member.text()
    proxied_cluster.assert_outcomes_counted_once()
