"""The connections of the dashboard, its sessions, and the file of its tokens."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from commands import environment
from dashboards import HTML, NOBODY, TOKEN, dashboard, insert
from psycopg.conninfo import make_conninfo
from starlette.testclient import TestClient

from projector.errors import ProjectorError
from projector.postgres import queries
from projector.settings import load
from projector.web.app import build
from projector.web.reader import Reader

OTHER = "another-token-of-theirs"


def test_there_are_never_more_than_four_connections(database_url: str, maintenance: psycopg.Connection) -> None:
    insert(database_url, *({"delegation_id": f"d-{number}"} for number in range(50)))
    name = "the dashboard of this test"
    seen = set()
    with (
        dashboard(make_conninfo(database_url, application_name=name)) as site,
        ThreadPoolExecutor(12) as threads,
    ):
        paths = ["/overview.json", "/delegations.json", "/callees.json", "/failures.json", "/plumbing.json"] * 40
        answers = [threads.submit(site.client.get, path) for path in paths]
        while not all(each.done() for each in answers):
            [(number,)] = maintenance.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = %s", [name]
            ).fetchall()
            seen.add(number)
        assert {each.result().status_code for each in answers} <= {200, 503}
    assert 1 <= max(seen) <= 4


def test_session_can_only_read(database_url: str) -> None:
    insert(database_url, {"delegation_id": "d-1"})
    with dashboard(database_url) as site, site.reader.connection() as conn:
        for statement in ("DELETE FROM delegations", "CREATE TABLE x ()", "SELECT nextval('parked_seq_seq')"):
            with pytest.raises(psycopg.Error) as raised:
                conn.execute(statement.encode())
            assert raised.value.sqlstate in ("25006", "42P01")
        [(timeout, read_only)] = conn.execute(
            "SELECT current_setting('statement_timeout'), current_setting('default_transaction_read_only')"
        ).fetchall()
        assert (timeout, read_only) == ("3s", "on")


def test_connection_comes_back_after_an_error(database_url: str) -> None:
    with dashboard(database_url) as site:
        for _ in range(8):
            with pytest.raises(ZeroDivisionError), site.reader.connection():
                raise ZeroDivisionError
        for _ in range(8):
            with site.reader.connection() as conn:
                conn.close()
                with pytest.raises(ProjectorError):
                    queries.clock(conn)
        assert site.client.get("/readyz").status_code == 200


def test_new_file_of_tokens_ends_the_sessions_of_the_old_one(database_url: str, tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text(f"{TOKEN}\n")
    values = {"database_url": database_url, "bootstrap_servers": NOBODY, "dashboard_tokens_file": str(file)}
    reader = Reader(load({}, environment(values)))
    with TestClient(build(reader), "http://127.0.0.1", follow_redirects=False) as client:
        assert client.post("/login", data={"token": TOKEN}).status_code == 303
        assert client.get("/delegations", headers=HTML).status_code == 200
        file.write_text(f"{OTHER}\n{TOKEN}\n")
        assert client.get("/delegations", headers=HTML).status_code == 200
        os.replace(_written(tmp_path / "next", f"{OTHER}\n"), file)
        assert client.get("/delegations", headers=HTML).status_code == 303
        assert client.get("/", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 401
        assert client.get("/", headers={"authorization": f"Bearer {OTHER}"}).status_code == 200
        file.unlink()  # as while a secret of a container is replaced
        assert client.get("/", headers={"authorization": f"Bearer {OTHER}"}).status_code == 200


def _written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_dashboard_of_another_schema_is_not_ready(empty_url: str) -> None:
    with dashboard(empty_url) as site:
        assert site.client.get("/readyz").status_code == 503
        assert "projector migrate up" in site.json("/delegations.json", 503)["error"]
        assert site.client.get("/livez").status_code == 200
