"""What `pip install` of the wheel gives: one import name, beside other distributions, usable from any directory."""

import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest
from ledger_page import EXAMPLES

ROOT = Path(__file__).parents[2]
NEIGHBOURS = ("schema", "Events")
"""Distributions on PyPI that own the import names `schema` and `events`."""


def pip(*arguments: str) -> None:
    command = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", *arguments]
    environment = {**os.environ, "PIP_CONSTRAINT": "", "PIP_BUILD_CONSTRAINT": str(ROOT / "constraints.txt")}
    subprocess.run(command, check=True, env=environment, timeout=300)


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of a new environment: the wheel, its neighbours, and the dependencies of this one."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    pip("--python", str(python), "install", "--no-deps", str(wheel), *NEIGHBOURS)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return folder / "bin"


def run(command: list[str], folder: Path, **environment: str) -> str:
    """Run a command of the new environment, from a folder with nothing in it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "COVERAGE"))}
    done = subprocess.run(command, cwd=folder, env=inherited | environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_wheel_holds_projector_alone(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0] for name in names if ".dist-info/" not in name} == {"projector"}
    assert {"projector/py.typed", "projector/postgres/write_batch.sql"} <= set(names)
    packed = {Path(name).name for name in names if Path(name).parent.name == "schema"}
    assert {
        f"projector/web/{part}" for part in ("static/LICENSES.md", "static/htmx.min.js", "templates/base.html")
    } <= set(names)
    assert packed == {file.name for file in (ROOT / "schema").glob("*.sql")}


def test_distributions_with_old_import_names_still_work(installed: Path, tmp_path: Path) -> None:
    script = (
        "import events, schema, projector;"
        "print(schema.Schema(int).validate(7), callable(events.Events), projector.__version__, projector.__file__)"
    )
    number, is_callable, version, file = run([str(installed / "python"), "-c", script], tmp_path).split()
    assert (number, is_callable) == ("7", "True")
    assert version
    assert Path(file).is_relative_to(installed.parent)


def test_migrations_and_init_run_from_any_directory(installed: Path, tmp_path: Path, empty_url: str) -> None:
    for command in ([str(installed / "projector")], [str(installed / "python"), "-m", "projector"]):
        out = run([*command, "migrate", "up"], tmp_path, PROJECTOR_DATABASE_URL=empty_url)
        assert out.endswith("the schema is up to date\n")
    assert "wrote roles.sql\n" in run([str(installed / "projector"), "init"], tmp_path)
    assert "GRANT SELECT" in (tmp_path / "grants.sql").read_text()
    assert "applied  051_shadow" in run(
        [str(installed / "projector"), "migrate", "status"], tmp_path, PROJECTOR_DATABASE_URL=empty_url
    )


SERVICE = """
import psycopg
from projector import ledger
from projector.ledger import AlreadyExists, Effect, Inserted, aio, audit
from projector.ledger.audit import Failed


def request(conn: psycopg.Connection, task: str) -> str:
    match ledger.insert(conn, "d-1", "c", "c", task):
        case Inserted(delegation_id):
            return delegation_id
        case AlreadyExists(delegation_id, why):
            return f"{delegation_id} {why.value}"


async def end(conn: psycopg.AsyncConnection, word: str) -> bool:
    effect: Effect = await aio.set_status(conn, "d-1", ledger.Status(word), result="three")
    return effect is Effect.ADVANCED


def record(conn: psycopg.Connection) -> str:
    match audit.record_heartbeat(conn, "d-1", caller_id="c").view:
        case Failed(error):
            return str(error)
        case effect:
            return effect.value


def wrong(conn: psycopg.Connection, another: psycopg.AsyncConnection, word: str) -> None:
    ledger.set_status(conn, "d-1", "done")  # type: ignore[arg-type]
    ledger.set_status(conn, "d-1", word)  # type: ignore[arg-type]
    ledger.set_status(conn, "d-1", "completed", result=3)  # type: ignore[arg-type]
    ledger.insert(conn, 7, "c", "c", "count")  # type: ignore[arg-type]
    ledger.heartbeat(another, "d-1")  # type: ignore[arg-type]
    ledger.heartbeat("postgresql://db", "d-1")  # type: ignore[arg-type]
    audit.record_heartbeat(conn, "d-1")  # type: ignore[call-arg]


async def wrong_twin(conn: psycopg.Connection, another: psycopg.AsyncConnection) -> None:
    await aio.heartbeat(conn, "d-1")  # type: ignore[arg-type]
    aio.heartbeat(another, "d-1")  # type: ignore[unused-coroutine]
"""


def test_calls_of_a_service_are_checked_by_mypy(installed: Path, tmp_path: Path) -> None:
    """As a user outside of this repository: strict, where an ignored error that is none is an error too."""
    (tmp_path / "service.py").write_text(SERVICE)
    for number, example in enumerate(EXAMPLES.values()):
        (tmp_path / f"example_{number}.py").write_text(example.code)
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", f"--cache-dir={tmp_path / 'cache'}"]
    printed = run([*command, f"--python-executable={installed / 'python'}", "."], tmp_path)
    assert printed == f"Success: no issues found in {len(EXAMPLES) + 1} source files\n"
