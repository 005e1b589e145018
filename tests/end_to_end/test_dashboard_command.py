"""`projector dashboard` as a process: its start, its link, its end."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2 as httpx
import pytest
from commands import TIMEOUT_SECONDS, Process, environment, run_projector, start

TOKEN = "a-token-of-the-operators"


@contextmanager
def dashboard(database_url: str, folder: Path, **settings: str) -> Iterator[tuple[Process, str]]:
    """The process, and its link."""
    tokens = folder / "tokens"
    tokens.write_text(f"{TOKEN}\n")
    values = environment(
        {
            "database_url": database_url,
            "bootstrap_servers": "127.0.0.1:1",
            "dashboard_tokens_file": str(tokens),
            "dashboard_address": "127.0.0.1:0",
            **settings,
        }
    )
    out = folder / "out"
    with out.open("wb") as stdout, (folder / "err").open("wb") as stderr:
        process = start(["dashboard", "--login-link"], values, stdout=stdout, stderr=stderr)
    try:
        while not (line := out.read_text()).endswith("\n"):
            assert process.poll() is None, (folder / "err").read_text()
        yield process, line.strip()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_link_logs_in_and_a_signal_ends_the_process(database_url: str, tmp_path: Path, number: int) -> None:
    with dashboard(database_url, tmp_path) as (process, link):
        base = link.partition("/login/")[0]
        with httpx.Client(base_url=base, follow_redirects=True) as browser:
            assert browser.get("/", headers={"accept": "text/html"}).url.path == "/login"
            page = browser.get(link)
            assert (page.status_code, page.url.path) == (200, "/")
            assert "in flight" in page.text
        process.send_signal(number)
        assert process.wait(TIMEOUT_SECONDS) == 0
    log = (tmp_path / "err").read_text()
    assert "dashboard stopped" in log
    assert TOKEN not in log
    assert link.rpartition("/")[2] not in log
    assert "server process" not in log


def test_dashboard_does_not_start_without_a_token(database_url: str) -> None:
    done = run_projector("dashboard", database_url=database_url, dashboard_address="127.0.0.1:0")
    assert (done.code, done.out) == (2, "")
    assert "PROJECTOR_DASHBOARD_TOKENS is not set, and without a token nobody may read" in done.err


def test_dashboard_names_an_address_that_is_taken(database_url: str, tmp_path: Path) -> None:
    with dashboard(database_url, tmp_path) as (_, link):
        address = link.partition("://")[2].partition("/")[0]
        done = run_projector("dashboard", database_url=database_url, dashboard_address=address, dashboard_tokens=TOKEN)
    assert (done.code, done.out) == (2, "")
    assert f"PROJECTOR_DASHBOARD_ADDRESS: {address} cannot be used" in done.err
