"""docs/ledger.md: each example runs as it stands, and its tables list each effect and each conflict."""

import re

import psycopg
import pytest
from activity_table import activities, create_activity_table, view
from ledger_page import EXAMPLES, PAGE

from projector.ledger import Conflict, Effect


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_prints_what_the_page_says(
    name: str, database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_activity_table(database_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    exec(compile(EXAMPLES[name].code, name, "exec"), {"__name__": "__main__"})
    assert capsys.readouterr().out == EXAMPLES[name].printed
    with psycopg.connect(database_url) as conn:  # all is committed
        assert len(view(conn)) == 1
        assert len(activities(conn)) == (3 if "audit" in EXAMPLES[name].code else 0)


def test_examples_run_one_after_the_other_in_one_database(
    database_url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    create_activity_table(database_url)
    monkeypatch.setenv("DATABASE_URL", database_url)
    for name, example in EXAMPLES.items():
        exec(compile(example.code, name, "exec"), {"__name__": "__main__"})
        assert capsys.readouterr().out == example.printed


def test_each_kind_of_connection_has_an_example() -> None:
    for word in ("ledger", "aio", "ledger import audit", "aio import audit", "ConnectionPool", "create_async_engine"):
        assert any(word in example.code for example in EXAMPLES.values())


def test_each_effect_is_listed() -> None:
    table = PAGE.split("| effect |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Effect)


def test_each_conflict_is_named() -> None:
    assert all(f"`{conflict}`" in PAGE for conflict in Conflict)
