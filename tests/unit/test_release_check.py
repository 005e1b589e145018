"""`make release-check`: a check that learnt nothing fails."""

import re
import sys
from pathlib import Path

import pytest

from release import __main__ as release_check
from release.commands import CheckFailed, run
from release.pythons import VERSIONS, find
from release.vulnerabilities import judge

KNOWN = {"name": "click", "version": "8.5.1", "vulns": []}


def test_advisory_fails() -> None:
    with pytest.raises(CheckFailed, match=r"^rich 15: GHSA-1$"):
        judge([KNOWN, {"name": "rich", "version": "15", "vulns": [{"id": "GHSA-1"}]}])


def test_package_of_which_nothing_is_known_fails() -> None:
    with pytest.raises(CheckFailed, match="nothing is known of 1 of 2 packages: not found"):
        judge([KNOWN, {"name": "rich", "skip_reason": "not found"}])


def test_all_packages_without_an_advisory_pass() -> None:
    assert judge([KNOWN]) == "no advisory for 1 packages"


def test_missing_python_fails(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A shim that only says that its version is not chosen is none."""
    shim = tmp_path / "python3.12"
    shim.write_text("#!/bin/sh\nexit 127\n")
    shim.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    with pytest.raises(CheckFailed, match=r"no python3.12 .* --skip python3.12"):
        find("3.12")
    shim.write_text("#!/bin/sh\nexit 0\n")
    assert find("3.12") == shim


def test_failed_command_shows_its_output() -> None:
    with pytest.raises(CheckFailed, match=r"ended with 3:\nsorry"):
        run([sys.executable, "-c", "print('sorry'); raise SystemExit(3)"])


def test_failed_check_makes_the_exit_code(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def check(name: str, _: Path) -> str:
        if name == "python3.12":
            raise CheckFailed("no such thing")
        return "fine"

    monkeypatch.setattr(release_check, "check", check)
    monkeypatch.setattr(sys, "argv", ["release", "--skip", "vulnerabilities"])
    assert release_check.main() == 1
    out = capsys.readouterr().out
    assert "FAILED  python3.12      no such thing" in out
    assert "failed: 1, skipped: 1" in out
    monkeypatch.setattr(sys, "argv", ["release", "--skip", "python3.12"])
    assert release_check.main() == 0


def test_every_supported_python_is_checked() -> None:
    named = Path(release_check.__file__).parents[1].joinpath("pyproject.toml").read_text()
    assert tuple(re.findall(r"Python :: (3\.\d+)", named)) == VERSIONS
    assert 'requires-python = ">=3.11,<3.14"' in named
