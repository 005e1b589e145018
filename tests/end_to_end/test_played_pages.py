"""Pages that are played from their own text: each command runs in one shell, and prints what the page shows."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from testbed.servers.start import Postgres

ROOT = Path(__file__).parents[2]
PAGES = ("ten-minutes", "tutorial")
CHANGES = (
    *("INSERT", "UPDATE", "publish.py", "discard", "rebuild", "sweep --once"),
    *("projector run", "projector dashboard", "kill"),
)
"""Commands that are typed once. The others are typed again until the rows before them have arrived."""
SECONDS = 60


@contextmanager
def sandbox(postgres: Postgres, kafka: str, folder: Path) -> Iterator[None]:
    """What `make sandbox` starts, on the servers of the tests; `folder` gets its file of settings."""
    testbed = {"TESTBED_DATABASE_URL": postgres.url, "TESTBED_BOOTSTRAP_SERVERS": kafka}
    with subprocess.Popen(
        [sys.executable, "-m", "testbed.demo.sandbox", "--into", str(folder / "sandbox.env")],
        env={**os.environ, **testbed, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        try:
            assert running.stdout
            assert running.stdout.readline().startswith("ready: ")
            yield
        finally:
            running.terminate()
        assert running.wait(timeout=SECONDS) == 0


class Shell:
    """The reader's second terminal."""

    def __init__(self, shell: "subprocess.Popen[str]") -> None:
        self._shell = shell

    def type(self, commands: str) -> str:
        """Run commands to their end; returns what they print."""
        assert self._shell.stdin
        assert self._shell.stdout
        self._shell.stdin.write(f"{commands}\necho 'the end of this'\n")
        self._shell.stdin.flush()
        return "".join(iter(self._shell.stdout.readline, "the end of this\n"))


@contextmanager
def ended(bash: "subprocess.Popen[str]") -> Iterator[None]:
    """End the shell and what it has started, also if the page is wrong: `projector run` is in its background."""
    try:
        yield
    finally:
        with suppress(ProcessLookupError):
            os.killpg(bash.pid, signal.SIGKILL)


def shown(output: str) -> str:
    """The pattern of an output: blanks, dashes and digits may differ, and `…` stands for any text."""
    parts = [re.sub(r"\d+", r"\\d+", re.escape(part)) for part in re.sub("-{2,}", "…", output).split("…")]
    return r"\s*" + ".*?".join(re.sub(r"(?:\\?\s)+", r"\\s+", part) for part in parts) + r"\s*"


def text(page: str) -> str:
    return (ROOT / "docs" / f"{page}.md").read_text()


def steps(page: str) -> list[tuple[str, str]]:
    """Commands, and the output that the page shows for them."""
    return re.findall(r"^```sh\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", text(page), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_page_shows_what_its_commands_print(page: str, logical_postgres: Postgres, kafka: str, tmp_path: Path) -> None:
    assert len(steps(page)) > 10
    with (
        sandbox(logical_postgres, kafka, tmp_path),
        subprocess.Popen(
            ["bash"],
            cwd=tmp_path,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={name: value for name, value in os.environ.items() if not name.startswith("PROJECTOR_")},
            start_new_session=True,
        ) as bash,
        ended(bash),
    ):
        shell = Shell(bash)
        for commands, output in steps(page):
            until = time.monotonic() + SECONDS
            printed = shell.type(commands)
            while not re.fullmatch(shown(output), printed, re.DOTALL):
                is_over = time.monotonic() > until or any(each in commands for each in CHANGES)
                assert not is_over, f"{commands}printed\n{printed}and not\n{output}"
                printed = shell.type(commands)
        bash.communicate(timeout=SECONDS)
    logs = set(re.findall(r"> (\w+\.log)", text(page)))
    assert "run.log" in logs
    assert [log for log in logs if "stopped" not in (tmp_path / log).read_text()] == []
    assert not (tmp_path / "sandbox.env").exists()


def test_make_starts_this_sandbox() -> None:
    assert all("$ make sandbox\n" in text(page) for page in PAGES)
    assert "-m testbed.demo.sandbox" in (ROOT / "Makefile").read_text().partition("\nsandbox:")[2].partition("\n\n")[0]
