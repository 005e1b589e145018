"""Browser tests: a Chromium, a dashboard as a process, and visits that record what goes wrong in their pages."""

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cluster import Cluster, wait_until
from commands import Process, environment, start
from playwright.sync_api import Browser, BrowserContext, BrowserType, Page, sync_playwright
from scene import Scene, scene
from topics import create_topic

TOKEN = "a-token-for-the-browser-tests"
PAGES = ("/", "/delegations", "/callees", "/callees?role=caller", "/failures", "/plumbing")
_SYSTEM = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome")
_NO_BROWSER = "no Chromium: install Debian's package `chromium`, or run `.venv/bin/playwright install chromium`"
_WATCH = """
    window.troubles = [];
    document.addEventListener("securitypolicyviolation", (e) => window.troubles.push(`CSP: ${e.violatedDirective}`));
    for (const name of ["alert", "confirm", "prompt"]) window[name] = () => window.troubles.push(`${name} was called`);
"""


class Dashboard(NamedTuple):
    """A `projector dashboard` as a process."""

    address: str
    process: Process


class Shown(NamedTuple):
    """A dashboard over a scene that a real member has projected from a real topic."""

    dashboard: Dashboard
    cluster: Cluster
    scene: Scene


class Visit(NamedTuple):
    """A page of a browser that is logged in. `troubles`: errors in it, and what the policy of the page refused."""

    page: Page
    address: str
    messages: list[str]

    def to(self, path: str) -> Page:
        """Load a path."""
        self.page.goto(self.address + path)
        return self.page

    def troubles(self) -> list[str]:
        found: list[str] = self.page.evaluate("window.troubles")
        return self.messages + found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium per file of tests: Playwright's event loop must not run while other files are tested."""
    with sync_playwright() as playwright:
        browser = launched(playwright.chromium)
        yield browser
        browser.close()


def launched(chromium: BrowserType) -> Browser:
    """The Chromium of the system, else the one of Playwright, which is downloaded once."""
    if of_system := next(filter(None, map(shutil.which, _SYSTEM)), None):
        return chromium.launch(executable_path=of_system)
    if not Path(chromium.executable_path).exists():
        done = subprocess.run([sys.executable, "-m", "playwright", "install", "chromium"], capture_output=True)
        if done.returncode:
            pytest.fail(_NO_BROWSER)
    return chromium.launch()


@contextmanager
def dashboard(folder: Path, settings: Mapping[str, str]) -> Iterator[Dashboard]:
    """Run `projector dashboard` with these settings (without their prefix)."""
    tokens, log = folder / "tokens", folder / "dashboard.log"
    tokens.write_text(f"{TOKEN}\n")
    own = {"dashboard_address": "127.0.0.1:0", "dashboard_tokens_file": str(tokens), "log_format": "json"}
    with log.open("wb") as output:
        process = start(["dashboard"], environment({**settings, **own}), stderr=output)
    try:

        def address() -> Any:
            assert process.poll() is None, log.read_text()
            return re.search(r'"address": ?"(http://[^"]+)"', log.read_text())

        yield Dashboard(wait_until(address, "the address in the log").group(1), process)
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="module")
def shown(
    shared_database_url: str, kafka: str, shared_topic: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Shown]:
    """The scene in a database and a topic of this file."""
    folder = tmp_path_factory.mktemp("shown")
    cluster = Cluster(shared_database_url, kafka, shared_topic, folder)
    played = scene(datetime.now(UTC), delegations=150)
    cluster.publish(played.records)
    cluster.start_member(result_push="topic", push_topic=create_topic(kafka))
    settings = {
        "database_url": shared_database_url,
        "bootstrap_servers": kafka,
        "topic": shared_topic,
        "group_id": f"group-{shared_topic}",
    }
    try:
        cluster.wait_until_caught_up()
        with dashboard(folder, settings) as running:
            yield Shown(running, cluster, played)
    finally:
        cluster.end()


@contextmanager
def visiting(browser: Browser, address: str, **options: Any) -> Iterator[Visit]:
    """Open a page in a context of its own, and log in."""
    context: BrowserContext = browser.new_context(**{"viewport": {"width": 1366, "height": 768}, **options})
    context.set_default_timeout(15_000)
    context.add_init_script(_WATCH)
    try:
        visit = new_visit(context, address)
        visit.to("/login")
        visit.page.fill("input[name=token]", TOKEN)
        visit.page.click("button[type=submit]")
        yield visit
    finally:
        context.close()


def new_visit(context: BrowserContext, address: str) -> Visit:
    """Open another page, with the session of the context."""
    page, messages = context.new_page(), list[str]()
    page.on("console", lambda message: messages.append(message.text))
    page.on("pageerror", lambda error: messages.append(str(error)))
    page.on("dialog", lambda dialog: messages.append(f"a dialog: {dialog.message}"))
    return Visit(page, address, messages)


@pytest.fixture(scope="module")
def session(browser: Browser, shown: Shown) -> Iterator[BrowserContext]:
    """A browser that is logged in to the shared dashboard."""
    with visiting(browser, shown.dashboard.address) as visit:
        yield visit.page.context


@pytest.fixture
def visit(session: BrowserContext, shown: Shown) -> Iterator[Visit]:
    """A page of the shared dashboard, in which nothing may go wrong."""
    visit = new_visit(session, shown.dashboard.address)
    yield visit
    assert visit.troubles() == []
    visit.page.close()


def as_json(page: Page, path: str) -> Any:
    """The JSON that this path has for the session of the page."""
    return json.loads(page.request.get(path).text())
