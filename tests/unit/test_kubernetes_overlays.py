"""The overlays of deploy/kubernetes: what they say to operators agrees with the base. Their schemas are not at hand."""

from manifests import (
    FOLDER,
    ROOT,
    documents,
    kustomization,
    of_kind,
    prometheus_rule,
    read,
    secrets,
    settings,
    workloads,
)

from projector.settings import Settings

KEDA, MONITORING = FOLDER / "overlays" / "keda", FOLDER / "overlays" / "monitoring"
BY_NAME = {each.name: each for each in workloads()}


# --- keda


def test_trigger_reads_the_lag_of_the_members() -> None:
    (scaled,) = of_kind("ScaledObject", KEDA).values()
    (trigger,) = scaled["spec"]["triggers"]
    own, group = settings(), Settings.model_fields["group_id"].default
    assert trigger["type"] == "kafka"
    assert trigger["metadata"] == {
        "bootstrapServers": own["PROJECTOR_BOOTSTRAP_SERVERS"],
        "consumerGroup": own.get("PROJECTOR_GROUP_ID", group),
        "topic": own["PROJECTOR_TOPIC"],
        "sasl": own["PROJECTOR_SASL_MECHANISM"].lower().replace("-sha-", "_sha"),
        "tls": "enable" if own["PROJECTOR_SECURITY_PROTOCOL"].endswith("SSL") else "disable",
        "lagThreshold": "20000",
        "limitToPartitionsWithLag": "true",
        "offsetResetPolicy": "earliest",
    }
    assert all(isinstance(value, str) for value in trigger["metadata"].values())
    assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication", KEDA)


def test_trigger_logs_in_as_the_members_do() -> None:
    (login,) = of_kind("TriggerAuthentication", KEDA).values()
    run = BY_NAME["delegations-run"]
    (user,), (password,) = login["spec"]["env"], login["spec"]["secretTargetRef"]
    assert user["parameter"] == "username"
    assert user["containerName"] == run.container["name"]
    assert user["name"] in run.environment
    assert (password["parameter"], password["name"]) == ("password", run.secret)
    assert password["key"] in secrets()[run.secret]
    assert run.environment["PROJECTOR_SASL_PASSWORD_FILE"].endswith(f"/{password['key']}")


def test_members_are_scaled_slowly() -> None:
    """Each change of members is a rebalance. So there is more than a session timeout between two."""
    (scaled,) = of_kind("ScaledObject", KEDA).values()
    spec = scaled["spec"]
    assert spec["scaleTargetRef"]["name"] in of_kind("Deployment")
    assert (spec["minReplicaCount"], spec["maxReplicaCount"] >= 3) == (1, True)
    session_seconds = Settings.model_fields["session_timeout_ms"].default / 1000
    for direction in spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"].values():
        assert direction["stabilizationWindowSeconds"] > session_seconds
        assert [each["value"] for each in direction["policies"]] == [1]


def test_replicas_are_left_to_keda() -> None:
    (patch,) = kustomization(KEDA)["patches"]
    assert patch["target"]["name"] in of_kind("Deployment")
    assert "{ op: remove, path: /spec/replicas }" in patch["patch"]


# --- monitoring


def test_every_server_is_scraped() -> None:
    (monitor,) = of_kind("PodMonitor", MONITORING).values()
    selector = monitor["spec"]["selector"]["matchLabels"]
    (endpoint,) = monitor["spec"]["podMetricsEndpoints"]
    servers = [each for each in workloads() if each.is_server]
    assert all(selector.items() <= each.labels.items() for each in servers)
    assert all(endpoint["port"] in each.ports for each in servers)
    assert endpoint["path"] == "/metrics"


def test_alerts_are_those_of_the_file_for_prometheus() -> None:
    file = MONITORING / "prometheus-rule.yaml"
    assert file.read_text() == prometheus_rule(), f"python tests/manifests.py > {file.relative_to(ROOT)}"
    (rule,) = of_kind("PrometheusRule", MONITORING).values()
    (alerts,) = read(ROOT / "deploy" / "prometheus" / "rules.yaml")
    assert rule["spec"] == alerts


def test_grafana_loads_the_dashboard() -> None:
    folder = ROOT / "deploy" / "grafana"
    assert "../../../grafana" in kustomization(MONITORING)["resources"]
    (made,) = kustomization(folder)["configMapGenerator"]
    assert {*made["files"], "kustomization.yaml"} == {file.name for file in folder.iterdir()}
    assert made["options"]["labels"] == {"grafana_dashboard": "1"}
    assert sum((folder / name).stat().st_size for name in made["files"]) < 1_000_000  # a ConfigMap's limit is 1 MiB


def test_overlays_add_these_kinds() -> None:
    assert {each["kind"] for each in documents(KEDA)} == {"ScaledObject", "TriggerAuthentication"}
    assert {each["kind"] for each in documents(MONITORING)} == {"PodMonitor", "PrometheusRule"}
