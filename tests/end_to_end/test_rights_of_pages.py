"""The GRANT lines of the pages about the sweeper and the push, for a role that has nothing else: they suffice."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from activity_table import create_activity_table
from commands import run_projector
from doctoring import RUN, Role, role_without_rights
from projecting import connected
from relaying import Relaying, create_inbox
from sweep_feed import Feed

DOCS = Path(__file__).parents[2] / "docs"


def grants(page: str, role: str) -> list[str]:
    """The GRANT statements of a page to this role, for a test's role."""
    found = re.findall(rf"^ *(GRANT .* TO ){role};", (DOCS / page).read_text(), re.MULTILINE)
    return [f"{each}{{role}}" for each in found]


@pytest.fixture
def role(database_url: str) -> Iterator[Role]:
    with role_without_rights(database_url) as role:
        yield role


def test_rights_of_the_page_let_the_sweeper_work(feed: Feed, role: Role) -> None:
    it = feed.it
    it.is_alive().both(it.request(), it.beat(), it.request("d-2", due=1))
    statements = grants("sweeping.md", "sweeper")
    assert len(statements) == 4
    role.execute("GRANT USAGE ON SCHEMA public TO {role}", *statements)
    done = run_projector("sweep", "--once", "--json", **feed.settings(database_url=role.url))
    assert (done.code, done.json()["verdicts"]) == (0, {"stuck": 1, "failed": 1}), done.err


@pytest.mark.parametrize("missing", range(4))
def test_each_right_of_the_page_is_needed(feed: Feed, role: Role, missing: int) -> None:
    statements = grants("sweeping.md", "sweeper")
    role.execute("GRANT USAGE ON SCHEMA public TO {role}", *statements[:missing], *statements[missing + 1 :])
    done = run_projector("sweep", "--once", "--json", **feed.settings(database_url=role.url))
    assert done.code in (1, 2)
    assert re.search(r"lack (?:USAGE|INSERT)|lacks|permission denied", done.err), done.err
    assert "Traceback" not in done.err


def test_rights_of_the_page_let_the_relay_work(database_url: str, role: Role) -> None:
    create_inbox(database_url)
    statements = grants("pushing.md", "projector")
    assert len(statements) == 2
    role.execute(*RUN, *statements)
    with connected(database_url) as conn:
        Relaying(conn).answered("d-1")
        done = run_projector("push", "run", "--once", "--json", database_url=role.url, result_push="inbox")
        assert (done.code, done.json()["sent"]) == (0, 1), done.err
        assert set(Relaying(conn).inbox()) == {"d-1"}


def test_relay_without_the_right_to_insert_says_which(database_url: str, role: Role) -> None:
    create_activity_table(database_url)
    role.execute(*RUN, "GRANT SELECT ON activity_logs TO {role}")
    done = run_projector("push", "run", "--once", database_url=role.url, result_push="inbox")
    assert (done.code, done.out) == (2, "")
    assert "so it may not write the inbox: GRANT INSERT ON public.activity_logs TO" in done.err
