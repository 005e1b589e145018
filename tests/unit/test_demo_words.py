"""The demo's words: what it shows on a terminal, and what it reads from the log of a projector that was killed."""

import io
from collections import Counter
from pathlib import Path

from rich.console import Console

from testbed.demo.screen import SHOWN_DIFFERENCES, Screen
from testbed.demo.verdict import Told, read_log
from testbed.demo.watch import Seen


def test_a_terminal_shows_a_bar_that_is_full_when_the_view_has_caught_up() -> None:
    shown = io.StringIO()
    with Screen(Console(file=shown, force_terminal=True, color_system=None, width=100)).catching_up() as tell:
        tell(Seen(logged=4000, projected=3000))
    assert "3000/4000 records" in shown.getvalue()


def test_of_many_differences_the_first_are_shown_and_the_rest_is_counted() -> None:
    shown = io.StringIO()
    differences = [f"d-{number}: missing in the table" for number in range(SHOWN_DIFFERENCES + 1500)]
    Screen(Console(file=shown)).verdict(differences, seconds=20.4)
    assert shown.getvalue().count("missing") == SHOWN_DIFFERENCES
    assert shown.getvalue().endswith("… and 1,500 more\n\nview differs from log in 1,520 places  (20 s)\n")


def test_the_log_of_a_killed_projector_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    log = tmp_path / "first.log"
    log.write_text(
        """\
{"level": "info", "message": "partition claimed", "partition": 0, "offset": 40, "end": 90}
/usr/lib/python: a warning of somebody else
{"level": "info", "message": "partition claimed", "partition": 0, "offset": 55, "end": 90}
{"level": "info", "logger": "projector.worker.loop", "message": "summary", "seconds": 1.0, "records": 9, "inserted": 9}
{"level": "info", "logger": "projector.worker.loop", "message": "stopped", "seconds": 0.2, "records": 3, "parked": 3}
{"level": "info", "messa"""
    )
    assert read_log(log) == Told({0: 40}, Counter(inserted=9, parked=3))
