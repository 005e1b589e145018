"""The page docs/ledger.md: its examples run, and its tables name what there is."""

import re
from pathlib import Path

import psycopg
import pytest
from activity_table import SEARCH_PATH, activities, create_activity_table, view
from rows import CALLEE, CALLER

from projector.ledger.rows import Conflict, Effect

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_the_examples_do_what_they_say(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    create_activity_table(database_url)
    with (
        psycopg.connect(database_url, options=SEARCH_PATH) as conn,
        psycopg.connect(database_url, options=SEARCH_PATH, autocommit=True) as audit_conn,
    ):
        names = {"conn": conn, "audit_conn": audit_conn, "caller_id": CALLER, "callee_id": CALLEE}
        for example in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
            exec(example, names)
        assert [(row.delegation_id, row.status) for row in view(conn)] == [("d-1", "completed"), ("d-2", "failed")]
        assert [row["method"] for row in activities(conn)] == ["delegate", "heartbeat", "delegate_result"]
    assert capsys.readouterr().out == "a new delegation d-1\nthis caller tells the user\nadvanced\n"


def test_each_effect_has_its_line() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(Effect)


def test_each_thing_in_the_way_is_named() -> None:
    assert all(f"`{each}`" in PAGE for each in Conflict)
