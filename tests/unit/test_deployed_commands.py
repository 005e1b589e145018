"""Dockerfile, compose.yaml, deploy/kubernetes and deploy/systemd start commands and set variables that exist today."""

import json
import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from command_tree import COMMANDS, parsed
from manifests import ROOT, workloads

from projector.settings import Settings, load, variable

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]
SYSTEMD = ROOT / "deploy" / "systemd"
PROCESSES = ("run", "sweep", "push run", "dashboard")
"""The commands that do not end by themselves."""


def of_image() -> Iterator[tuple[str, list[str]]]:
    (entrypoint,) = re.findall(r"^ENTRYPOINT (.*)$", DOCKERFILE, re.MULTILINE)
    (usual,) = re.findall(r"^CMD (.*)$", DOCKERFILE, re.MULTILINE)
    (check,) = re.findall(r"^HEALTHCHECK .*CMD (.*)$", DOCKERFILE, re.MULTILINE)
    yield "Dockerfile CMD", [*json.loads(entrypoint), *json.loads(usual)]
    yield "Dockerfile HEALTHCHECK", json.loads(check)


def of_compose() -> Iterator[tuple[str, list[str]]]:
    for name, service in own_services().items():
        yield f"compose.yaml {name}", ["projector", *service.get("command", ["run"])]


def own_services() -> dict[str, dict[str, Any]]:
    return {name: each for name, each in COMPOSE.items() if each["image"].startswith("delegations-projector")}


def of_kubernetes() -> Iterator[tuple[str, list[str]]]:
    for each in workloads():
        yield f"deploy/kubernetes {each.name}", ["projector", *each.container["args"]]


def of_systemd() -> Iterator[tuple[str, list[str]]]:
    for name in (process.split()[0] for process in PROCESSES):
        files = [SYSTEMD / "projector@.service", *SYSTEMD.glob(f"projector@{name}.service.d/*.conf")]
        last = re.findall(r"^ExecStart=(.+)$", "".join(file.read_text() for file in files), re.MULTILINE)[-1]
        yield f"deploy/systemd {name}", shlex.split(last.replace("%i", name))


STARTED = [*of_image(), *of_compose(), *of_kubernetes(), *of_systemd()]


def command(words: Sequence[str]) -> str:
    """The command that a line starts; fails for a wrong option, and for a group, which means its usual command."""
    assert Path(words[0]).name == "projector"
    path = parsed(words[1:]).command_path.split()[1:]
    assert path in COMMANDS
    assert path == list(words[1 : len(path) + 1]), f"{shlex.join(words)} is {' '.join(path)}"
    return " ".join(path)


@pytest.mark.parametrize("words", [words for _, words in STARTED], ids=[name for name, _ in STARTED])
def test_started_command_exists_with_its_options(words: list[str]) -> None:
    assert command(words) in {*PROCESSES, "migrate up", "health"}


@pytest.mark.parametrize("way", [of_compose, of_kubernetes, of_systemd], ids=lambda each: each.__name__)
def test_every_process_is_started(way: Any) -> None:
    assert set(PROCESSES) <= {command(words) for _, words in way()}


@pytest.mark.parametrize("line", ["projector push", "projector relay", "projector run --push", "python run"])
def test_other_line_is_noticed(line: str) -> None:
    with pytest.raises((AssertionError, click.UsageError)):
        command(shlex.split(line))


def test_only_processes_of_compose_are_started_again() -> None:
    restarted = {command(words) for name, words in of_compose() if "restart" in COMPOSE[name.split()[1]]}
    assert restarted == set(PROCESSES)


@pytest.mark.parametrize("service", own_services())
def test_settings_of_compose_can_be_loaded(service: str) -> None:
    variables = {name: value.replace("${DASHBOARD_PORT:-8080}", "8080") for name, value in _variables(service).items()}
    assert set(variables) <= {variable(name) for name in Settings.model_fields}
    assert load({}, variables).topic == "activity-log"


def _variables(service: str) -> dict[str, str]:
    return dict(COMPOSE[service]["environment"])
