"""Long output on a terminal goes through the pager, and short output does not."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from commands import all_of, environment


@pytest.fixture
def pager(tmp_path: Path) -> str:
    """A pager that marks what it shows."""
    program = tmp_path / "pager"
    program.write_text("#!/bin/sh\necho begin\ncat\necho end\n")
    program.chmod(0o755)
    return str(program)


def on_a_terminal(*arguments: str, pager: str, lines: int) -> str:
    ours, theirs = pty.openpty()
    variables = environment({}) | {"PAGER": pager, "LINES": str(lines), "COLUMNS": "80", "TERM": "xterm"}
    command = [sys.executable, "-m", "projector", *arguments]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, env=variables) as process:
        os.close(theirs)
        shown = all_of(ours)
    assert process.returncode == 0
    return shown.replace("\r\n", "\n")


def test_long_output_is_paged(pager: str) -> None:
    shown = on_a_terminal("config", pager=pager, lines=24)
    assert shown.startswith("begin\nPROJECTOR_")
    assert shown.endswith("# default\nend\n")


def test_output_that_fits_is_printed(pager: str) -> None:
    assert on_a_terminal("config", pager=pager, lines=100).startswith("PROJECTOR_")
