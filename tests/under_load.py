"""A platform that writes for as long as a test needs it, and members whose sessions are brief."""

import itertools
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from cluster import Cluster

from testbed.workload import Mix, records

ENDLESS = 10**9
"""Delegations: more than any test waits for."""

BRIEF_SESSION = {
    "session_timeout_ms": "1000",
    "heartbeat_interval_ms": "200",
    "idle_in_transaction_timeout_ms": "800",
}
"""Settings of a member that a test kills or freezes: after one second the group gives its partitions to others."""


@contextmanager
def under_load(cluster: Cluster, mix: Mix | None = None, *, per_second: float) -> Iterator[None]:
    """Let a platform write until the end of the block; the number of delegations in `mix` does not matter."""
    ended = threading.Event()
    log = records((mix or Mix())._replace(delegations=ENDLESS))
    with cluster.publishing(itertools.takewhile(lambda _: not ended.is_set(), log), per_second=per_second):
        try:
            yield
        finally:
            ended.set()
