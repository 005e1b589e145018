"""The pages in a real browser, over a real topic and a real database."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PAGES, TOKEN, Shown, Visit, as_json, visiting
from playwright.sync_api import Browser, Page, expect

from projector.cli.commands import PROJECTOR

AXE = Axe()
DOCS = Path(__file__).parents[2] / "docs" / "dashboard.md"


@pytest.fixture
def stranger(browser: Browser, shown: Shown) -> Iterator[Page]:
    """A page of a browser without a session."""
    context = browser.new_context(base_url=shown.dashboard.address)
    yield context.new_page()
    context.close()


def paths(shown: Shown) -> list[str]:
    it = shown.scene
    return [*PAGES, *(f"/delegation?id={each}" for each in (it.late, it.overdue, it.parked, "nosuch"))]


# --- who may read


def test_login_leads_to_the_page_that_was_asked_for(stranger: Page) -> None:
    stranger.goto("/failures?hours=1")
    expect(stranger).to_have_url(re.compile("/login"))
    stranger.fill("input[name=token]", "a-wrong-token-of-nobody")
    stranger.click("button[type=submit]")
    expect(stranger.get_by_role("alert")).to_have_text("This token is not valid.")
    stranger.fill("input[name=token]", TOKEN)
    stranger.click("button[type=submit]")
    expect(stranger).to_have_url(re.compile(r"/failures\?hours=1$"))


def test_log_out_ends_the_session(browser: Browser, shown: Shown) -> None:
    with visiting(browser, shown.dashboard.address) as visit:
        visit.page.get_by_role("button", name="Log out").click()
        expect(visit.page).to_have_url(re.compile("/login"))
        expect(visit.to("/plumbing")).to_have_url(re.compile("/login"))


# --- what the pages say


def test_first_screen_says_whether_it_is_true_and_what_needs_me(visit: Visit, shown: Shown) -> None:
    """Without scrolling on a laptop: the sentence, the counts, and delegations of each kind that needs attention."""
    page = visit.to("/")
    expect(page.locator("h1")).to_contain_text("The view has every record of the log.")
    seen = [page.locator(each) for each in ("h1", ".facts-line", ".todo", ".tiles", ".bars")]
    seen += [page.locator("tbody.group", has_text=each) for each in ("Stuck", "Overdue", "Silent")]
    for each in seen:
        box = each.bounding_box()
        assert box is not None
        assert box["y"] < 768
    expect(page.locator(".todo")).to_contain_text("dead letters kept. projector dead-letters list")
    link = page.locator(f'a[title="{shown.scene.overdue}"]').first
    expect(link).to_be_visible()


def test_deadline_that_is_past_is_marked(visit: Visit, shown: Shown) -> None:
    page = visit.to("/delegations?only=overdue&sort=deadline")
    row = page.locator("tr", has=page.locator(f'a[title="{shown.scene.overdue}"]'))
    expect(row.locator(".late")).to_have_text(re.compile(r"▲overdue:\s+\d+ h \d+ min ago"))


def test_ids_are_copied_whole(visit: Visit, shown: Shown) -> None:
    page = visit.to("/delegations?only=overdue")
    link = page.locator(f'a[title="{shown.scene.overdue}"]').first
    copied = link.evaluate("(e) => { getSelection().selectAllChildren(e); return getSelection().toString(); }")
    assert copied == shown.scene.overdue
    assert link.evaluate("(e) => e.offsetWidth") < 120


def test_timeline_has_every_record_and_the_evidence(visit: Visit, shown: Shown) -> None:
    page = visit.to(f"/delegation?id={shown.scene.late}")
    rows = page.locator(".timeline tbody tr")
    outcomes = [re.sub(r"\s.*", "", each) for each in rows.locator(".outcome").all_inner_texts()]
    assert outcomes == ["inserted", "advanced", "advanced", *["heartbeat"] * 4, "advanced", "refused"]
    expect(rows.nth(7)).to_contain_text("no sign of life for 10 min 31 s, since")
    expect(rows.nth(8)).to_contain_text("delegate_result, completed")
    expect(rows.nth(8)).to_contain_text("+ 11 min 39 s")
    expect(page.locator("h1")).to_contain_text(shown.scene.late)
    expect(page.locator("code.command").first).to_have_text(f"projector explain {shown.scene.late}")


def test_parked_delegation_has_a_page(visit: Visit, shown: Shown) -> None:
    page = visit.to(f"/delegation?id={shown.scene.parked}")
    expect(page.locator("main")).to_contain_text("The view has no delegation of this id.")
    expect(page.locator("main")).to_contain_text("1 event parked, because its request has not come: completed of")


def test_page_of_the_docs_answers_fifteen_questions(visit: Visit) -> None:
    """Each with a page that is there."""
    rows = re.findall(r"^\| (\d+) \| (.*\?) \| (.*) \|$", DOCS.read_text(), re.MULTILINE)
    assert [int(number) for number, _, _ in rows] == list(range(1, 16))
    links = {link for _, _, answer in rows for link in re.findall(r"`(/[^`…]*)`", answer)}
    assert len(links) > 3
    assert {link: visit.page.request.get(visit.address + link).status for link in links} == dict.fromkeys(links, 200)


# --- moving about


def test_filter_is_in_the_url(visit: Visit) -> None:
    page = visit.to("/delegations")
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Show").click()
    expect(page).to_have_url(re.compile("status=failed"))
    found = page.locator(".rows tbody tr").count()
    assert found == as_json(page, page.url.replace("/delegations?", "/delegations.json?"))["shown"]
    page.reload()
    expect(page.get_by_label("Status")).to_have_value("failed")
    expect(page.locator(".rows tbody tr")).to_have_count(found)
    page.locator(".rows tbody a[href^='/delegation?']").first.click()
    expect(page).to_have_url(re.compile(r"/delegation\?id="))
    page.go_back()
    expect(page.get_by_label("Status")).to_have_value("failed")


def test_next_page_goes_on_after_the_last_row(visit: Visit) -> None:
    page = visit.to("/delegations?status=any&limit=20")
    first = page.locator(".rows a[href^='/delegation?']").evaluate_all("(all) => all.map((e) => e.title)")
    page.get_by_role("button", name="Next 20").click()
    expect(page).to_have_url(re.compile("cursor="))
    second = page.locator(".rows a[href^='/delegation?']").evaluate_all("(all) => all.map((e) => e.title)")
    assert (len(first), len(second), len({*first, *second})) == (20, 20, 40)


def test_keys_move_open_and_search(visit: Visit, shown: Shown) -> None:
    page = visit.to("/delegations?status=failed")
    for _ in range(3):
        page.keyboard.press("j")
    page.keyboard.press("k")
    second = page.locator(".rows tbody tr").nth(1)
    expect(second).to_be_focused()
    title = second.locator("a[href^='/delegation?']").get_attribute("title") or ""
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(title)
    page.keyboard.press("/")
    page.keyboard.type(shown.scene.stuck)
    page.keyboard.press("Enter")
    expect(page.locator("h1")).to_contain_text(shown.scene.stuck)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.locator("h1")).to_have_text("Plumbing")


def test_command_is_copied_by_its_button(browser: Browser, shown: Shown) -> None:
    rights = {"permissions": ["clipboard-read", "clipboard-write"]}
    with visiting(browser, shown.dashboard.address, **rights) as visit:
        page = visit.to(f"/delegation?id={shown.scene.late}")
        for button, text in ((0, shown.scene.late), (1, f"projector explain {shown.scene.late}")):
            page.locator("button.copy").nth(button).click()
            expect(page.locator("button.copy").nth(button)).to_have_text("copied")
            assert page.evaluate("navigator.clipboard.readText()") == text


def parsed(command: str) -> str:
    """The command that these words run. Raises click's errors for words that it would refuse."""
    _, *words = shlex.split(command)
    found: click.Command = PROJECTOR
    context = click.Context(found)
    while isinstance(found, click.Group):
        _, found, words = found.resolve_command(context, words)  # type: ignore[assignment]
    found.make_context(found.name, words)
    return command


