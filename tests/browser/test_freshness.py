"""What a page does while time passes: it stays where its reader is, and it says when it is old."""

import re
import signal
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from browsing import Dashboard, Visit, dashboard, visiting
from playwright.sync_api import Browser, Page, expect
from proxy import Proxy, server_of, through

ROWS = """
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, created_at, updated_at)
    SELECT %(name)s || '-' || i, gen_random_uuid(), gen_random_uuid(), 'a task', 'dispatched',
           now() - i * interval '1 min', now() - i * interval '1 min'
      FROM generate_series(1, %(rows)s) AS i
    """


@pytest.fixture
def proxy(database_url: str) -> Iterator[Proxy]:
    """Between the dashboard and Postgres."""
    with Proxy(server_of(database_url)) as proxy:
        yield proxy


@pytest.fixture
def running(database_url: str, kafka: str, topic: str, proxy: Proxy, tmp_path: Path) -> Iterator[Dashboard]:
    insert(database_url, "old", 60)
    settings = {"database_url": through(proxy, database_url), "bootstrap_servers": kafka, "topic": topic}
    with dashboard(tmp_path, settings) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, running: Dashboard) -> Iterator[Visit]:
    """A visit whose clock the test moves."""
    with visiting(browser, running.address) as visit:
        visit.page.clock.install()
        yield visit
        assert visit.page.evaluate("window.troubles") == []


def insert(url: str, name: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as conn:
        conn.execute(ROWS, {"name": name, "rows": rows})


def refresh(page: Page) -> None:
    """Let the time pass after which the page asks again, and wait for the answer."""
    with page.expect_response(lambda response: response.request.headers.get("hx-request") == "true"):
        page.clock.fast_forward(10_000)


def test_refresh_keeps_focus_scroll_and_what_is_open(visit: Visit, database_url: str) -> None:
    page = visit.to("/delegations")
    for _ in range(40):
        page.keyboard.press("j")
    row = page.locator("tr:focus")
    name, at = row.get_attribute("id"), page.evaluate("scrollY")
    assert at > 200
    page.get_by_label("Status").select_option("failed")
    page.get_by_label("Caller").evaluate("(e) => { e.value = 'half an id'; }")
    insert(database_url, "new", 3)
    refresh(page)
    expect(page.locator(".found")).to_contain_text("63 found")
    assert page.evaluate("document.activeElement.id") == name
    assert page.evaluate("scrollY") >= at
    expect(page.get_by_label("Status")).to_have_value("failed")
    expect(page.get_by_label("Caller")).to_have_value("half an id")
    visit.to("/")
    page.locator("#numbers summary").click()
    refresh(page)
    expect(page.locator("#numbers table")).to_be_visible()


def test_old_data_is_marked_while_the_dashboard_does_not_answer(visit: Visit, running: Dashboard) -> None:
    page, banner = visit.to("/"), visit.page.locator("#stale")
    expect(banner).to_be_hidden()
    running.process.send_signal(signal.SIGSTOP)
    try:
        page.clock.fast_forward(31_000)
        expect(banner).to_have_text(re.compile(r"What you see is \d+ s old\. The dashboard does not answer\."))
        assert page.locator("main").evaluate("(e) => getComputedStyle(e).opacity") < "0.9"
    finally:
        running.process.send_signal(signal.SIGCONT)
    page.clock.fast_forward(10_000)
    expect(banner).to_be_hidden()


def test_page_without_refresh_says_how_old_it_is(visit: Visit) -> None:
    page = visit.to("/delegation?id=old-1")
    expect(page.locator("h1")).to_contain_text("old-1")
    page.clock.fast_forward(200_000)
    expect(page.locator("#stale")).to_have_text("What you see is 3 min old. Load the page again for what is true now.")


def test_page_that_nobody_sees_asks_for_nothing(visit: Visit) -> None:
    page, asked = visit.to("/"), list[str]()
    page.on("request", lambda request: asked.append(request.resource_type))
    page.evaluate("Object.defineProperty(document, 'hidden', {get: () => window.isAway})")
    page.evaluate("window.isAway = true")
    for _ in range(3):
        page.clock.run_for(10_000)
    assert "xhr" not in asked
    with page.expect_response(f"{visit.address}/"):
        page.evaluate("window.isAway = false; document.dispatchEvent(new Event('visibilitychange'))")


def test_page_says_that_postgres_is_away_and_comes_back(visit: Visit, proxy: Proxy) -> None:
    page, banner = visit.to("/delegations"), visit.page.locator("#stale")
    proxy.close()
    refresh(page)
    expect(banner).to_have_text(
        re.compile(r"^What you see is \d+ s old\. \w.*PROJECTOR_DATABASE_URL .*\w[.?]$", re.DOTALL)
    )
    expect(page.locator(".rows tbody tr")).to_have_count(60)
    visit.to("/delegations")
    expect(page.locator("h1")).to_have_text("Not available now")
    expect(page.locator("[data-error]")).to_contain_text("PROJECTOR_DATABASE_URL")
    proxy.open()
    refresh(page)
    expect(page.locator("h1")).to_have_text("Delegations")
    expect(banner).to_be_hidden()


def test_end_of_the_session_leads_to_the_login(visit: Visit, tmp_path: Path) -> None:
    page = visit.to("/")
    tmp_path.joinpath("tokens").write_text("quite-another-token-now\n")
    page.clock.fast_forward(10_000)
    expect(page).to_have_url(re.compile("/login"))
