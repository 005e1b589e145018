"""Our connection parameters are only defaults: the URL, the service file and libpq's variables win, in this order."""

from pathlib import Path

import pytest
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from projector.errors import Misconfigured
from projector.postgres.connection import connect
from projector.postgres.parameters import conninfo
from projector.settings import PostgresSettings

SERVICE = """
[patient]
connect_timeout=60
keepalives_idle=61
keepalives_interval=62
keepalives_count=63
tcp_user_timeout=64000
[plain]
host=127.0.0.1
"""
OURS = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "2",
    "keepalives_count": "3",
    "tcp_user_timeout": "10000",
}
PATIENT = {
    "connect_timeout": "60",
    "keepalives_idle": "61",
    "keepalives_interval": "62",
    "keepalives_count": "63",
    "tcp_user_timeout": "64000",
}


@pytest.fixture(autouse=True)
def _service_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "pg_service.conf"
    file.write_text(SERVICE)
    monkeypatch.setenv("PGSERVICEFILE", str(file))
    for name in ("PGSERVICE", "PGCONNECT_TIMEOUT"):
        monkeypatch.delenv(name, raising=False)


def ours(url: str) -> dict[str, str]:
    """The parameters of the connection that have a default of ours."""
    return {name: str(value) for name, value in conninfo_to_dict(conninfo(url)).items() if name in OURS}


def test_defaults_hold_where_nothing_is_set() -> None:
    assert ours("") == ours("postgresql://h/db?service=plain") == OURS


def test_variable_wins_over_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "60")
    assert ours("") == OURS | {"connect_timeout": "60"}
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "")
    assert ours("") == OURS


@pytest.mark.parametrize("place", ["URL", "variable"])
def test_service_wins_over_the_variable(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", "30")
    if place == "variable":
        monkeypatch.setenv("PGSERVICE", "patient")
    assert ours("service=patient" if place == "URL" else "dbname=db") == PATIENT


def test_service_of_a_url_wins_over_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGSERVICE", "patient")
    assert ours("service=plain") == OURS
    assert ours("") == PATIENT


def test_url_wins_over_the_service() -> None:
    for url in ("postgresql://h/db?connect_timeout=7&service=patient", "connect_timeout=7 service=patient"):
        assert ours(url) == PATIENT | {"connect_timeout": "7"}


def test_parameters_of_a_service_are_in_force(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = conninfo_to_dict(database_url)
    (tmp_path / "pg_service.conf").write_text(
        "[db]\nconnect_timeout=60\nkeepalives_idle=61\n" + "".join(f"{name}={value}\n" for name, value in parts.items())
    )
    with connect(PostgresSettings(database_url="service=db")) as conn:
        used = {option.keyword.decode(): (option.val or b"").decode() for option in conn.pgconn.info}
        assert (used["connect_timeout"], used["keepalives_idle"], used["keepalives_count"]) == ("60", "61", "3")


def test_encoding_of_a_url_is_not_used(database_url: str) -> None:
    with connect(PostgresSettings(database_url=make_conninfo(database_url, client_encoding="LATIN1"))) as conn:
        assert conn.info.encoding == "utf-8"


@pytest.mark.parametrize("value", ["soon", "5s", "nan", "inf"])
def test_timeout_that_is_no_number_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGCONNECT_TIMEOUT", value)
    with pytest.raises(Misconfigured, match=f"connect_timeout is '{value}', .* PGCONNECT_TIMEOUT"):
        connect(PostgresSettings(database_url="postgresql://127.0.0.1:1/none"))
