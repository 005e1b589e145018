"""Agents write texts, and so does who wants to attack. No text runs, leaves its place or disturbs a page."""

import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import psycopg
import pytest
from browsing import PAGES, Dashboard, Visit, dashboard, visiting
from cluster import Cluster
from playwright.sync_api import Browser, expect

from testbed.producer import connect

TEXTS: list[str] = json.loads(Path(__file__).parents[1].joinpath("cases/hostile-texts.json").read_text())
LONG = "<b>very long</b>\u202e" * 2_000
CALLER, CALLEE = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
FILTERS = (
    "/delegations?status={}",
    "/delegations?status=any&id={}",
    "/delegations?caller={}",
    "/delegations?since={}",
    "/delegations?cursor={}",
    "/delegations?{}=1",
    "/failures?hours={}",
    "/failures?callee={}",
    "/callees?role={}",
    "/login?next={}",
    "/{}",
)


def rows(text: str, at: datetime) -> Iterator[dict[str, Any]]:
    """One text in every place of an activity row that a page could show. The third record and the fourth are none."""

    def row(method: str, status: str, **columns: Any) -> dict[str, Any]:
        fixed = {"id": str(uuid.uuid4()), "workspace_id": CALLER, "activity_type": "delegation", "summary": text}
        return fixed | {"created_at": at.isoformat(), "method": method, "status": status, **columns}

    body = {"delegation_id": text, "task": text, "deadline": (at + timedelta(minutes=1)).isoformat()}
    yield row("delegate", "in_progress", request_body=body, target_id=CALLEE, idempotency_key=text)
    flying = {"delegation_id": f"flying {text}", "task": text}
    yield row("delegate", "in_progress", request_body=flying, target_id=CALLEE)
    yield row("delegate", text, request_body=body, target_id=CALLEE)
    yield row(text, "completed", request_body=body, target_id=text)
    evidence = {"delegation_id": text, "silent_since": at.isoformat(), "rule": text, "threshold_seconds": text}
    yield row("verdict", "stuck", request_body=evidence, error_detail=text)
    yield row("delegate_result", "failed", response_body={"delegation_id": text, "error": text, "text": text})
    yield row("delegate_result", "completed", response_body={"delegation_id": f"done {text}", "text": text})
    done = {"delegation_id": f"done {text}", "task": text}
    yield row("delegate", "queued", request_body=done, target_id=CALLEE)
    yield row("delegate_result", "failed", response_body={"delegation_id": f"parked {text}", "error": text})


@pytest.fixture(scope="module")
def running(
    shared_database_url: str, kafka: str, shared_topic: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Dashboard]:
    """A real member has projected every text. What a relay and a sweeper would have stored is inserted."""
    folder = tmp_path_factory.mktemp("hostile")
    at = datetime.now(UTC) - timedelta(minutes=30)
    with closing(connect(kafka)) as producer:
        for text in [*TEXTS, LONG[:400]]:
            header = [("traceparent", text.encode())]
            for row in rows(text, at):
                value = json.dumps(row | {"text": LONG}).encode()
                producer.send(shared_topic, value, text.encode(), headers=header, partition=0)
        producer.flush()
    cluster = Cluster(shared_database_url, kafka, shared_topic, folder)
    cluster.start_member()
    try:
        cluster.wait_until_more_projected_than(9 * (len(TEXTS) + 1) - 1)
        with psycopg.connect(shared_database_url, autocommit=True) as conn:
            conn.execute("INSERT INTO projector.push VALUES (%s)", [shared_topic])
            for text in TEXTS:
                conn.execute(
                    "INSERT INTO projector.outbox (delegation_id, due_at, next_attempt_at, attempts, last_error)"
                    " VALUES (%s, now(), now(), 7, %s)",
                    [text, text],
                )
                conn.execute(
                    "INSERT INTO projector.passes (kind, started_at, result) VALUES ('sweep', now(), %s)",
                    [json.dumps({text: text, "skipped": text})],
                )
        settings = {"database_url": shared_database_url, "bootstrap_servers": kafka, "topic": shared_topic}
        with dashboard(folder, {**settings, "group_id": f"group-{shared_topic}"}) as running:
            yield running
    finally:
        cluster.end()


