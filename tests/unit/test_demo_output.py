"""The output of the demo on a terminal, and how it reads the log of a killed projector."""

import io
from collections import Counter
from pathlib import Path

from rich.console import Console

from projector.domain.outcomes import Outcome
from testbed.demo.comparison import OUTCOMES, ProjectorLog, read_log
from testbed.demo.ends import shortened
from testbed.demo.observer import Offsets
from testbed.demo.screen import SHOWN_DIFFERENCES, Screen


def test_terminal_shows_progress_bar() -> None:
    shown = io.StringIO()
    with Screen(Console(file=shown, force_terminal=True, color_system=None, width=100)).progress() as show:
        show(Offsets(end=4000, position=3000))
    assert "3000/4000 records" in shown.getvalue()


def test_only_first_differences_are_printed() -> None:
    shown = io.StringIO()
    differences = [f"d-{number}: missing in the table" for number in range(SHOWN_DIFFERENCES + 1500)]
    Screen(Console(file=shown)).result(differences, seconds=20.4)
    assert shown.getvalue().count("missing") == SHOWN_DIFFERENCES
    assert shown.getvalue().endswith("… and 1,500 more\n\nview differs from log in 1,520 places  (20 s)\n")


def test_log_of_killed_projector_is_read(tmp_path: Path) -> None:
    log = tmp_path / "first.log"
    log.write_text(
        """\
{"level": "info", "message": "partition claimed", "partition": 0, "offset": 40, "end": 90}
/usr/lib/python: a warning of another program
{"level": "info", "message": "partition claimed", "partition": 0, "offset": 55, "end": 90}
{"level": "info", "logger": "projector.worker.loop", "message": "summary", "ended": 2, "records": 9, "inserted": 9}
{"level": "info", "logger": "projector.worker.loop", "message": "stopped", "seconds": 0.2, "records": 3, "parked": 3}
{"level": "info", "messa"""
    )
    assert read_log(log) == ProjectorLog({0: 40}, Counter(inserted=9, parked=3))
    assert set(Outcome) == OUTCOMES


def test_uuids_of_a_dry_run_are_shortened() -> None:
    caller, callee = "c1c1c1c1-0000-4000-8000-000000000001", "c2c2c2c2-0000-4000-8000-000000000002"
    heading, row = " delegation  caller → callee" + " " * 60 + "  rule", f" silent      {caller} → {callee}  silence"
    assert shortened(heading).index("rule") == shortened(row).index("silence")
    assert shortened(row) == " silent      c1c1c1c1 → c2c2c2c2  silence"


def test_differences_of_replies_are_named_so() -> None:
    shown = io.StringIO()
    Screen(Console(file=shown)).result([], 1.0, ["d-1: no reply"])
    assert shown.getvalue().endswith(
        "differs   d-1: no reply\n\nverdicts or replies differ from log in 1 place  (1 s)\n"
    )
