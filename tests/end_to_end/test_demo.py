"""`projector demo`, small, as a person starts it: it ends in *view equals log*, or says what differs."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from testbed.servers.start import Postgres


@contextmanager
def demo(postgres: Postgres, kafka: str, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A small demo on the tests' own servers, where it makes a database and a topic for itself."""
    there = {"PROJECTOR_TEST_DATABASE_URL": postgres.url, "PROJECTOR_TEST_BOOTSTRAP_SERVERS": kafka, **variables}
    command = [sys.executable, "-m", "testbed.demo", "--delegations", "300", *arguments]
    running = subprocess.Popen(
        command, env={**os.environ, **there}, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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
    raise AssertionError(f"it never said {pattern!r}")


def demo_databases(postgres: Postgres) -> list[str]:
    with psycopg.connect(postgres.url) as conn:
        rows = conn.execute("SELECT datname FROM pg_database WHERE datname LIKE 'projector_demo_%'")
        return [name for (name,) in rows]


def test_the_view_equals_the_log_though_the_projector_was_killed(postgres: Postgres, kafka: str) -> None:
    with demo(postgres, kafka) as running:
        said, complaint = running.communicate(timeout=120)
    assert running.returncode == 0, said + complaint
    for sentence in (
        r"SIGKILL   process \d+ is gone",
        r"projector runs again as process \d+, [\d,]+ records behind",
        r"inserted +298 .*",
        r"the three oldest in flight",
        r"lag       0 records: position 3,029, end of the log 3,029",
        r"verify    the view has drifted in 4 delegations: `projector rebuild` repairs them",
        r"rebuild   the view equals the source now: 1 rows inserted, 2 updated, 1 deleted",
        r"verify    the view equals the source",
        r"view equals log",
    ):
        assert re.search(sentence, said), f"{sentence} in\n{said}"
    assert demo_databases(postgres) == []


def test_a_row_that_somebody_changed_meanwhile_is_shown(postgres: Postgres, kafka: str) -> None:
    with demo(postgres, kafka) as running:
        database = read_until(running, "database (projector_demo_[0-9a-f]+)")[1]
        read_until(running, "SIGKILL")
        with psycopg.connect(urlsplit(postgres.url)._replace(path=f"/{database}").geturl()) as conn:
            changed = conn.execute(
                """
                UPDATE delegations SET task_preview = 'somebody was here'
                 WHERE delegation_id = (SELECT min(delegation_id) FROM delegations) RETURNING delegation_id
                """
            ).fetchone()
        said, _ = running.communicate(timeout=120)
    assert changed
    assert f"differs   {changed[0]}: task_preview is 'somebody was here', expected" in said
    assert "view differs from log in 1 place" in said
    assert "view equals log" not in said
    assert running.returncode == 1


def test_what_is_kept_goes_on_projecting_until_it_is_ended_as_told(postgres: Postgres, kafka: str) -> None:
    with demo(postgres, kafka, "--keep") as running:
        said, complaint = running.communicate(timeout=120)
    assert running.returncode == 0, said + complaint
    pid = int(re.findall(r"^  kill (\d+)$", said, re.MULTILINE)[0])
    folder = Path(re.findall(r"^  rm -r (.*)$", said, re.MULTILINE)[0])
    url = re.findall(r"PROJECTOR_DATABASE_URL='(.*)'", said)[0]
    try:
        with psycopg.connect(url) as conn:
            assert conn.execute("SELECT count(*) FROM delegations").fetchone() == (298,)
        assert (folder / "acknowledged.jsonl").exists()
        assert '"stopped"' not in (folder / "first.log").read_text()  # it heard nothing of its end
        assert '"stopped"' in (folder / "second.log").read_text()
        assert demo_databases(postgres) == [urlsplit(url).path[1:]]
        while '"partition claimed"' not in (folder / "third.log").read_text():
            os.kill(pid, 0)
            time.sleep(0.05)  # a log file has no other way to tell that it grew
    finally:
        os.kill(pid, signal.SIGTERM)
        shutil.rmtree(folder)
        with psycopg.connect(postgres.url, autocommit=True) as conn:
            conn.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(urlsplit(url).path[1:])))


def test_a_projector_that_dies_by_itself_ends_the_demo_with_the_reason(postgres: Postgres, kafka: str) -> None:
    with demo(postgres, kafka) as running:
        os.kill(int(read_until(running, r"runs as process (\d+)")[1]), signal.SIGKILL)
        _, complaint = running.communicate(timeout=60)
    assert "projector: projector.cli run ended with exit code -9" in complaint
    assert running.returncode == 1
    assert demo_databases(postgres) == []


def test_without_a_kafka_the_demo_says_in_a_sentence_what_helps(postgres: Postgres) -> None:
    any_way = {"PROJECTOR_TEST_PARTS": ""}  # also where the tests themselves have one way alone
    nowhere = {"PATH": "/nowhere", "DOCKER_HOST": "tcp://127.0.0.1:1", "JAVA_HOME": "/nowhere", **any_way}
    with demo(postgres, "", **nowhere) as running:
        _, complaint = running.communicate(timeout=60)
    remedy = "Set PROJECTOR_TEST_BOOTSTRAP_SERVERS, start a Docker engine, or install Java 17 or later and Maven."
    assert f"projector: {remedy}" in complaint
    assert running.returncode == 2
