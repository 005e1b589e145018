"""Runs commands of Docker and Compose, and inspects their containers."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cluster import wait_until

ROOT = Path(__file__).parents[2]
TIMEOUT_SECONDS = 300.0
"""The timeout of every command, and of a start: long enough for a build on a slow machine, not for pulling images."""


class CommandResult(NamedTuple):
    """The exit code and the output of a command."""

    code: int
    out: str
    err: str


def docker(*arguments: str) -> CommandResult:
    """Run a command of the engine; any exit code is accepted."""
    return _run(["docker", *arguments], {})


def container(*arguments: str) -> str:
    """Start a container in the background; returns its id."""
    return checked(docker("run", "--detach", *arguments)).strip()


def checked(result: CommandResult) -> str:
    """Return the output; fails unless the exit code is 0."""
    assert result.code == 0, f"exit code {result.code}:\n{result.out}\n{result.err}"
    return result.out


def inspect(name: str) -> dict[str, Any]:
    """Return the description of a container or an image."""
    description: dict[str, Any] = json.loads(checked(docker("inspect", name)))[0]
    return description


def stop(name: str, *, grace: int) -> tuple[int, float]:
    """Stop by SIGTERM, and by SIGKILL after the grace period; returns the exit code and the seconds it took."""
    started = time.monotonic()
    checked(docker("stop", "--time", str(grace), name))
    return exit_code(name), time.monotonic() - started


def exit_code(name: str) -> int:
    """Return the exit code of a container; fails unless it has ended."""
    state = inspect(name)["State"]
    assert state["Status"] == "exited", state
    return int(state["ExitCode"])


class Stack:
    """compose.yaml as a separate project on free ports."""

    def __init__(self, project: str, *services: str) -> None:
        """Without services: all of them."""
        self.project, self._services = project, services
        self._ports = {name: str(_free_port()) for name in ("KAFKA_PORT", "POSTGRES_PORT", "DASHBOARD_PORT")}
        self._command = [*os.environ.get("COMPOSE", "docker compose").split(), "-p", project]

    @property
    def database_url(self) -> str:
        return f"postgresql://demo:demo@127.0.0.1:{self._ports['POSTGRES_PORT']}/demo"

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._ports['KAFKA_PORT']}"

    @property
    def dashboard_url(self) -> str:
        return f"http://127.0.0.1:{self._ports['DASHBOARD_PORT']}"

    def __call__(self, *arguments: str) -> CommandResult:
        """Run a command of Compose; any exit code is accepted."""
        return _run([*self._command, *arguments], self._ports)

    def up(self, *arguments: str) -> None:
        """Bring it up, and wait until the health check of the projector passes."""
        checked(self("up", "--detach", *arguments, *self._services))
        for name in self.containers("projector"):
            wait_until(partial(is_healthy, name), f"{name} healthy", TIMEOUT_SECONDS)

    def down(self) -> None:
        """Remove it with its data."""
        checked(self("down", "--volumes", "--timeout", "5"))

    def containers(self, service: str) -> list[str]:
        """Return the ids of a service's containers, also of those that have ended."""
        return checked(self("ps", "--all", "--quiet", service)).split()

    def container(self, service: str) -> str:
        """Return the id of a service's only container."""
        (only,) = self.containers(service)
        return only

    def projector(self, *arguments: str) -> CommandResult:
        """Run a command of the projector in its running container."""
        return docker("exec", self.container("projector"), "projector", *arguments)

    def logs(self, service: str = "", *, lines: int = 60) -> str:
        result = self("logs", "--no-color", "--tail", str(lines), *([service] if service else []))
        return result.out + result.err

    def health_checks(self) -> str:
        """Return the last health checks of each projector, with their output."""
        states = [inspect(name)["State"] for name in self.containers("projector")]
        return "".join(f"{check}\n" for state in states for check in state["Health"]["Log"])

    def leftovers(self) -> list[str]:
        """Return the ids of containers, volumes and networks that are left of this project."""
        project = ["--filter", f"label=com.docker.compose.project={self.project}", "--quiet"]
        return [
            line
            for listing in (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
            for line in checked(docker(*listing, *project)).split()
        ]


def is_healthy(name: str) -> bool:
    """Whether the last health check of the engine passed."""
    return health(name) == "healthy"


def health(name: str) -> str:
    """Return the result of the last health check: starting, healthy or unhealthy."""
    return str(inspect(name)["State"]["Health"]["Status"])


def _run(command: list[str], variables: Mapping[str, str]) -> CommandResult:
    # Not the settings of the caller's shell: nothing here may reach another database.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
    result = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=TIMEOUT_SECONDS,
    )
    return CommandResult(result.returncode, result.stdout, result.stderr)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
