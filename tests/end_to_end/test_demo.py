"""A small demo from its command line: it ends with *view equals log*, or prints what differs."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from urllib.parse import urlsplit

import psycopg
import pytest
from cluster import wait_until
from psycopg import sql

from testbed.demo.observer import Observer
from testbed.servers.start import Postgres

PRINTED = (
    r"SIGKILL   process \d+ is gone",
    r"projector runs again as process \d+, [\d,]+ records behind",
    r"inserted +295 .*",
    r"the three oldest in flight",
    r"lag       0 records: position 2,970, end of the log 2,970",
    r"verify    .*\b4 delegations",
    r"rebuild   .*1 rows? inserted, 2 updated, 1 deleted",
    r"verify    .*equals",
    r"silence   6 of 24 callees are silent, 2 are overdue",
    r"sweep     a pass would make silent-1 stuck \(rule silence\)",
    r"sweep     28 candidates: 2 verdicts written \(0 stuck, 2 failed\), .* 26 held",
    r"sweep     braked: 26 delegations would be stuck, more than 22 of the 44 in flight",
    r"sweep     6 candidates: 6 verdicts written \(6 stuck, 0 failed\)",
    r"inboxes   \d+ replies: 35 ok, \d error; \d wait",
    r"silent-1: stuck in the view, and its caller reads “the answer to silent-1”",
    r"compared  with independent models: 44 rows, 8 verdicts, ",
    r"view equals log, and so do verdicts and replies",
)
"""Patterns of what a demo prints that ends well."""


@contextmanager
def demo(postgres: Postgres, kafka: str, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run a small demo on the servers of the tests, where it creates its own database and topic."""
    testbed = {"TESTBED_DATABASE_URL": postgres.url, "TESTBED_BOOTSTRAP_SERVERS": kafka, **variables}
    command = [sys.executable, "-m", "testbed.demo", "--delegations", "300", *arguments]
    running = subprocess.Popen(
        command,
        env={**os.environ, **testbed},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # A job in the background of a shell ignores SIGINT, and so would the demo.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler) and None,
    )
    try:
        yield running
    finally:
        running.kill()
        running.communicate()


def read_until(running: subprocess.Popen[str], pattern: str) -> re.Match[str]:
    assert running.stdout
    for line in running.stdout:
        if found := re.search(pattern, line):
            return found
    raise AssertionError(f"never printed: {pattern!r}")


def demo_databases(postgres: Postgres) -> list[str]:
    with psycopg.connect(postgres.url) as conn:
        rows = conn.execute("SELECT datname FROM pg_database WHERE datname LIKE 'projector_demo_%'")
        return [name for (name,) in rows]


def test_ctrl_c_ends_everything_without_a_traceback(logical_postgres: Postgres, kafka: str) -> None:
    with demo(logical_postgres, kafka) as running:
        read_until(running, "SIGKILL")
        running.send_signal(signal.SIGINT)
        _, errors = running.communicate(timeout=120)
    assert (running.returncode, errors) == (130, "\ndemo: interrupted: everything it started was ended\n")
    assert demo_databases(logical_postgres) == []


def test_ctrl_c_within_a_call_of_kafka_is_not_lost() -> None:
    """The client catches every exception of its tasks. This consumer does so too."""

    class Consumer:
        def end_offsets(self, _: object) -> dict[object, int]:
            with suppress(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)
            return {}

    observer = Observer(cast(Any, SimpleNamespace(topic="any")), cast(Any, None), Consumer())
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            observer.end_offsets()
    finally:
        signal.signal(signal.SIGINT, before)


