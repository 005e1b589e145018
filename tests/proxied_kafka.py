"""A Kafka of the tests' own behind a proxy: all that clients say to it goes through the proxy, by its own advice."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest
from proxy import Proxy

from testbed.servers.start import Kafka, start_kafka

if TYPE_CHECKING:
    from cluster import Cluster

QUICK_RESTART = {"broker.session.timeout.ms": "1000", "broker.heartbeat.interval.ms": "200"}
"""A killed broker registers again once the session from before has timed out."""


class Distant(NamedTuple):
    """The server, and the only way to it."""

    server: Kafka
    proxy: Proxy

    @property
    def bootstrap_servers(self) -> str:
        return self.proxy.address


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Distant]:
    """A broker that may be ill-treated, and compacts at once."""
    folder, options = tmp_path_factory.mktemp("distant"), {"log.cleaner.backoff.ms": "200", **QUICK_RESTART}
    with Proxy() as proxy, start_kafka(folder, own=True, options=options, advertised=proxy.address) as server:
        proxy.server = server.bootstrap_servers
        yield Distant(server, proxy)


@pytest.fixture
def far(database_url: str, broker: Distant, tmp_path: Path) -> Iterator["Cluster"]:
    """A scene on that broker, whose positions are watched."""
    from cluster import Cluster  # not above, for the reason that conftest gives
    from topics import create_topic

    scene = Cluster(database_url, broker.bootstrap_servers, create_topic(broker.bootstrap_servers), tmp_path)
    scene.watch_positions()
    yield scene
    scene.end()
    broker.proxy.open()
    broker.proxy.seconds_each_way = 0.0
