"""A forgotten or wrong address of Postgres is named at the start of the error, without its password."""

import getpass

import pytest
from cluster import Cluster
from commands import run_projector
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from testbed.servers.server import free_port
from testbed.servers.start import Postgres

PORT = free_port()
COMMANDS = [["status"], ["migrate", "up"], ["verify"], ["dead-letters", "list"], ["explain", "d-1"]]


@pytest.fixture(autouse=True)
def no_variables_of_libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE", "PGPASSWORD", "PGPASSFILE"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("url", [{}, {"database_url": ""}], ids=["not set", "empty"])
def test_missing_url_is_named_first(command: list[str], url: dict[str, str]) -> None:
    done = run_projector(*command, **url)
    user = getpass.getuser()
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        f"projector: PROJECTOR_DATABASE_URL is not set. The default address of libpq (user {user}, database {user}, "
    )


def test_variables_of_libpq_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(PORT))
    monkeypatch.setenv("PGUSER", "bob")
    done = run_projector("status")
    assert done.code == 1
    assert done.err.startswith(
        "projector: PROJECTOR_DATABASE_URL is not set, and the address of PGHOST, PGPORT, PGUSER (user bob, database "
        f"bob, host 127.0.0.1, port {PORT}) failed: "
    )


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("mysql://x/y", "PROJECTOR_DATABASE_URL starts with mysql://, expected postgresql://"),
        (
            "postgresql+psycopg://x/y",
            "PROJECTOR_DATABASE_URL starts with postgresql+psycopg://, expected postgresql://",
        ),
        ("postgres//bob:hunter2@h/db", "PROJECTOR_DATABASE_URL is neither a URL nor key=value text"),
        ("postgresql://bob:hun@ter2@h/db", "PROJECTOR_DATABASE_URL: its host, port or database is wrong. They are not"),
        ("postgresql://bob:hun/ter2@h/db", "PROJECTOR_DATABASE_URL: its host, port or database is wrong. They are not"),
        (
            "postgresql://bob:1/ter2@127.0.0.1/d",
            "PROJECTOR_DATABASE_URL: its host, port or database is wrong. They are",
        ),
        (f"postgresql://{'a' * 80}/x", "PROJECTOR_DATABASE_URL: its host is not a host name"),
        ("port=99999 user=u", "PROJECTOR_DATABASE_URL (user u, database u, host of the local socket, port 99999): "),
        (
            "connect_timeout=x user=u",
            "PROJECTOR_DATABASE_URL (user u, database u, host of the local socket, port 5432): connect_timeout is",
        ),
        ("sslmode=x user=u", "PROJECTOR_DATABASE_URL (user u, database u, host of the local socket, port 5432): "),
    ],
)
def test_malformed_url_is_named_without_its_password(url: str, sentence: str) -> None:
    done = run_projector("migrate", "status", database_url=url)
    assert (done.code, done.out, done.err.count("\n")) == (2, "", 1)
    assert done.err.startswith(f"projector: {sentence}")
    assert "ter2" not in done.err


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ({"password": "secret-word"}, "password authentication failed"),
        ({"user": "nobody", "password": "secret-word"}, "password authentication failed"),
        ({"password": None}, "no password supplied"),
        ({"dbname": "nowhere"}, 'database "nowhere" does not exist'),
    ],
    ids=["password", "user", "no password", "database"],
)
def test_wrong_login_is_a_misconfiguration(wrong: dict[str, str | None], reason: str, postgres: Postgres) -> None:
    parts = {**conninfo_to_dict(postgres.url), **wrong}
    done = run_projector("status", database_url=make_conninfo("", **parts))
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(
        f"projector: PROJECTOR_DATABASE_URL (user {parts['user']}, database {parts['dbname']}, host {parts['host']}, "
        f"port {parts['port']}): "
    )
    assert reason in done.err
    assert "secret-word" not in done.err


def test_wrong_activity_url_is_named(postgres: Postgres, cluster: Cluster) -> None:
    settings = {name: getattr(cluster, name) for name in ("database_url", "bootstrap_servers", "topic")}
    wrong = make_conninfo(postgres.url, dbname="nowhere")
    done = run_projector("verify", "--from", "activity-logs", activity_database_url=wrong, **settings)
    assert done.code == 2
    assert done.err.splitlines()[-1].startswith(
        "projector: PROJECTOR_ACTIVITY_DATABASE_URL (user postgres, database nowh"
    )


def test_run_waits_for_a_login_that_may_be_granted(cluster: Cluster, postgres: Postgres) -> None:
    member = cluster.start_member(database_url=make_conninfo(postgres.url, password="secret-word"))
    reason = member.wait_for_log("waiting for Postgres")["reason"]
    assert reason.startswith("PROJECTOR_DATABASE_URL (user postgres, ")
    assert "password authentication failed" in reason
    assert "secret-word" not in member.text()
    assert member.process.poll() is None
