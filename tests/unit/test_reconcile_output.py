"""How far a comparison is, for those who read a log instead of a terminal."""

import logging
from collections.abc import Sequence
from typing import Any

import pytest

from projector.cli import reconcile


def lines(caplog: pytest.LogCaptureFixture, *, every: float, folded: Sequence[tuple[int, int]]) -> list[Any]:
    """What is logged with a line for each so many seconds, of a fold that reaches so many records of so many."""
    caplog.set_level(logging.INFO)
    with pytest.MonkeyPatch.context() as patch, reconcile._watch() as progress:
        patch.setattr(reconcile, "_LOG_SECONDS", every)
        progress.phase("folding")
        for done, total in folded:
            progress.folded(done, total)
    return caplog.records


def test_line_tells_phase_records_rate_and_what_is_left(caplog: pytest.LogCaptureFixture) -> None:
    phase, line = lines(caplog, every=0, folded=[(10, 100)])
    assert (phase.getMessage(), line.getMessage()) == ("folding", "folding")
    assert (line.records, line.of) == (10, 100)
    assert line.eta_seconds >= 0
    assert line.records_per_second > 0


def test_source_that_does_not_know_its_size_tells_nothing_of_its_end(caplog: pytest.LogCaptureFixture) -> None:
    _, line = lines(caplog, every=0, folded=[(10, 0)])
    assert line.records == 10
    assert not hasattr(line, "of")
    assert not hasattr(line, "eta_seconds")


def test_lines_are_apart(caplog: pytest.LogCaptureFixture) -> None:
    assert len(lines(caplog, every=10, folded=[(n, 100) for n in range(100)])) == 1