def test_ctrl_c_within_a_query_prints_no_warning_of_psycopg(logical_postgres: Postgres) -> None:
    program = f"""\
import psycopg, sys
from testbed.demo import __main__ as demo

def query(*_):
    with psycopg.connect({logical_postgres.url!r}) as conn:
        conn.execute("SELECT 1")
        conn.pgconn.send_query(b"SELECT pg_sleep(1)")
        raise KeyboardInterrupt

demo.run_demo = query
sys.exit(demo.main())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (130, "\ndemo: interrupted: everything it started was ended\n")


def test_row_edited_meanwhile_is_printed(logical_postgres: Postgres, kafka: str) -> None:
    with demo(logical_postgres, kafka) as running:
        database = read_until(running, "database (projector_demo_[0-9a-f]+)")[1]
        read_until(running, "SIGKILL")
        with psycopg.connect(urlsplit(logical_postgres.url)._replace(path=f"/{database}").geturl()) as conn:
            changed = conn.execute(
                """
                UPDATE delegations SET task_preview = 'edited by hand'
                 WHERE delegation_id = (SELECT min(delegation_id) FROM delegations) RETURNING delegation_id
                """
            ).fetchone()
        output, _ = running.communicate(timeout=120)
    assert changed
    assert f"differs   {changed[0]}: task_preview is 'edited by hand', expected" in output
    assert "view differs from log in 1 place" in output
    assert "view equals log" not in output
    assert running.returncode == 1


def test_reply_of_somebody_else_is_printed(logical_postgres: Postgres, kafka: str) -> None:
    with demo(logical_postgres, kafka) as running:
        database = read_until(running, "database (projector_demo_[0-9a-f]+)")[1]
        read_until(running, "answers   3 of the silent ones answer late")
        with psycopg.connect(urlsplit(logical_postgres.url)._replace(path=f"/{database}_ends").geturl()) as conn:
            conn.execute(
                """
                INSERT INTO activity_logs (workspace_id, activity_type, method, status, request_body)
                SELECT caller_id, 'a2a_receive', 'delegate_result', 'ok', '{"delegation_id": "silent-6"}'
                  FROM delegations WHERE delegation_id = 'silent-6'
                """
            )
        output, _ = running.communicate(timeout=120)
    assert re.search("differs   silent-6: a reply of .* about an end that is not told", output)
    assert "verdicts or replies differ from log in 1 place" in output
    assert running.returncode == 1
    assert demo_databases(logical_postgres) == []


def test_view_equals_log_and_what_is_kept_runs_until_it_is_stopped(
    logical_postgres: Postgres, kafka: str, tmp_path: Path
) -> None:
    with demo(logical_postgres, kafka, "--keep", TMPDIR=str(tmp_path)) as running:
        output, errors = running.communicate(timeout=120)
    assert running.returncode == 0, output + errors
    for line in PRINTED:
        assert re.search(line, output), f"{line} in\n{output}"
    folder = Path(re.findall(r"^  \. (.*)/settings$", output, re.MULTILINE)[0])
    pids = [int(pid) for pid in json.loads((folder / "kept.json").read_text())["processes"]]
    url = re.findall(r"PROJECTOR_DATABASE_URL='(.*)'", (folder / "settings").read_text())[0]
    try:
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (295,)
        assert (folder / "acknowledged.jsonl").exists()
        assert '"stopped"' not in (folder / "first.log").read_text()  # SIGKILL leaves no time for it
        assert '"stopped"' in (folder / "second.log").read_text()
        assert demo_databases(logical_postgres) == [urlsplit(url).path[1:]]
        assert len(pids) == 2
        assert_printed_commands_work(output, folder)
        while '"partition claimed"' not in (folder / "third.log").read_text():
            for pid in pids:
                os.kill(pid, 0)
            time.sleep(0.05)  # nothing signals the growth of a log file
        assert "Delegations" in logged_in(output)
        token = folder / "dashboard-token"
        assert output.splitlines()[-1].strip() == str(token)
        assert token.stat().st_mode & 0o077 == 0
        assert token.read_text().strip() not in output
    finally:
        stopped = subprocess.run(
            [sys.executable, "-m", "testbed.demo", "--stop"],
            env={**os.environ, "TMPDIR": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
        assert stopped.stdout == f"ended 2 processes or containers, and deleted {folder}\n"
        wait_until(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids), "the processes ended")
        assert not folder.exists()
        with psycopg.connect(logical_postgres.url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(urlsplit(url).path[1:])))


def assert_printed_commands_work(output: str, folder: Path) -> None:
    """Those that only read, with the settings that the demo wrote for a shell."""
    for command in re.findall(r"^  (\S*projector (?:status|explain|dead-letters) ?.*)$", output, re.MULTILINE):
        script = f". {folder}/settings; cd {Path.cwd()}; {command}"
        done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, command + done.stdout + done.stderr


def logged_in(output: str) -> str:
    """The first page, after the link that was printed at the start and again at the end; it logs in once."""
    early, late = re.findall(r"http://127\.0\.0\.1:\d+/login/\S+", output)
    assert early == late
    browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor())
    with browser.open(early, timeout=30) as page:
        assert page.url == f"{early.partition('/login')[0]}/"
        return str(page.read().decode())


def test_killed_projector_ends_demo_with_reason(logical_postgres: Postgres, kafka: str) -> None:
    with demo(logical_postgres, kafka) as running:
        os.kill(int(read_until(running, r"runs as process (\d+)")[1]), signal.SIGKILL)
        _, errors = running.communicate(timeout=60)
    assert "demo: projector run ended with exit code -9" in errors
    assert running.returncode == 1
    assert demo_databases(logical_postgres) == []


def test_missing_kafka_ends_demo_with_remedy(logical_postgres: Postgres) -> None:
    any_way = {"TESTBED_SERVERS": ""}  # even if it is set for the tests
    nowhere = {"PATH": "/nowhere", "DOCKER_HOST": "tcp://127.0.0.1:1", "JAVA_HOME": "/nowhere", **any_way}
    with demo(logical_postgres, "", **nowhere) as running:
        _, errors = running.communicate(timeout=60)
    remedy = "Set TESTBED_BOOTSTRAP_SERVERS, start a Docker engine, or install Java 17 or later and Maven."
    assert f"demo: {remedy}" in errors
    assert running.returncode == 2


def test_server_that_no_feed_can_read_ends_demo_with_reason(postgres: Postgres, kafka: str) -> None:
    with demo(postgres, kafka) as running:
        _, errors = running.communicate(timeout=60)
    assert errors == "demo: TESTBED_DATABASE_URL: wal_level is replica, and a change feed needs logical\n"
    assert running.returncode == 2
