""".github/workflows/ci.yml: its matrix is what the project supports, and its commands exist."""

import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
WORKFLOW: dict[Any, Any] = yaml.safe_load((ROOT / ".github" / "workflows" / "ci.yml").read_text())
JOBS = WORKFLOW["jobs"]
STEPS = [step for job in JOBS.values() for step in job["steps"]]
COMMANDS = sorted({step["run"] for step in STEPS if "run" in step})


def test_matrix_has_every_supported_python() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    supported = [each.rsplit(" ", 1)[1] for each in classifiers if re.search(r":: 3\.\d+$", each)]
    assert JOBS["test"]["strategy"]["matrix"]["python"] == supported
    assert JOBS["test"]["env"]["PYTHON"] == "python${{ matrix.python }}"


def test_matrix_has_the_versions_of_postgres_that_the_faq_names() -> None:
    assert JOBS["test"]["strategy"]["matrix"]["postgres"] == ["17", "18"]
    assert "Postgres 17 and 18" in (ROOT / "docs" / "faq.md").read_text()
    assert set(JOBS["test"]["env"]) == {"PYTHON", "TESTBED_POSTGRES_VERSION"}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_exists(command: str) -> None:
    program, *targets = command.split()
    assert program == "make" or (ROOT / program).stat().st_mode & 0o111
    done = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_every_step_runs_a_command_or_an_action_of_a_version() -> None:
    assert len(COMMANDS) == 4
    assert all(("run" in step) != ("uses" in step) for step in STEPS)
    actions = [step["uses"] for step in STEPS if "uses" in step]
    assert [each for each in actions if not re.fullmatch(r"actions/[a-z-]+@v\d+", each)] == []
    assert [name for name, job in JOBS.items() if not {"runs-on", "timeout-minutes", "steps"} <= set(job)] == []


def test_workflow_may_only_read() -> None:
    assert WORKFLOW["permissions"] == {"contents": "read"}
    assert not [job for job in JOBS.values() if "permissions" in job]
    assert "secrets." not in (ROOT / ".github" / "workflows" / "ci.yml").read_text()
