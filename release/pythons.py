"""The wheel on each Python that it names: installed, checked, and run over a real log."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
from kafka import KafkaAdminClient

from release.commands import CheckFailed, environment, run
from testbed.producer import publish
from testbed.servers.start import start_kafka, start_postgres
from testbed.workload import Mix, records

VERSIONS = ("3.11", "3.12", "3.13")
_IMPORTS = """
import pkgutil, importlib, projector
for module in pkgutil.walk_packages(projector.__path__, "projector."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
"""
_SECONDS = 120


def python(version: str, folder: Path, wheels: Path) -> str:
    """Install the wheel with its extra, and let it work. Raises CheckFailed, also where this Python is missing."""
    folder.mkdir()
    [wheel] = wheels.glob("*.whl")
    program = find(version)
    tools = environment(program, folder / "environment", f"{wheel}[dashboard]")
    run([tools / "python", "-m", "pip", "check"])
    run([tools / "python", "-c", _IMPORTS], folder)
    told = run([tools / "projector", "--version"], folder).strip()
    if wheel.name.split("-")[1] not in told:
        raise CheckFailed(f"`projector --version` prints {told!r}, and the wheel is {wheel.name}")
    return f"{told}, {project(tools, folder)} records projected and verified, by {program}"


def find(version: str) -> Path:
    """The program on the PATH or of pyenv. A shim of pyenv, which only says that it is not chosen, does not count."""
    found = [shutil.which(f"python{version}")]
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found += map(str, sorted(home.glob(f"versions/{version}.*/bin/python{version}")))
    for each in filter(None, found):
        if subprocess.run([each, "-c", ""], capture_output=True, check=False).returncode == 0:
            return Path(each)
    raise CheckFailed(f"there is no python{version} on the PATH or in pyenv: install it, or --skip python{version}")


def project(tools: Path, folder: Path) -> int:
    """Migrate, project a log and verify; returns the number of records."""
    for name in ("postgres", "kafka"):
        (folder / name).mkdir()
    with start_postgres(folder / "postgres", own=True) as postgres, start_kafka(folder / "kafka", own=True) as kafka:
        place = {"DATABASE_URL": postgres.url, "BOOTSTRAP_SERVERS": kafka.bootstrap_servers, "TOPIC": "activity-log"}
        variables = {f"PROJECTOR_{name}": value for name, value in place.items()}
        with closing(KafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)) as admin:
            admin.create_topics({"activity-log": {"num_partitions": 3}}, wait_for_metadata=True)
        count = publish(
            records(Mix(delegations=50)),
            bootstrap_servers=kafka.bootstrap_servers,
            topic="activity-log",
            on_acknowledged=lambda _: None,
        )
        run([tools / "projector", "migrate", "up"], folder, variables)
        with running([str(tools / "projector"), "run"], folder, variables), psycopg.connect(postgres.url) as conn:
            conn.autocommit = True
            wait_until_projected(conn, count)
        run([tools / "projector", "verify"], folder, variables)
    return count


@contextmanager
def running(command: list[str], folder: Path, variables: dict[str, str]) -> Iterator[None]:
    """A process that must end with 0 when it is told to stop."""
    log = folder / "run.log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, cwd=folder, env=os.environ | variables, stderr=output)
    try:
        yield
        process.send_signal(signal.SIGTERM)
        if process.wait(60):
            raise CheckFailed(f"`projector run` ended with {process.returncode}:\n{log.read_text()[-2000:]}")
    finally:
        process.kill()
        process.wait()


def wait_until_projected(conn: psycopg.Connection, count: int) -> None:
    deadline = time.monotonic() + _SECONDS
    while conn.execute("SELECT coalesce(sum(next_offset), 0) FROM projector.positions").fetchall() != [(count,)]:
        if time.monotonic() > deadline:
            raise CheckFailed(f"{count} records were not projected within {_SECONDS} seconds")
        time.sleep(0.2)
