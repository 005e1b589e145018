"""A separate Kafka behind a proxy; it advertises the proxy, so all clients connect through it."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from cluster import Cluster
from proxy import Proxy
from topics import create_topic

from testbed.servers.start import Kafka, start_kafka

QUICK_RESTART = {"broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "200"}
"""A killed broker registers again once the session from before has timed out."""


class ProxiedKafka(NamedTuple):
    """A Kafka and the proxy in front of it."""

    server: Kafka
    proxy: Proxy

    @property
    def bootstrap_servers(self) -> str:
        return self.proxy.address


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedKafka]:
    """A broker that tests may kill and cut off; its log cleaner runs often."""
    folder, options = tmp_path_factory.mktemp("proxied"), {"log.cleaner.backoff.ms": "200", **QUICK_RESTART}
    with Proxy() as proxy, start_kafka(folder, own=True, options=options, advertised=proxy.address) as server:
        proxy.server = server.bootstrap_servers
        yield ProxiedKafka(server, proxy)


@pytest.fixture
def proxied_cluster(database_url: str, broker: ProxiedKafka, tmp_path: Path) -> Iterator[Cluster]:
    """A cluster on the proxied Kafka, with recorded moves of its positions."""
    cluster = Cluster(database_url, broker.bootstrap_servers, create_topic(broker.bootstrap_servers), tmp_path)
    cluster.watch_positions()
    yield cluster
    cluster.end()
    broker.proxy.open()
    broker.proxy.delay_seconds = 0.0
