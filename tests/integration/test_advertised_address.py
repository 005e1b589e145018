"""A broker that advertises an address which cannot be reached: commands name it, and the setting of the broker."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cluster import Cluster, wait_until
from commands import run_projector
from doctoring import checks
from second_broker import second_broker, topic_on_both

from projector.doctor.checks import Level
from testbed.servers.server import free_port
from testbed.servers.start import start_kafka


class Broker(NamedTuple):
    """A broker at `address` that advertises another one; why that cannot be reached."""

    address: str
    advertised: str
    reason: str

    @property
    def sentence(self) -> str:
        return (
            f"Kafka at {self.address} answers, and advertises an address that cannot be reached from here: broker 1 at "
            f"{self.advertised} ({self.reason}). Clients connect to the address that a broker advertises: check "
            "advertised.listeners"
        )


@pytest.fixture(
    scope="module",
    params=[(f"127.0.0.1:{free_port()}", "connection refused"), ("kafka-0.kafka.invalid:9092", "name not known")],
    ids=["nothing listens", "unknown name"],
)
def broker(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    advertised, reason = request.param
    with start_kafka(tmp_path_factory.mktemp("advertised"), own=True, advertised=advertised) as server:
        yield Broker(server.bootstrap_servers, advertised, reason)


def test_doctor_names_the_advertised_address(broker: Broker, database_url: str) -> None:
    found = checks(database_url=database_url, bootstrap_servers=broker.address)
    assert (found["kafka"].level, found["kafka"].found) == (Level.CHANGE, broker.sentence)
    assert {"topic", "consumer group"}.isdisjoint(found)


@pytest.mark.parametrize("command", ["status", "verify", "explain d-1", "record --out out.jsonl"])
def test_command_names_the_advertised_address(
    broker: Broker, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    done = run_projector(*command.split(), database_url=database_url, bootstrap_servers=broker.address)
    assert done.code == 1
    assert done.err.splitlines()[-1] == f"projector: {broker.sentence}"


def test_run_names_the_advertised_address(broker: Broker, database_url: str, tmp_path: Path) -> None:
    cluster = Cluster(database_url, broker.address, "activity-log", tmp_path)
    member = cluster.start_member()
    try:
        assert member.wait_for_log("waiting for Kafka")["reason"] == broker.sentence
    finally:
        cluster.end()


def test_one_of_two_brokers_is_named(tmp_path: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other one answers, and has a partition too."""
    monkeypatch.setenv("TESTBED_SERVERS", "local")  # the second broker reads the files of the first
    with (
        start_kafka(tmp_path, own=True) as first,
        second_broker(first, tmp_path, advertised="kafka-1.kafka.invalid:9092"),
    ):
        topic = topic_on_both(first)
        broker = Broker(first.bootstrap_servers, "kafka-1.kafka.invalid:9092", "name not known")
        sentence = broker.sentence.replace("broker 1", "broker 2")
        where = {"database_url": database_url, "bootstrap_servers": first.bootstrap_servers, "topic": topic}
        done = run_projector("status", **where)
        assert done.code == 1
        assert done.err.splitlines()[-1] == f"projector: {sentence}"
        cluster = Cluster(database_url, first.bootstrap_servers, topic, tmp_path)
        try:
            member = cluster.start_member()
            # Which line it is depends on what broker 2 leads: the group, or only a partition of the topic.
            wait_until(lambda: sentence in [line.get("reason") for line in member.lines()], "the sentence in the log")
        finally:
            cluster.end()
