"""What the loop of the sweeper logs and reports about its passes."""

import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from projector.cli.sweep import _print_line
from projector.settings import Settings
from projector.sweep import loop
from projector.sweep.one_pass import Mode
from projector.sweep.report import Report, Skipped
from projector.sweep.sweeper import Sweeper

NOW = datetime(2026, 5, 5, 12, tzinfo=UTC)


def noted(report: Report, tmp_path: Path, *notes: str) -> tuple[loop._Loop, list[Report]]:
    """The loop after a pass with this report, and what it handed on."""
    found: list[Report] = []
    settings = Settings(health_file=tmp_path / "health")
    running, sweeper = loop._Loop(settings, found.append), Sweeper(settings, Mode())
    sweeper.notes = list(notes)
    running._note(report, sweeper)
    assert sweeper.notes == [], "each is logged once"
    return running, found


def warnings(caplog: pytest.LogCaptureFixture) -> dict[str, Any]:
    """Message → the record of each warning."""
    return {each.message: each for each in caplog.records if each.levelno == logging.WARNING}


@pytest.mark.parametrize(("seconds", "warns"), [(599, False), (601, True)])
def test_verdicts_that_nobody_projects_are_a_warning(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, seconds: int, *, warns: bool
) -> None:
    caplog.set_level(logging.INFO)
    noted(Report(repeated=3, judged_at=NOW, repeated_since=NOW - timedelta(seconds=seconds)), tmp_path)
    [swept] = [each for each in caplog.records if each.message == "swept"]
    assert swept.__dict__["unconfirmed_seconds"] == seconds
    found = warnings(caplog).get("verdicts are not projected: the change feed loses them, or stands still")
    assert (found is not None) == warns
    if found:
        assert (found.__dict__["verdicts"], found.__dict__["oldest_seconds"]) == (3, seconds)


@pytest.mark.parametrize("skipped", [Skipped.BEHIND, Skipped.BRAKED, Skipped.NO_ACTIVITY])
def test_what_was_not_judged_is_a_warning_and_the_state(
    caplog: pytest.LogCaptureFixture, tmp_path: Path, skipped: Skipped
) -> None:
    running, found = noted(Report(judged_at=NOW).skip(skipped, "the reason"), tmp_path)
    assert warnings(caplog)["not all was judged"].__dict__["reason"] == "the reason"
    assert (running._state, len(found)) == ("the reason", 1)


def test_pass_of_another_sweeper_is_no_line(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    """Of several sweepers, one makes the pass of an interval: the others have nothing to report."""
    caplog.set_level(logging.INFO)
    running, found = noted(Report().skip(Skipped.LOCKED, "another sweeper is in its pass"), tmp_path)
    assert (caplog.records, running._state, found) == ([], "sweeping", [])


def test_notes_are_logged_once(caplog: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    noted(Report(judged_at=NOW), tmp_path, "no index")
    assert warnings(caplog)["activity_logs is not as the sweeper needs it"].__dict__["reason"] == "no index"


def test_each_pass_is_one_line_of_json(capsys: pytest.CaptureFixture[str]) -> None:
    for held in (1, 2):
        _print_line(Report(held=held))
    assert [json.loads(line)["held"] for line in capsys.readouterr().out.splitlines()] == [1, 2]
