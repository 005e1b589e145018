"""Ctrl-C and SIGTERM at any moment of a command: one sentence, code 130 or 143, and never a traceback."""

import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from cluster import wait_until
from commands import TIMEOUT_SECONDS, all_of, environment
from replaying import replay_letters

from testbed.recording import write_recording
from testbed.workload import Mix, records, with_offsets

SCRIPT = [str(Path(sys.executable).with_name("projector"))]
MODULE = ["-m", "projector"]
SIGNALS = [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "ended by SIGTERM")]
AGAIN = "run it again: it continues where it stopped"
FOLDED = "SELECT coalesce(sum(next_offset), 0) FROM projector_shadow.positions"
REPLAYED = "SELECT count(*) FROM delegations"


def unmeasured(settings: Mapping[str, str]) -> dict[str, str]:
    """The environment of a command without coverage.

    A signal's handler that raises inside coverage leaves a lock of coverage taken, and the process waits for ever.
    """
    return {name: value for name, value in environment(settings).items() if not name.startswith("COVERAGE")}


@contextmanager
def started(command: Sequence[str], **settings: str) -> Iterator["subprocess.Popen[str]"]:
    """A new interpreter that runs this. A job in the background of a shell ignores SIGINT; this one does not."""
    process = subprocess.Popen(
        [sys.executable, *command],
        env=unmeasured(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def silent_server() -> Iterator[str]:
    """The URL of a server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"postgresql://127.0.0.1:{server.getsockname()[1]}/none"


# --- the imports


@pytest.mark.parametrize("command", [SCRIPT, MODULE], ids=["script", "module"])
@pytest.mark.parametrize(("number", "code", "sentence"), SIGNALS)
@pytest.mark.parametrize("milliseconds", [0, 3, 10, 30, 60, 100, 150, 250, 400])
def test_signal_during_the_imports_is_one_sentence(
    command: list[str], number: signal.Signals, code: int, sentence: str, milliseconds: int, silent_server: str
) -> None:
    """From the first module of a command on. What comes before is Python's own start."""
    with started(["-X", "importtime", *command, "status"], database_url=silent_server) as process:
        assert process.stderr
        line = ""
        while "projector.process.interruption" not in line and "click" not in line:
            line = process.stderr.readline()
        time.sleep(milliseconds / 1000)
        process.send_signal(number)
        _, err = process.communicate(timeout=TIMEOUT_SECONDS)
    printed = [line for line in err.splitlines() if not line.startswith("import time:")]
    # SIGTERM has Python's default until the handler stands: it ends the process in silence.
    silent = (-signal.SIGTERM, []) if number == signal.SIGTERM else (code, [f"projector: {sentence}"])
    assert (process.returncode, printed) in [(code, [f"projector: {sentence}"]), silent]


def test_signal_after_the_work_is_no_traceback() -> None:
    """Standard output is written at the end. What follows is the end of Python, which restores the default at last."""
    codes = set()
    for milliseconds in range(12):
        with started([*MODULE, "config"]) as process:
            assert process.stdout
            process.stdout.read(1)
            time.sleep(milliseconds / 1000)
            process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=TIMEOUT_SECONDS)
        assert err in ("", "projector: interrupted\n")
        codes.add(process.returncode)
    assert codes <= {0, 130, -signal.SIGINT}


# --- the work


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "many.jsonl"
    write_recording(path, with_offsets(records(Mix(delegations=1000)), topic="many", partitions=2))
    return path


@pytest.mark.parametrize(("number", "code", "sentence"), SIGNALS)
@pytest.mark.parametrize(
    ("command", "progress", "advice"),
    [
        (["verify", "--from"], FOLDED, AGAIN),
        (["replay"], REPLAYED, "run it again: a second replay changes no row"),
    ],
    ids=["verify", "replay"],
)
def test_signal_during_a_fold_names_what_to_do(
    number: signal.Signals,
    code: int,
    sentence: str,
    command: list[str],
    progress: str,
    advice: str,
    file: Path,
    database_url: str,
) -> None:
    with psycopg.connect(database_url, autocommit=True) as conn:

        def done() -> int:
            row = conn.execute(progress).fetchone()
            return int(row[0]) if row else 0

        for more in (100, 130):
            before = done()
            with started([*MODULE, *command, str(file)], database_url=database_url, batch_records="20") as process:
                wait_until(lambda: done() >= before + more or process.poll(), f"{more} more of {before}")  # noqa: B023
                process.send_signal(number)
                _, err = process.communicate(timeout=TIMEOUT_SECONDS)
            *lines, last = err.splitlines()
            assert (process.returncode, last) == (code, f"projector: {sentence}; {advice}")
            assert [line for line in lines if " info " not in line] == []


# --- the question


def ask(database_url: str, typed: bytes) -> tuple[int, str]:
    """Type this at the question of `dead-letters discard`; the exit code, and what the terminal shows."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        command = [sys.executable, *MODULE, "dead-letters", "discard", "--all", "--every-topic"]
        os.execve(sys.executable, command, unmeasured({"database_url": database_url}))
    shown = b""
    while b"to continue: " not in shown:
        shown += os.read(terminal, 4096)
    os.write(terminal, typed)
    screen = shown.decode() + all_of(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), screen


@pytest.mark.parametrize(
    ("typed", "code", "shown"),
    [
        (b"\x03", 130, "^C\r\nprojector: interrupted\r\n"),
        (b"\x04", 1, "\r\nprojector: nothing was done\r\n"),
        (b"\xff\r", 1, "projector: nothing was done\r\n"),
    ],
    ids=["Ctrl-C", "Ctrl-D", "not UTF-8"],
)
def test_question_can_be_left(typed: bytes, code: int, shown: str, tmp_path: Path, database_url: str) -> None:
    replay_letters(tmp_path, database_url)
    exit_code, screen = ask(database_url, typed)
    assert exit_code == code
    assert screen.endswith(shown)
    assert "Traceback" not in screen
    with psycopg.connect(database_url) as conn:
        assert conn.execute("SELECT count(*) FROM projector.dead_letters").fetchone() == (3,)
