"""A platform for which aiokafka has no wheel."""

from pathlib import Path

import pytest
from cluster import Cluster

from testbed.workload import Mix

WITHOUT_AIOKAFKA = Path(__file__).parents[1] / "without_aiokafka"


def test_member_without_aiokafka_projects_and_logs_it_once(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(WITHOUT_AIOKAFKA))
    cluster.publish(Mix(delegations=200))
    member = cluster.start_member()
    cluster.wait_until_caught_up()
    cluster.assert_view_equals_log()
    found = [line["level"] for line in member.lines() if "aiokafka" in line["message"]]
    assert found == ["warning"]
