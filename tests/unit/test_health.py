"""The health file: what a member reports, and what `projector health` returns."""

import errno
import json
import math
import os
import time
from pathlib import Path

import pytest

from projector.errors import Misconfigured, ProjectorError
from projector.worker.health import FRESH_SECONDS, Health, check, latest


def test_healthy_report_is_returned(tmp_path: Path) -> None:
    file = tmp_path / "health"
    Health(file).report(healthy=False, state="waiting for Kafka")
    Health(file).report(healthy=True, state="projecting")
    assert check(file) == "projecting"
    assert list(tmp_path.iterdir()) == [file]


def test_unhealthy_report_is_an_error(tmp_path: Path) -> None:
    Health(tmp_path / "health").report(healthy=False, state="waiting for Kafka: no answer")
    with pytest.raises(ProjectorError, match="waiting for Kafka: no answer"):
        check(tmp_path / "health")


@pytest.mark.parametrize("state", ["of \udcff", "\0 \u2028 \U0001f600", "\ud83d"])
def test_any_sentence_can_be_reported(tmp_path: Path, state: str) -> None:
    """An error may quote a name of a file, or a record."""
    Health(tmp_path / "health").report(healthy=True, state=state)
    assert check(tmp_path / "health") == state.encode(errors="backslashreplace").decode()


@pytest.mark.parametrize("number", [math.inf, -math.inf, 1e300, 0.1])
def test_any_number_can_be_reported(tmp_path: Path, number: float) -> None:
    health = Health(tmp_path / "health")
    health.meters.set("lag_seconds", number, "a \u00fc", "0")
    health.report(healthy=True, state="projecting")
    found = latest(tmp_path / "health")
    assert found is not None
    assert found.metrics == [("lag_seconds", ("a \u00fc", "0"), [number])]


def test_old_report_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "health"
    file.write_text(json.dumps({"at": time.time() - FRESH_SECONDS - 1, "healthy": True, "state": "projecting"}))
    with pytest.raises(ProjectorError, match="the last report is 31 seconds old: projecting"):
        check(file)


def test_report_from_the_future_is_an_error(tmp_path: Path) -> None:
    """The clock was set back. A process that hangs would look healthy until the clock has caught up."""
    file = tmp_path / "health"
    file.write_text(json.dumps({"at": time.time() + FRESH_SECONDS + 10, "healthy": True, "state": "projecting"}))
    with pytest.raises(ProjectorError, match=r"of (39|40) seconds later than now: projecting"):
        check(file)


OTHER_SHAPES = [
    "no json",
    "[]",
    "{}",
    "7",
    "null",
    '{"at": 1}',
    '{"at": "noon", "healthy": true, "state": "x"}',
    "[" * 70_000,
]


@pytest.mark.parametrize("content", ["", *OTHER_SHAPES])
def test_unreadable_report_is_an_error(tmp_path: Path, content: str) -> None:
    file = tmp_path / "health"
    file.write_text(content)
    with pytest.raises(ProjectorError, match="no report of a running projector"):
        check(file)


def test_missing_report_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ProjectorError, match="no report of a running projector"):
        check(tmp_path / "nowhere")


def test_without_a_file_nothing_is_reported() -> None:
    Health(None).report(healthy=True, state="projecting")
    with pytest.raises(Misconfigured, match="PROJECTOR_HEALTH_FILE is not set"):
        check(None)


def test_unwritable_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(Misconfigured, match=r"PROJECTOR_HEALTH_FILE: .*/no/health cannot be written: No such file"):
        Health(tmp_path / "no" / "health").report(healthy=True, state="projecting")


@pytest.mark.parametrize("content", [*OTHER_SHAPES, "buy milk\n"])
def test_file_that_is_no_report_is_not_replaced(tmp_path: Path, content: str) -> None:
    file = tmp_path / "notes"
    file.write_text(content)
    with pytest.raises(Misconfigured, match=r"PROJECTOR_HEALTH_FILE: .*/notes exists and is not a health report"):
        Health(file)
    assert file.read_text() == content


def test_device_is_not_replaced() -> None:
    with pytest.raises(Misconfigured, match="/dev/null exists and is not a health report"):
        Health(Path("/dev/null"))


@pytest.fixture(params=["folder", "pipe", "link to a folder", "link to notes"])
def other(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A path with something that the product did not write."""
    path, target = tmp_path / "health", tmp_path / "target"
    match request.param:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "link to a folder":
            target.mkdir()
            path.symlink_to(target)
        case "link to notes":
            target.write_text("buy milk\n")
            path.symlink_to(target)
    return path


def test_path_with_something_else_is_refused(other: Path) -> None:
    with pytest.raises(Misconfigured, match="exists and is not a health report"):
        Health(other)


def test_path_with_something_else_is_no_report(other: Path) -> None:
    with pytest.raises(ProjectorError, match="no report of a running projector"):
        check(other)


def test_file_beside_the_report_is_not_replaced(tmp_path: Path) -> None:
    notes = tmp_path / "health.new"
    notes.write_text("buy milk\n")
    Health(tmp_path / "health").report(healthy=True, state="projecting")
    assert notes.read_text() == "buy milk\n"


def test_link_stays_and_its_target_is_replaced(tmp_path: Path) -> None:
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    Health(link).report(healthy=True, state="projecting")
    assert link.is_symlink()
    assert check(link) == check(target) == "projecting"


def test_failed_report_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    health = Health(tmp_path / "health")
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(Misconfigured, match="No space left"):
        health.report(healthy=True, state="projecting")
    assert list(tmp_path.iterdir()) == []


def test_empty_file_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "health"
    file.touch()
    Health(file).report(healthy=True, state="projecting")
    assert check(file) == "projecting"
