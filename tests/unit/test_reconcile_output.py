"""The log lines that report the progress of a comparison without a terminal."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from projector.cli import reconcile


def lines(caplog: pytest.LogCaptureFixture, *, every: float, folded: Sequence[tuple[int, int]]) -> list[Any]:
    """The log lines of a fold with these (done, total) counts. One line at most is logged per `every` seconds."""
    caplog.set_level(logging.INFO)
    with pytest.MonkeyPatch.context() as patch, reconcile._progress() as progress:
        patch.setattr(reconcile, "_LOG_INTERVAL_SECONDS", every)
        progress.phase("folding")
        for done, total in folded:
            progress.folded(done, total)
    return caplog.records


def test_line_has_phase_records_rate_and_eta(caplog: pytest.LogCaptureFixture) -> None:
    phase, line = lines(caplog, every=0, folded=[(10, 100)])
    assert (phase.getMessage(), line.getMessage()) == ("folding", "folding")
    assert (line.records, line.of) == (10, 100)
    assert line.eta_seconds >= 0
    assert line.records_per_second > 0


def test_line_has_no_eta_without_a_total(caplog: pytest.LogCaptureFixture) -> None:
    _, line = lines(caplog, every=0, folded=[(10, 0)])
    assert line.records == 10
    assert not hasattr(line, "of")
    assert not hasattr(line, "eta_seconds")


def test_lines_keep_their_interval(caplog: pytest.LogCaptureFixture) -> None:
    assert len(lines(caplog, every=10, folded=[(n, 100) for n in range(100)])) == 1
