"""The pages of reference are those that `make reference` makes from the code and from a migrated database."""

from pathlib import Path

import psycopg
import pytest
from psycopg import Connection
from reference import events, tables
from reference.blocks import filled, names, table_with_meanings
from reference.pages import DOCS, pages

Pages = dict[Path, str]


@pytest.fixture(scope="module")
def made(shared_database_url: str) -> Pages:
    with psycopg.connect(shared_database_url) as conn:
        return pages(conn)


def test_pages_are_as_made(made: Pages) -> None:
    assert [page.name for page, text in made.items() if page.read_text() != text] == [], "run `make reference`"


def test_every_table_and_every_kind_of_row_is_on_its_page(shared_database_url: str) -> None:
    with psycopg.connect(shared_database_url) as conn:
        assert set(names((DOCS / "tables.md").read_text())) == set(tables.blocks(conn))
    fields = {name for name in events.blocks() if name.startswith("fields of ")}
    assert fields <= set(names((DOCS / "events.md").read_text()))


def test_new_column_is_missing_on_the_page(conn: Connection) -> None:
    conn.execute("SET search_path = public")
    conn.execute("ALTER TABLE projector.large_rows ADD COLUMN extra int NOT NULL DEFAULT 7")
    page = DOCS / "tables.md"
    added = set(pages(conn)[page].splitlines()) - set(page.read_text().splitlines())
    assert added == {"| `extra` | int |  | `7` |  |"}


def test_meaning_by_hand_is_kept() -> None:
    old = "| name | meaning |\n|---|---|\n| `a` | by hand, with `b | c` |\n| `gone` | x |\n"
    new = table_with_meanings(["name"], [(["`a`"], "made"), (["`new`"], "made")], old)
    assert new.splitlines()[2:] == ["| `a` | by hand, with `b | c` |", "| `new` | made |"]


def test_block_that_nothing_makes_is_an_error() -> None:
    with pytest.raises(KeyError, match="nowhere"):
        filled("<!-- made by make reference: nowhere -->\n<!-- end -->\n", {})
