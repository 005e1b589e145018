"""The documentation site: `make docs` builds it without a warning, readable on a phone and without a network."""

import re
import shlex
import subprocess
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Browser, BrowserContext, expect

ROOT = Path(__file__).parents[2]
LOADED = re.compile(r'<(?:script|img|iframe|source)\b[^>]*?\bsrc="([^"]+)"|<link\b[^>]*?\bhref="([^"]+)"')


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built by the command of `make docs` into a folder of its own."""
    target = tmp_path_factory.mktemp("site")
    printed = subprocess.run(["make", "--dry-run", "docs"], cwd=ROOT, capture_output=True, text=True).stdout
    (command,) = [line for line in printed.splitlines() if " sphinx " in line]
    words = [str(target) if word == "build/site" else word for word in shlex.split(command)]
    built = subprocess.run(words, cwd=ROOT, capture_output=True, text=True)
    assert (built.returncode, built.stderr) == (0, "")
    return target


def pages(site: Path) -> list[Path]:
    return [page for page in sorted(site.rglob("*.html")) if "_static" not in page.parts]


def test_every_page_of_the_repository_is_in_the_site(site: Path) -> None:
    there = {page.relative_to(site).with_suffix("").as_posix() for page in pages(site)}
    of_docs = {page.relative_to(ROOT).with_suffix("").as_posix() for page in (ROOT / "docs").rglob("*.md")}
    assert of_docs | {"README", "CONTRIBUTING", "SECURITY", "events/README"} <= there


def test_folder_opens_at_the_readme(site: Path, browser: Browser) -> None:
    page = browser.new_page()
    page.goto((site / "index.html").as_uri())
    expect(page.get_by_role("heading", level=1)).to_have_text(re.compile("delegations projector"))
    page.close()


def test_no_page_loads_anything_from_another_host(site: Path) -> None:
    loaded = {"".join(found) for page in pages(site) for found in LOADED.findall(page.read_text())}
    assert len(loaded) > 10
    assert {each for each in loaded if urlsplit(each).netloc} == set()
    styles = [style.read_text() for style in site.rglob("*.css")]
    assert [style for style in styles if re.search(r"(?:url\(|@import)\s*[\"']?(?:https?:)?//", style)] == []


NOT_ALONE = re.compile("|here|below|above|see|more|page|link|(this|its|it|their)( .*)?")
"""Texts of links that mean nothing in a list of links, which a screen reader can show."""
PATTERNS = {
    "html:not([lang])": "no language",
    "article img:is(:not([alt]), [alt=''])": "no text instead of a picture",
    "table:not(:has(th))": "no header cells",
    "pre:not([tabindex]), .table-wrapper:not([tabindex])": "keys cannot scroll",
    "nav:not([aria-label]), aside": "a menu without a name",
}


def troubles(html: BeautifulSoup) -> Iterator[str]:
    """What makes a page hard to follow by a screen reader."""
    levels = [int(heading.name[1]) for heading in html.select("article :is(h1, h2, h3, h4, h5, h6)")]
    if levels.count(1) != 1 or any(after > before + 1 for before, after in pairwise([0, *levels])):
        yield f"headings: {levels}"
    for selector, trouble in PATTERNS.items():
        yield from (f"{trouble}: {found}" for found in html.select(selector))
    yield from (f"an empty header cell in {head.parent}" for head in html.select("th") if not text_of(head))
    yield from (f"the text of a link alone: {link}" for link in html.select("a") if NOT_ALONE.fullmatch(text_of(link)))
    yield from (
        f"the name of a file: {link}" for link in html.select("article a.internal") if text_of(link).endswith(".md")
    )
    yield from (f"a drawing of characters: {block}" for block in html.select("pre") if "──" in text_of(block))


def text_of(tag: Tag) -> str:
    return " ".join(tag.get_text().split()).lower()


def test_every_page_can_be_followed_by_a_screen_reader(site: Path) -> None:
    found = {page.name: [*troubles(BeautifulSoup(page.read_text(), "html.parser"))] for page in pages(site)}
    assert {name: each for name, each in found.items() if each} == {}


def test_pages_of_the_menu_have_different_names(site: Path) -> None:
    menu = BeautifulSoup((site / "README.html").read_text(), "html.parser").select(".sidebar-tree a")
    assert [name for name, times in Counter(map(text_of, menu)).items() if times > 1] == []
    assert len(menu) > 60


@pytest.fixture
def phone(browser: Browser) -> Iterator[BrowserContext]:
    """A context of 360 by 780 points, in the dark, without a network."""
    context = browser.new_context(viewport={"width": 360, "height": 780}, color_scheme="dark", offline=True)
    yield context
    context.close()


def test_pages_fit_a_phone(site: Path, phone: BrowserContext) -> None:
    page = phone.new_page()
    wide = []
    for each in (site / "docs").glob("*.html"):
        page.goto(each.as_uri(), wait_until="domcontentloaded")
        if page.evaluate("document.documentElement.scrollWidth > innerWidth"):
            wide.append(each.name)
    assert wide == []


def test_page_is_dark_where_the_reader_wants_it(site: Path, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto((site / "docs" / "commands.html").as_uri())
    color = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert max(map(int, re.findall(r"\d+", color)[:3])) < 64


def test_search_finds_a_page_without_a_network(site: Path, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto(f"{(site / 'search.html').as_uri()}?q=compaction")
    expect(page.locator("ul.search a", has_text="The change feed").first).to_be_visible()


@pytest.mark.parametrize("name", ["README", "docs/runbooks"])
def test_page_has_no_serious_problem_of_accessibility(site: Path, phone: BrowserContext, name: str) -> None:
    page = phone.new_page()
    page.goto((site / f"{name}.html").as_uri())
    found = Axe().run(page).response["violations"]
    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in ("serious", "critical")] == []


def test_table_on_a_phone_names_its_columns(site: Path, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto((site / "docs" / "configuration.html").as_uri())
    cell = page.locator("td", has_text="localhost:9092").first
    assert cell.evaluate("cell => getComputedStyle(cell, '::before').content") == '"default: "'
    empty = page.locator("td:not([data-column])").first
    expect(empty).to_be_attached()
    expect(empty).to_be_hidden()


def test_keys_open_the_menus_of_a_phone(site: Path, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto((site / "docs" / "running.html").as_uri())
    for name, inside in ("Menu of pages", "Runbooks, by symptom"), ("Contents of this page", "Position rows"):
        link = page.get_by_role("navigation", name=name).get_by_role("link", name=inside)
        expect(link).to_have_count(0)
        page.get_by_role("checkbox", name=name).press("Space")
        expect(link).to_be_in_viewport()
        page.get_by_role("checkbox", name=name).press("Space")


def test_first_key_skips_to_the_text(site: Path, phone: BrowserContext) -> None:
    page = phone.new_page()
    page.goto((site / "docs" / "running.html").as_uri())
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('article') !== null")
