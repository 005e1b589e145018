"""The benchmark of the push on a small recording: the ends are those of the model, and the relay sends every reply."""

import time

import psycopg
import pytest
from rich.console import Console

from benchmarks.environment import Environment, Servers
from benchmarks.measurement import Failed
from benchmarks.processor import sessions_seconds
from benchmarks.pushing import Stored, _fill_inbox, _projected, _relay, expected
from benchmarks.recording import generate
from testbed.servers.start import Postgres

COUNT = 4_000


@pytest.fixture
def environment(kafka: str, postgres: Postgres) -> Environment:
    topic = f"pushing-{time.time_ns()}"
    return Servers(kafka, postgres.url).publish(topic, generate(COUNT), Console(quiet=True))


def test_ends_are_those_of_the_model_and_all_are_told(environment: Environment) -> None:
    wanted = expected(generate(COUNT))
    with pytest.raises(Failed, match="stored"):
        _projected(environment, "inbox", wanted._replace(ends=wanted.ends + 1))
    without, _ = _projected(environment, "off", Stored(0, 0))
    cost, url = _projected(environment, "inbox", wanted)
    assert without.ours > 0 < cost.ours
    _fill_inbox(url, generate(COUNT))
    assert _relay(environment, url).replies == wanted.replies > 10
    with pytest.raises(Failed, match=r"the relay sent 0, and [\d,]+ are in the inbox"):
        _relay(environment, url)
    environment.drop_database(url)


def test_sessions_of_other_databases_do_not_count(database_url: str, postgres: Postgres) -> None:
    burn = "SELECT count(*) FROM generate_series(1, 3000000)"
    with psycopg.connect(database_url, autocommit=True) as conn, psycopg.connect(postgres.url) as elsewhere:
        before = sessions_seconds(conn)
        conn.execute(burn)
        elsewhere.execute(burn)
        assert sessions_seconds(conn) - before < 0.1
        with psycopg.connect(database_url) as session:
            session.execute(burn)
            assert sessions_seconds(conn) - before > 0.1
