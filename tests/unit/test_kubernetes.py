"""deploy/kubernetes: valid for the API, and in agreement with the settings, commands and ports of the projector."""

from pathlib import Path

import kubernetes_validate
import pytest
from manifests import (
    BASE,
    FOLDER,
    OVERLAYS,
    ROOT,
    SECRETS,
    Document,
    Workload,
    documents,
    kustomization,
    of_kind,
    secrets,
    settings,
    workloads,
)

from projector.cli.commands import PROJECTOR
from projector.settings import Settings, load, variable

API = kubernetes_validate.latest_version()
OF_OPERATORS = {"keda.sh/v1alpha1", "monitoring.coreos.com/v1"}
"""Their schemas are not part of Kubernetes: test_kubernetes_overlays.py looks at these."""
LIBRARY_VARIABLES = {"FORWARDED_ALLOW_IPS"}
"""Of uvicorn."""

SERVERS = [each for each in workloads() if each.is_server]

every_workload = pytest.mark.parametrize("workload", workloads(), ids=lambda each: each.name)
every_server = pytest.mark.parametrize("server", SERVERS, ids=lambda each: each.name)


# --- the API and kustomize


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda each: each.name)
def test_documents_are_valid_for_the_api(folder: Path) -> None:
    known = [each for each in documents(folder) if each["apiVersion"] not in OF_OPERATORS]
    for document in known:
        kubernetes_validate.validate(document, API, strict=True)
    assert known or folder in OVERLAYS


@pytest.mark.parametrize(
    "change", [{"replicaz": 1}, {"replicas": "three"}, {"selector": None}], ids=["unknown", "type", "missing"]
)
def test_invalid_document_is_noticed(change: Document) -> None:
    document = of_kind("Deployment")["delegations-run"]
    document["spec"] = {name: value for name, value in {**document["spec"], **change}.items() if value is not None}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(document, API, strict=True)


@pytest.mark.parametrize("folder", [BASE, *OVERLAYS], ids=lambda each: each.name)
def test_kustomization_names_every_file(folder: Path) -> None:
    here = kustomization(folder)
    named = {*here["resources"], "kustomization.yaml", "README.md"}
    named |= {name for each in here.get("configMapGenerator", []) for name in each.get("envs", [])}
    present = {file.name for file in folder.iterdir()}
    assert {name for name in named if not (folder / name).exists()} <= {"README.md"}
    assert present <= named
    assert (folder == BASE) != ("../../base" in named)


def test_names_are_unique() -> None:
    names = [(each["kind"], each["metadata"]["name"]) for folder in (BASE, *OVERLAYS) for each in documents(folder)]
    assert len(set(names)) == len(names)


def test_base_has_every_process() -> None:
    commands = {" ".join(each.container["args"]) for each in workloads()}
    assert commands == {"run", "sweep", "push run", "dashboard", "migrate up"}
    assert all(each.container["args"][0] in PROJECTOR.commands for each in workloads())


def test_image_has_the_version_of_the_project() -> None:
    (image,) = kustomization(BASE)["images"]
    assert {each.container["image"] for each in workloads()} == {image["name"]}
    assert f'\nversion = "{image["newTag"]}"\n' in (ROOT / "pyproject.toml").read_text()


# --- settings and secrets


@every_workload
def test_variables_are_settings(workload: Workload) -> None:
    known = {variable(name) for name in Settings.model_fields}
    known |= {f"{name}_FILE" for name in known} | LIBRARY_VARIABLES
    assert set(workload.environment) <= known


@every_workload
def test_settings_can_be_loaded_with_the_secret(workload: Workload, tmp_path: Path) -> None:
    """With the files that the secret of this Pod has, and no others."""
    for key in secrets()[workload.secret]:
        (tmp_path / key).write_text("a secret of 16 characters or more")
    moved = {name: value.replace(str(SECRETS), str(tmp_path)) for name, value in workload.environment.items()}
    assert str(tmp_path) in str(moved)
    read = load({}, moved).database_url
    assert read.get_secret_value() == "a secret of 16 characters or more"


def test_each_role_has_a_secret_of_its_own() -> None:
    used = {each.name: each.secret for each in workloads()}
    assert set(used.values()) == set(secrets())
    assert len({used[f"delegations-{role}"] for role in ("migrate", "run", "dashboard")}) == 3
    assert "dashboard-tokens" in secrets()[used["delegations-dashboard"]]
    assert secrets()[used["delegations-migrate"]] == {"database-url"}


def test_what_writes_to_others_is_off() -> None:
    replicas = {each.name: each.document["spec"]["replicas"] for each in SERVERS}
    assert replicas["delegations-sweep"] == replicas["delegations-push"] == 0
    assert settings()["PROJECTOR_RESULT_PUSH"] == "off"
    assert replicas["delegations-run"] > 1


