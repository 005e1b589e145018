"""The barrier of processes that start together: pipes and real processes."""

import subprocess
import sys
from pathlib import Path

_SCRIPT = """
import os, signal, sys, time
from pathlib import Path
from projector.process import barrier as barrier_module
from projector.worker.supervisor import run_members

folder = Path(sys.argv[1])

def wait_until_gone(count):
    while len(list(folder.glob("gone-*"))) < count:
        time.sleep(0.02)
    return 0

def come(number, barrier, count=3):
    (folder / f"here-{number}").touch()
    barrier.wait(lambda: False)
    here = " ".join(sorted(each.name for each in folder.glob("here-*")))
    (folder / f"new-{number}").write_text(here)
    (folder / f"new-{number}").rename(folder / f"gone-{number}")
    return wait_until_gone(count)  # the end of one member stops the others

def member(number, barrier):
"""


def run(folder: Path, member: str) -> int:
    """Run three members with this body; returns the exit code."""
    body = "\n".join(f"    {line}" for line in member.splitlines())
    script = f"{_SCRIPT}{body}\nsys.exit(run_members(3, member, None))"
    return subprocess.run([sys.executable, "-c", script, str(folder)], timeout=50, check=False).returncode


def others_seen(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("gone-*"))]


def test_nobody_goes_before_all_are_here(tmp_path: Path) -> None:
    assert run(tmp_path, "time.sleep(0.3 * (number - 1))\nreturn come(number, barrier)") == 0
    assert others_seen(tmp_path) == ["here-1 here-2 here-3"] * 3


def test_one_that_never_comes_does_not_hold_the_others_back(tmp_path: Path) -> None:
    """The third one ends only when the others have gone."""
    member = """
if number < 3:
    return come(number, barrier, 2)
return wait_until_gone(2)
"""
    assert run(tmp_path, member) == 0
    assert others_seen(tmp_path) == ["here-1 here-2"] * 2


def test_one_that_stops_does_not_wait(tmp_path: Path) -> None:
    """Nor does the second call. The others never come."""
    member = """
if number == 1:
    barrier_module._SECONDS = 1000
    barrier.wait(lambda: True)
    barrier.wait(lambda: False)
    (folder / "gone-1").touch()
    return 0
return wait_until_gone(1)
"""
    assert run(tmp_path, member) == 0


def test_one_that_is_killed_does_not_hold_the_others_back() -> None:
    script = """
import os, signal
from projector.process import barrier
barrier._SECONDS = 1000
together = barrier.Barrier()
if os.fork() == 0:
    os.kill(os.getpid(), signal.SIGKILL)
together.wait(lambda: False)
"""
    assert subprocess.run([sys.executable, "-c", script], timeout=50, check=False).returncode == 0
