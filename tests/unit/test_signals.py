"""Signals before, during and after the work of a command, each in a process of its own."""

import signal
import subprocess
import sys

import pytest

START = """\
import os, signal, sys, time
from projector.process.interruption import Interrupted, end_at_once, interruptible

signal.signal(signal.SIGINT, signal.default_int_handler)
end_at_once()


def work():
"""
END = """

try:
    with interruptible("run it again"):
        work()
except Interrupted as error:
    print(error, error.code)
"""
IN_A_DESTRUCTOR = """\
    class Destroyed:
        def __del__(self):
            signal.raise_signal(signal.SIGTERM)
            len("")

    Destroyed()
    time.sleep(60)
"""
IN_A_CLEANUP = """\
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        raise ValueError("a connection that is busy")
"""
TWICE = """\
    try:
        signal.raise_signal(signal.SIGINT)
    finally:
        print("cleaning up", flush=True)
        signal.raise_signal(signal.SIGTERM)
        print("not reached", flush=True)
"""
CLEANUP_WITHOUT_END = """\
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        time.sleep(60)
"""


def run(work: str, end: str = END) -> tuple[int, str, str]:
    done = subprocess.run([sys.executable, "-c", START + work + end], capture_output=True, text=True, timeout=60)
    return done.returncode, done.stdout, done.stderr


def test_signal_in_a_destructor_is_not_lost() -> None:
    assert run(IN_A_DESTRUCTOR) == (0, "ended by SIGTERM; run it again 143\n", "")


def test_error_of_the_cleanup_is_no_error_of_the_command() -> None:
    assert run(IN_A_CLEANUP) == (0, "interrupted; run it again 130\n", "")


def test_second_signal_ends_the_process_at_once() -> None:
    assert run(TWICE) == (143, "cleaning up\n", "projector: ended by SIGTERM\n")


def test_cleanup_that_takes_too_long_ends_the_process() -> None:
    short = "from projector.process import interruption\ninterruption._CLEANUP_SECONDS = 0.1\n" + END
    assert run(CLEANUP_WITHOUT_END, short) == (143, "", "projector: ended by SIGTERM; run it again\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_after_the_work_ends_the_process_at_once(number: signal.Signals) -> None:
    code, out, err = run("    pass\n", END + f"\nsignal.raise_signal({number.value})\nprint('not reached')\n")
    assert (code, out, err.startswith("projector: ")) == (128 + number, "", True)


def test_ignored_ctrl_c_stays_ignored() -> None:
    """As of a job in the background of a shell."""
    ignored = "signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + END
    assert run("    signal.raise_signal(signal.SIGINT)\n    print('done')\n", ignored) == (0, "done\n", "")