def test_commands_of_all_pages_exist(visit: Visit, shown: Shown) -> None:
    commands = set()
    for path in paths(shown):
        commands |= set(visit.to(path).locator("code.command").all_inner_texts())
    assert {"projector status", "projector dead-letters list", "projector parked list"} <= set(map(parsed, commands))


# --- how they look


@pytest.mark.parametrize(("scheme", "options"), [("light", None), ("dark", {"runOnly": ["color-contrast"]})])
def test_axe_finds_nothing(browser: Browser, shown: Shown, scheme: str, options: dict[str, Any] | None) -> None:
    """All rules, and in the dark once more those about colours."""
    found = {}
    with visiting(browser, shown.dashboard.address, color_scheme=scheme) as visit:
        few = (each.replace("/delegations", "/delegations?limit=20") for each in paths(shown))
        for path in [*few, "/login", "/delegations?limit=nosuch", "/nosuch"]:
            found[path] = AXE.run(visit.to(path), options=options).response["violations"]
    assert {path: [(e["id"], e["nodes"][0]["html"]) for e in each] for path, each in found.items() if each} == {}


def test_no_page_scrolls_sideways(visit: Visit, shown: Shown) -> None:
    wide = {}
    for path in paths(shown):
        page = visit.to(path)
        for width in (1920, 1366, 768, 360):
            page.set_viewport_size({"width": width, "height": 768})
            wide[path, width] = page.evaluate("document.documentElement.scrollWidth") - width
    assert {place: by for place, by in wide.items() if by > 0} == {}


def test_scheme_is_that_of_the_system_until_a_person_chooses(browser: Browser, shown: Shown) -> None:
    background = "getComputedStyle(document.documentElement).backgroundColor"
    with visiting(browser, shown.dashboard.address, color_scheme="dark") as visit:
        dark = visit.to("/").evaluate(background)
        visit.page.locator("#scheme").click()
        light = visit.page.evaluate(background)
        assert sum(map(int, re.findall(r"\d+", dark))) < 150 < 600 < sum(map(int, re.findall(r"\d+", light)))
        assert visit.to("/plumbing").evaluate(background) == light


def test_everything_works_without_script(browser: Browser, shown: Shown) -> None:
    with visiting(browser, shown.dashboard.address, java_script_enabled=False) as visit:
        for path in paths(shown):
            expect(visit.to(path).locator("h1")).to_be_visible()
            assert visit.page.locator("button:visible").filter(has_text=re.compile("copy|◐|\\?")).count() == 0
        page = visit.to("/delegations?status=any&limit=20")
        page.get_by_label("Status").select_option("failed")
        page.get_by_role("button", name="Show").click()
        expect(page).to_have_url(re.compile("status=failed"))
        page.get_by_label("Delegation id").fill(shown.scene.late)
        page.get_by_label("Delegation id").press("Enter")
        expect(page.locator(".timeline tbody tr")).to_have_count(9)