# --- ports and probes


@every_server
def test_ports_are_those_of_the_settings(server: Workload) -> None:
    expected = {"metrics": _port(server.environment["PROJECTOR_HTTP_ADDRESS"])}
    if "PROJECTOR_DASHBOARD_ADDRESS" in server.environment:
        expected["http"] = _port(server.environment["PROJECTOR_DASHBOARD_ADDRESS"])
    assert server.ports == expected


@every_server
def test_probes_use_the_right_port_and_path(server: Workload) -> None:
    port = "http" if "http" in server.ports else "metrics"
    live, ready = {"path": "/livez", "port": port}, {"path": "/readyz", "port": port}
    assert server.probes == {"startupProbe": live, "livenessProbe": live, "readinessProbe": ready}
    startup = server.container["startupProbe"]
    assert startup["periodSeconds"] * startup["failureThreshold"] == 60


def test_service_leads_to_the_dashboard() -> None:
    (service,) = of_kind("Service").values()
    assert [each.name for each in _selected(service["spec"]["selector"])] == ["delegations-dashboard"]
    (port,) = service["spec"]["ports"]
    assert port["targetPort"] == "http"


def test_network_policies_open_the_ports_alone() -> None:
    policies = of_kind("NetworkPolicy")
    everything = policies["delegations-projector"]["spec"]
    assert len(_selected(everything["podSelector"]["matchLabels"])) == len(workloads())
    assert everything["policyTypes"] == ["Ingress", "Egress"]
    brokers = {_port(each) for each in settings()["PROJECTOR_BOOTSTRAP_SERVERS"].split(",")}
    assert brokers | {53, 5432} <= {port["port"] for rule in everything["egress"] for port in rule["ports"]}
    opened = {}
    for name, policy in policies.items():
        for rule in policy["spec"]["ingress"]:
            assert rule["from"], "open to everybody"
            opened[name] = [port["port"] for port in rule["ports"]]
    assert opened == {"delegations-projector": ["metrics"], "delegations-dashboard": ["http"]}
    dashboard = policies["delegations-dashboard"]["spec"]["podSelector"]["matchLabels"]
    assert [each.name for each in _selected(dashboard)] == ["delegations-dashboard"]


def _port(address: str) -> int:
    return int(address.rpartition(":")[2])


def _selected(labels: dict[str, str]) -> list[Workload]:
    return [each for each in workloads() if labels.items() <= each.labels.items()]


# --- how Pods run and end


@every_workload
def test_pod_is_restricted(workload: Workload) -> None:
    """The Pod Security Standard *restricted*, and a root file system that is read-only."""
    pod, container = workload.pod, workload.container
    assert pod["automountServiceAccountToken"] is False
    assert pod["enableServiceLinks"] is False
    assert pod["serviceAccountName"] in of_kind("ServiceAccount")
    assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers"} & set(pod)
    assert all(set(volume) == {"name", "secret"} for volume in pod["volumes"])
    context = pod["securityContext"]
    assert context["runAsNonRoot"] is True
    assert f"USER {context['runAsUser']}:{context['runAsGroup']}\n" in (ROOT / "Dockerfile").read_text()
    assert context["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {"cpu", "memory"} <= set(container["resources"]["requests"])
    assert "memory" in container["resources"]["limits"]


@every_workload
def test_pod_has_more_time_than_a_process_takes_to_stop(workload: Workload) -> None:
    stop_within = workload.environment.get("PROJECTOR_STOP_WITHIN_SECONDS")
    longest = int(stop_within or Settings.model_fields["stop_within_seconds"].default)
    assert workload.pod["terminationGracePeriodSeconds"] > longest


@every_server
def test_labels_of_selector_and_pod_agree(server: Workload) -> None:
    selector = server.document["spec"]["selector"]["matchLabels"]
    assert [each.name for each in _selected(selector)] == [server.name]
    for spread in server.pod.get("topologySpreadConstraints", []):
        assert spread["labelSelector"]["matchLabels"] == selector


def test_members_are_replaced_one_by_one() -> None:
    (budget,) = of_kind("PodDisruptionBudget").values()
    assert [each.name for each in _selected(budget["spec"]["selector"]["matchLabels"])] == ["delegations-run"]
    assert budget["spec"]["maxUnavailable"] == 1
    rolling = of_kind("Deployment")["delegations-run"]["spec"]["strategy"]["rollingUpdate"]
    assert rolling == {"maxSurge": 0, "maxUnavailable": 1}


def test_page_names_every_file() -> None:
    page = (FOLDER / "README.md").read_text()
    unnamed = [file.name for file in BASE.glob("*.yaml") if f"`{file.name}`" not in page]
    assert unnamed == ["service-account.yaml"]
    assert all(f"`overlays/{each.name}`" in page for each in OVERLAYS)
