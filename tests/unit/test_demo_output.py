"""The output of the demo on a terminal, and how it reads the log of a killed projector."""

import io
from collections import Counter
from pathlib import Path

from rich.console import Console

from projector.domain.outcomes import Outcome
from testbed.demo.comparison import OUTCOMES, ProjectorLog, read_log
from testbed.demo.observer import Offsets
from testbed.demo.screen import SHOWN_DIFFERENCES, Screen


def test_terminal_shows_progress_bar() -> None:
    shown = io.StringIO()
    with Screen(Console(file=shown, force_terminal=True, color_system=None, width=100)).progress() as show:
        show(Offsets(end=4000, position=3000))
    assert "3000/4000 records" in shown.getvalue()


def test_step_is_broken_between_words_on_a_terminal() -> None:
    shown = io.StringIO()
    text = "another process claimed record 15,020 and the following; its log counted 16,185 until SIGTERM"
    link = f"http://127.0.0.1:34155/login/{'x' * 60}"
    screen = Screen(Console(file=shown, force_terminal=True, color_system=None, width=80))
    screen.step("then", text)
    screen.step("dashboard", link)
    first, second, third = shown.getvalue().splitlines()
    assert (first[:10], second[:10]) == ("then      ", " " * 10)
    assert f"{first[10:]} {second[10:]}" == text
    assert max(len(first), len(second)) <= 80
    assert third == f"dashboard {link}"


def test_step_in_a_file_is_one_line() -> None:
    shown = io.StringIO()
    Screen(Console(file=shown, width=80)).step("then", "word " * 40)
    assert shown.getvalue().count("\n") == 1


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


def test_differences_of_replies_are_named_so() -> None:
    shown = io.StringIO()
    Screen(Console(file=shown)).result([], 1.0, ["d-1: no reply"])
    assert shown.getvalue().endswith(
        "differs   d-1: no reply\n\nverdicts or replies differ from log in 1 place  (1 s)\n"
    )
