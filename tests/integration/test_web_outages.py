"""What the first page says when something is away. Tests wait for the fact, and assert no times."""

import signal
from collections.abc import Iterator
from contextlib import AbstractContextManager

import anyio
import httpx2 as httpx
import psycopg
import pytest
from cluster import Cluster, wait_until
from dashboards import HTML, Site, ago, dashboard, insert
from proxied_kafka import ProxiedKafka
from proxy import Proxy, server_of, through
from starlette.testclient import TestClient
from topics import create_topic

from projector.postgres.connection import Connection
from projector.web import reader


def _sentences(site: Site) -> list[str]:
    return [each["text"] for each in site.json("/overview.json")["condition"]]


def _says(site: Site, part: str) -> bool:
    return any(part in text for text in _sentences(site))


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The topic is read more often than else, so that the tests wait less."""
    monkeypatch.setattr(reader, "_TOPIC_SECONDS", 0.5)
    monkeypatch.setattr(reader, "_KAFKA_SECONDS", 4.0)


@pytest.fixture
def away(database_url: str) -> Iterator[tuple[Site, Proxy]]:
    """A dashboard whose Postgres is behind a proxy."""
    insert(database_url, {"delegation_id": "d-1"})
    with Proxy(server_of(database_url)) as proxy, dashboard(through(proxy, database_url)) as site:
        assert "In flight" in site.page("/delegations") or "in flight" in site.page("/")
        yield site, proxy
        proxy.open()


def test_page_says_that_postgres_is_away_and_comes_back(
    away: tuple[Site, Proxy], caplog: pytest.LogCaptureFixture
) -> None:
    site, proxy = away
    proxy.close()
    for path in ("/", "/delegations", "/delegation?id=d-1", "/callees", "/failures", "/plumbing"):
        page = site.client.get(path, headers=HTML)
        assert (page.status_code, page.headers["retry-after"]) == (503, "5")
        assert "Postgres is not available: " in page.text
        assert "data-error" in page.text
    assert site.json("/overview.json", 503)["error"]
    assert site.json("/admin/delegations", 503)["error"]
    logged = next(each for each in caplog.records if each.message == "a request failed")
    assert {"method": "GET", "path": "/", "status": 503}.items() <= vars(logged).items()
    ready = TestClient(site.client.app, "http://127.0.0.1").get("/readyz")
    assert (ready.status_code, ready.text) == (503, "Postgres is not available\n")
    assert site.client.get("/livez").status_code == 200
    proxy.open()
    wait_until(lambda: site.client.get("/readyz").status_code == 200, "Postgres is back")
    assert "d-1" in site.page("/delegations")


def test_frozen_postgres_does_not_keep_a_page(away: tuple[Site, Proxy]) -> None:
    """The connections of the pool are half-open: no byte arrives any more, and no error."""
    site, proxy = away
    proxy.make_half_open()
    wait_until(lambda: site.client.get("/delegations").status_code == 200, "a new connection")
    assert "d-1" in site.page("/delegations")


def test_page_names_a_postgres_that_does_not_answer(database_url: str) -> None:
    with Proxy(server_of(database_url)) as proxy, dashboard(through(proxy, database_url)) as site:
        proxy.delay_seconds = 30.0
        assert site.json("/overview.json", 503)["error"] == "Postgres did not answer within 1 s"


def test_statement_that_takes_too_long_is_told(database_url: str, conn: psycopg.Connection) -> None:
    with dashboard(database_url, statement_timeout_ms="200", lock_timeout_ms="10000") as site:
        conn.execute("LOCK TABLE delegations")
        for path in ("/delegations", "/callees", "/failures", "/"):
            assert "Postgres took too long for this page" in site.page(path, 503)
        conn.rollback()
        assert "Postgres took" not in site.page("/delegations")


def test_overview_says_that_kafka_is_away_and_comes_back(database_url: str, broker: ProxiedKafka) -> None:
    topic = create_topic(broker.bootstrap_servers)
    with dashboard(database_url, broker.bootstrap_servers, topic=topic) as site:
        wait_until(lambda: _says(site, "The view has every record of the log."), "Kafka is there")
        broker.proxy.close()
        try:
            wait_until(lambda: _says(site, "Kafka does not answer, so the lag is unknown."), "the sentence")
            assert "Kafka does not answer" in site.page("/")
            story = site.json("/delegation.json?id=d-1")["story"]
            topic_view = site.reader.topic.snapshot.value
            assert (story["source"], story["reason"]) == ("row", topic_view and topic_view.kafka_error)
        finally:
            broker.proxy.open()
        wait_until(lambda: _says(site, "The view has every record of the log."), "Kafka is back")


def test_kafka_that_is_frozen_keeps_no_page(database_url: str, broker: ProxiedKafka) -> None:
    topic = create_topic(broker.bootstrap_servers)
    insert(database_url, {"delegation_id": "d-1"})
    with dashboard(database_url, broker.bootstrap_servers, topic=topic) as site:
        wait_until(lambda: _says(site, "The view has every record of the log."), "Kafka is there")
        broker.server.pause()
        try:
            found = site.json("/delegation.json?id=d-1")
            assert (found["row"]["status"], found["story"]["source"]) == ("queued", "row")
            assert found["story"]["reason"].startswith("Kafka did not answer within 4 s")
            wait_until(lambda: _says(site, "Kafka does not answer, so the lag is unknown."), "the sentence")
        finally:
            broker.server.resume()
        wait_until(lambda: _says(site, "The view has every record of the log."), "Kafka is back")


def test_overview_names_a_topic_that_does_not_exist(database_url: str, kafka: str) -> None:
    """Kafka answers: so no sentence says that it does not."""
    with dashboard(database_url, kafka, topic="nosuch") as site:
        wait_until(lambda: _says(site, "The topic cannot be read, so the lag is unknown."), "the sentence")
        page = site.page("/")
        assert "topic nosuch does not exist: create it" in page
        assert "Kafka does not answer" not in page


def test_overview_says_when_members_stop(cluster: Cluster, database_url: str, kafka: str, topic: str) -> None:
    group = f"{topic}-group"
    with dashboard(database_url, kafka, topic=topic, group_id=group) as site:
        wait_until(lambda: _says(site, "No member runs: nothing is projected."), "no member yet")
        member = cluster.start_member(group_id=group)
        wait_until(lambda: not _says(site, "No member runs") and _says(site, "The view has"), "a member runs")
        member.signal(signal.SIGTERM).exit_code()
        wait_until(lambda: _says(site, "No member runs: nothing is projected."), "the member stopped")


def test_overview_says_that_the_feed_is_silent(database_url: str, kafka: str, topic: str) -> None:
    insert(database_url, {"delegation_id": "d-1"})
    with psycopg.connect(database_url) as conn:
        conn.execute(
            "INSERT INTO projector.positions (topic, partition, next_offset, record_at) VALUES (%s, 0, 0, %s)",
            [topic, ago(1_000)],
        )
    with dashboard(database_url, kafka, topic=topic) as site:
        wait_until(lambda: _says(site, "The last record is 16 min"), "the feed is silent")
        [found] = [each for each in site.json("/overview.json")["condition"] if "last record" in each["text"]]
        assert found["level"] == "warning"


def test_strangers_who_ask_for_readiness_take_one_thread_and_one_connection(
    away: tuple[Site, Proxy], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While Postgres is frozen each question waits for a second: else they would take every thread of the pages."""
    site, proxy = away
    asked: list[int] = []
    connection = site.reader.connection

    def counted() -> AbstractContextManager[Connection]:
        asked.append(1)
        return connection()

    monkeypatch.setattr(site.reader, "connection", counted)
    answers: list[str] = []

    async def ask(stranger: httpx.AsyncClient) -> None:
        answers.append((await stranger.get("/readyz")).text)

    async def ask_all() -> None:
        transport = httpx.ASGITransport(app=site.client.app)
        async with (
            httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as stranger,
            anyio.create_task_group() as tasks,
        ):
            for _ in range(100):
                tasks.start_soon(ask, stranger)

    anyio.run(ask_all)
    assert answers == ["ok\n"] * 100
    assert len(asked) < 10
    proxy.close()
    anyio.run(ask_all)
    assert answers[100:] == ["Postgres is not available\n"] * 100
    assert len(asked) < 20
