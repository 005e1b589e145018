"""Commands to the Docker engine and to Compose, and what their containers came to."""

import json
import os
import socket
import subprocess
import time
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from cluster import until

ROOT = Path(__file__).parents[2]
SECONDS = 300.0
"""The longest that any command may take: a slow machine that builds, not one that pulls."""


class Ended(NamedTuple):
    """A command that has ended."""

    code: int
    out: str
    err: str


def docker(*arguments: str) -> Ended:
    """Run a command of the engine, however it ends."""
    return _run(["docker", *arguments], {})


def container(*arguments: str) -> str:
    """Start a container in the background; its id."""
    return well(docker("run", "--detach", *arguments)).strip()


def well(ended: Ended) -> str:
    """What the command said, which must have ended well."""
    assert ended.code == 0, f"exit code {ended.code}:\n{ended.out}\n{ended.err}"
    return ended.out


def inspect(name: str) -> dict[str, Any]:
    """All that the engine knows of a container or an image."""
    found: dict[str, Any] = json.loads(well(docker("inspect", name)))[0]
    return found


def stop(name: str, *, grace: int) -> tuple[int, float]:
    """SIGTERM, and SIGKILL after the grace period: the exit code, and the seconds it took."""
    began = time.monotonic()
    well(docker("stop", "--time", str(grace), name))
    return exit_code(name), time.monotonic() - began


def exit_code(name: str) -> int:
    """Of a container that has ended."""
    state = inspect(name)["State"]
    assert state["Status"] == "exited", state
    return int(state["ExitCode"])


class Stack:
    """compose.yaml as a project of its own, on ports of its own."""

    def __init__(self, project: str, *profiles: str) -> None:
        self.project = project
        self._ports = {"KAFKA_PORT": str(_free_port()), "POSTGRES_PORT": str(_free_port())}
        profiled = [part for profile in profiles for part in ("--profile", profile)]
        self._command = [*os.environ.get("COMPOSE", "docker compose").split(), "-p", project, *profiled]

    @property
    def database_url(self) -> str:
        return f"postgresql://demo:demo@127.0.0.1:{self._ports['POSTGRES_PORT']}/demo"

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self._ports['KAFKA_PORT']}"

    def __call__(self, *arguments: str) -> Ended:
        """Run a command of Compose, however it ends."""
        return _run([*self._command, *arguments], self._ports)

    def up(self, *arguments: str) -> None:
        """Bring it up, and wait until the projector's own health check is content."""
        well(self("up", "--detach", *arguments))
        for name in self.containers("projector"):
            until(partial(is_healthy, name), f"{name} healthy")

    def down(self) -> None:
        """Take it away, data included."""
        well(self("down", "--volumes", "--timeout", "5"))

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers, of those that have ended too."""
        return well(self("ps", "--all", "--quiet", service)).split()

    def container(self, service: str) -> str:
        """The id of a service's only container."""
        (only,) = self.containers(service)
        return only

    def projector(self, *arguments: str) -> Ended:
        """A command of the projector inside its running container."""
        return docker("exec", self.container("projector"), "projector", *arguments)

    def logs(self, service: str = "", *, lines: int = 60) -> str:
        ended = self("logs", "--no-color", "--tail", str(lines), *([service] if service else []))
        return ended.out + ended.err

    def leftovers(self) -> list[str]:
        """Containers, volumes and networks of this project."""
        ours = ["--filter", f"label=com.docker.compose.project={self.project}", "--quiet"]
        return [
            line
            for listing in (["ps", "--all"], ["volume", "ls"], ["network", "ls"])
            for line in well(docker(*listing, *ours)).split()
        ]


def is_healthy(name: str) -> bool:
    """Whether the engine's last health check was content."""
    return health(name) == "healthy"


def health(name: str) -> str:
    """What the engine's health check found last: starting, healthy or unhealthy."""
    return str(inspect(name)["State"]["Health"]["Status"])


def _run(command: list[str], variables: Mapping[str, str]) -> Ended:
    # Not the settings of the person who calls: nothing here may reach a database of theirs.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")}
    ended = subprocess.run(
        command,
        cwd=ROOT,
        env={**inherited, **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    return Ended(ended.returncode, ended.stdout, ended.stderr)


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])
