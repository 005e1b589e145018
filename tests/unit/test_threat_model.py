"""docs/threat-model.md: its tests exist, and what it says of later events holds."""

import ast
import re
from pathlib import Path

from builders import CALLEE, CALLER, TEN, InMemoryView, log
from hypothesis import given, settings
from hypothesis import strategies as st
from platform_logs import platform_logs
from rows import delegate

from projector.recordings.file import RecordedRecord

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "threat-model.md").read_text()
CLAIM = re.compile(r"`(test_\w+\.py)`: ((?:`\w+`(?: · )?)+)")
OTHER = "0dd0dd0d-0000-4000-8000-00000000000d"


def named_in(file: str) -> set[str]:
    (path,) = (ROOT / "tests").rglob(file)
    return {node.name for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)}


def test_named_tests_exist() -> None:
    found = CLAIM.findall(PAGE)
    claims = [(file, name) for file, names in found for name in re.findall(r"\w+", names)]
    assert len(found) == PAGE.count("`test_") > 20
    assert [(file, name) for file, name in claims if f"test_{name}" not in named_in(file)] == []


@settings(max_examples=100, deadline=None)
@given(platform_logs(), st.booleans())
def test_no_later_event_changes_who_asked_whom_for_what(later: list[RecordedRecord], together: bool) -> None:
    """In the batch of the request, and in a later one."""
    first = log(delegate(0, source_id=CALLER, idempotency_key="k"))
    taken = log(delegate(1, source_id=OTHER, target_id=OTHER, request_body={"delegation_id": "d-1", "task": "steal"}))
    batches = [[*first, *taken, *later]] if together else [first, [*taken, *later]]
    view = InMemoryView()
    for batch in batches:
        view.project(batch)
    found = view.rows["d-1"]
    assert (found.caller_id, found.callee_id, found.task_preview) == (CALLER, CALLEE, "count to three")
    assert (found.idempotency_key, found.created_at) == ("k", TEN)
