"""events/README.md: its tables are those of the code, and its examples have the outcomes and rows that it shows."""

import json
import re
from datetime import datetime
from pathlib import Path

import pytest
from builders import InMemoryView, record

from projector.contract.envelope import Activity, Envelope, open_value
from projector.contract.models import RESERVED_COLUMNS, parse_row
from projector.contract.row_status import STATUS_OF_ROW
from projector.domain.lifecycle import Delegation
from projector.domain.outcomes import Outcome
from testbed.oracle import Oracle

EVENTS = Path(__file__).parents[2] / "events"
PAGE = (EVENTS / "README.md").read_text(encoding="utf-8")
EXAMPLES = {path.name: path.read_bytes() for path in sorted((EVENTS / "examples").iterdir())}
RECORDS = [record(value, offset) for offset, value in enumerate(EXAMPLES.values())]
OUTCOMES: dict[str, str] = dict(re.findall(r"^\| `(\S+\.(?:json|bin))` \|.*\| `(\w+)` \|$", PAGE, re.MULTILINE))
NOT_A_ROW = {"tombstone", "unrelated", "uncorrelated", "dead_letter"}
"""Outcomes of examples without a valid row about a delegation."""
TIMES_AS_NUMBERS = "16-bare-times-as-numbers.json"
"""The only valid row that the models refuse: they accept times as text only."""


def rows_on_the_page() -> list[dict[str, str]]:
    """The rows of the page's table, each with the values that the text above it gives for all of them."""
    section = PAGE.partition("## Examples")[2].partition("\n## ")[0]
    common = dict(re.findall(r"`(caller_id|callee_id|retry_count)` is\s+`([^`]+)`", section))
    columns = {
        name: cells.split(" | ") for name, cells in re.findall(r"^\| `(\w+)` \| (.*) \|$", section, re.MULTILINE)
    }
    return [common | dict(zip(columns, cells, strict=True)) for cells in zip(*columns.values(), strict=True)]


def as_on_the_page(row: Delegation) -> dict[str, str]:
    def text(value: object) -> str:
        if isinstance(value, datetime):
            return value.isoformat().replace("+00:00", "Z")
        return "null" if value is None else str(value)

    return {name: text(value) for name, value in row._asdict().items()}


def test_statuses_of_the_page_are_those_of_the_reader() -> None:
    section = PAGE.partition("| status of the row |")[2].partition("\n\n")[0]
    table = re.findall(r"^\| (`.+`) \| `(\w+)` \|$", section, re.MULTILINE)
    assert {name: status for names, status in table for name in re.findall(r"\w+", names)} == STATUS_OF_ROW


def test_outcomes_of_the_page_are_those_of_the_projector() -> None:
    section = PAGE.partition("### Outcomes")[2].partition("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE) == list(Outcome)


def test_examples_have_the_outcomes_of_the_page() -> None:
    memory = InMemoryView()
    outcomes = [memory.project([each]) for each in RECORDS]
    assert {name: str(outcome) for name, [outcome] in zip(EXAMPLES, outcomes, strict=True)} == OUTCOMES


def test_examples_give_the_rows_of_the_page() -> None:
    memory = InMemoryView()
    memory.project(RECORDS)
    assert [as_on_the_page(row) for row in memory.rows.values()] == rows_on_the_page()


def test_oracle_reads_the_examples_alike() -> None:
    oracle = Oracle()
    assert [oracle.apply(each) for each in RECORDS] == list(OUTCOMES.values())


def test_examples_cover_every_envelope() -> None:
    activities = [open_value(value) for value in EXAMPLES.values()]
    assert {each.envelope for each in activities if isinstance(each, Activity)} == set(Envelope)


@pytest.mark.parametrize("name", EXAMPLES)
def test_models_accept_exactly_the_valid_rows(name: str) -> None:
    activity = open_value(EXAMPLES[name])
    columns = activity.row if isinstance(activity, Activity) else {}
    row = {column: value for column, value in columns.items() if column not in RESERVED_COLUMNS}
    if OUTCOMES[name] in NOT_A_ROW or name == TIMES_AS_NUMBERS:
        with pytest.raises(ValueError, match="validation error"):
            parse_row(json.dumps(row))
    else:
        assert parse_row(json.dumps(row)).activity_type == "delegation"
