"""The manifests of deploy/kubernetes, read as kustomize reads them."""

import re
import sys
from pathlib import Path
from typing import Any, NamedTuple

import yaml

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "deploy" / "kubernetes"
BASE = FOLDER / "base"
OVERLAYS = sorted(each for each in (FOLDER / "overlays").iterdir() if each.is_dir())
SECRETS = Path("/run/secrets/projector")

Document = dict[str, Any]


def read(file: Path) -> list[Document]:
    """Every document of a file."""
    return [each for each in yaml.safe_load_all(file.read_text()) if each]


def kustomization(folder: Path) -> Document:
    (document,) = read(folder / "kustomization.yaml")
    return document


def documents(folder: Path) -> list[Document]:
    """The documents of the files that the kustomization of a folder names; those of other folders aside."""
    files = [folder / name for name in kustomization(folder)["resources"] if name.endswith(".yaml")]
    return [document for file in files for document in read(file)]


def of_kind(kind: str, folder: Path = BASE) -> dict[str, Document]:
    """Name → document."""
    return {each["metadata"]["name"]: each for each in documents(folder) if each["kind"] == kind}


class Workload(NamedTuple):
    """A Deployment or Job, with its only container."""

    name: str
    document: Document

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.document["spec"]["template"]["metadata"]["labels"])

    @property
    def pod(self) -> Document:
        return dict(self.document["spec"]["template"]["spec"])

    @property
    def container(self) -> Document:
        (container,) = self.pod["containers"]
        return dict(container)

    @property
    def is_server(self) -> bool:
        return bool(self.document["kind"] == "Deployment")

    @property
    def environment(self) -> dict[str, str]:
        """The variables of the container, with those of the ConfigMap."""
        named = {each["configMapRef"]["name"] for each in self.container.get("envFrom", [])}
        assert named <= {each["name"] for each in kustomization(BASE)["configMapGenerator"]}
        own = {each["name"]: each["value"] for each in self.container.get("env", [])}
        return {**(settings() if named else {}), **own}

    @property
    def ports(self) -> dict[str, int]:
        return {each["name"]: each["containerPort"] for each in self.container.get("ports", [])}

    @property
    def probes(self) -> dict[str, Document]:
        kinds = ("startupProbe", "livenessProbe", "readinessProbe")
        return {kind: self.container[kind]["httpGet"] for kind in kinds if kind in self.container}

    @property
    def secret(self) -> str:
        (mount,), (volume,) = self.container["volumeMounts"], self.pod["volumes"]
        assert (mount["name"], mount["mountPath"], mount["readOnly"]) == (volume["name"], str(SECRETS), True)
        return str(volume["secret"]["secretName"])


def workloads() -> list[Workload]:
    return [Workload(name, each) for kind in ("Deployment", "Job") for name, each in of_kind(kind).items()]


def settings() -> dict[str, str]:
    """The variables of settings.env."""
    lines = [line for line in (BASE / "settings.env").read_text().splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def secrets() -> dict[str, set[str]]:
    """Secret → its keys, by the commands of the page."""
    page = (FOLDER / "README.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"create secret generic (\S+)(.*)", page)
    return {name: set(re.findall(r"--from-file=([\w-]+)", files)) for name, files in commands}


def prometheus_rule() -> str:
    """The alerts of deploy/prometheus as a resource of the Prometheus operator, which kustomize cannot make of them."""
    rules = (ROOT / "deploy" / "prometheus" / "rules.yaml").read_text()
    indented = "".join(f"  {line}" if line.strip() else line for line in rules.splitlines(keepends=True))
    return (
        "# A copy of deploy/prometheus/rules.yaml. `python tests/manifests.py` prints it.\n"
        "apiVersion: monitoring.coreos.com/v1\n"
        "kind: PrometheusRule\n"
        "metadata: { name: delegations-projector }\n"
        f"spec:\n{indented}"
    )


if __name__ == "__main__":
    sys.stdout.write(prometheus_rule())