@pytest.fixture(scope="module")
def visit(browser: Browser, running: Dashboard) -> Iterator[Visit]:
    """A page for all tests of this file. It goes to no other place, whatever it reads."""
    with visiting(browser, running.address) as visit:
        hosts: set[str | None] = set()
        visit.page.on("request", lambda request: hosts.add(urlsplit(request.url).netloc))
        yield visit
        assert hosts == {urlsplit(running.address).netloc}
        expected = "Failed to load resource: the server responded with a status of 40"
        assert [each for each in visit.messages if not each.startswith(expected)] == []


def assert_intact(visit: Visit) -> None:
    """Nothing ran, and the page has exactly its own scripts, forms and frames."""
    assert visit.page.evaluate("window.troubles") == []
    page = visit.page
    assert page.locator("script:not([src^='/static/']), base, iframe, style, img:not([src^='/static/'])").count() == 0
    assert (
        page.locator("[onerror], [onfocus], [onload], [hx-on], [hx-get]:not(#content), meta[content*=evil]").count()
        == 0
    )
    expect(page.locator("body > main")).to_have_count(1)


def test_lists_show_texts_as_texts(visit: Visit) -> None:
    for path in (*PAGES, "/delegations?status=any", "/delegations?status=completed", "/delegations?status=stuck"):
        visit.to(path)
        assert_intact(visit)
    shown = visit.to("/delegations?status=any").locator("main").inner_text()
    assert "window.troubles.push('ran: script')</script>" in shown
    assert "{{ 7 * 7 }}{% for x in range(9) %}" in shown
    assert "safe⟨U+202E⟩gpj.exe" in shown


def test_refresh_of_lists_runs_nothing(browser: Browser, running: Dashboard) -> None:
    with visiting(browser, running.address) as visit:
        visit.page.clock.install()
        for path in ("/", "/delegations?status=any", "/plumbing", "/failures"):
            page = visit.to(path)
            before = page.locator("[data-fresh] time").get_attribute("datetime") or ""
            page.clock.fast_forward(20_000)
            expect(page.locator("[data-fresh] time")).not_to_have_attribute("datetime", before)
            assert_intact(visit)


@pytest.mark.parametrize("text", TEXTS, ids=range(len(TEXTS)))
def test_page_of_a_hostile_id_shows_it_as_text(visit: Visit, text: str) -> None:
    page = visit.to(f"/delegation?id={quote(text, safe='')}")
    assert_intact(visit)
    for _ in range(9):  # the search of the topic ends after some seconds, also where the machine was too busy
        if page.locator(".timeline tbody tr").count():
            break
        page.reload()
    expect(page.locator(".timeline tbody tr").first).to_be_visible()
    assert page.locator(".body").count() == 2
    if text.isascii() and text.isprintable():
        assert page.locator("h1 bdi").inner_text().split() == text.split()
        assert page.locator(".body").first.inner_text().split() == text.split()


def test_links_lead_to_the_hostile_id(visit: Visit) -> None:
    page = visit.to("/delegations?status=stuck")
    links = page.locator(".rows a[href^='/delegation?']")
    found = links.evaluate_all("(all) => all.map((e) => new URL(e.href).searchParams.get('id'))")
    assert sorted(found) == sorted([*TEXTS, LONG[:400]])


def test_hostile_parameters_are_texts(visit: Visit) -> None:
    """Each text in every third parameter, so that each parameter gets several of them."""
    for number, path in enumerate(FILTERS):
        for text in TEXTS[number % 3 :: 3]:
            visit.to(path.format(quote(text, safe="")))
            assert_intact(visit)
