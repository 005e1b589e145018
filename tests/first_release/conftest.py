from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import Cluster

from first_release import restore


@pytest.fixture
def restored(empty_url: str, kafka: str, topic: str, tmp_path: Path) -> Iterator[Cluster]:
    """The database and the topic of the first release."""
    cluster = Cluster(empty_url, kafka, topic, tmp_path)
    restore(cluster)
    yield cluster
    cluster.end()
