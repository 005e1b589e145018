"""docs/ledger.md: its examples run, and its tables list each effect and each conflict."""

import re
from pathlib import Path

import psycopg
import pytest
from activity_table import SEARCH_PATH, activities, create_activity_table, view
from rows import CALLEE, CALLER

from projector.ledger import Conflict, Effect

PAGE = (Path(__file__).parents[2] / "docs" / "ledger.md").read_text()


def test_examples_write_the_rows_they_show(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
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
    printed = "a new delegation d-1\nthis process informs the user\n"
    assert f"```\n{printed}```" in PAGE
    assert capsys.readouterr().out == f"{printed}advanced\n"


def test_each_effect_is_listed() -> None:
    table = PAGE.split("| effect |")[1].split("\n\n")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", table, re.MULTILINE)) == set(Effect)


def test_each_conflict_is_named() -> None:
    assert all(f"`{conflict}`" in PAGE for conflict in Conflict)
