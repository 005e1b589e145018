"""What docs/delegations.md and the schema say of the lifecycle is what the code does."""

import re
from pathlib import Path

from projector.contract.facts import IN_FLIGHT, RANK, TERMINAL, Status
from projector.contract.row_status import STATUS_OF_ROW
from projector.domain.lifecycle import Delegation
from projector.domain.outcomes import Outcome

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "delegations.md").read_text()
SCHEMA = (ROOT / "schema" / "049_delegations.up.sql").read_text()


def rows(heading: str) -> dict[str, str]:
    """First cell → second cell of the first table under a heading, without the backquotes."""
    section = PAGE.split(heading, 1)[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("| `")]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]
    return {cell[0].replace("`", ""): cell[1].replace("`", "") for cell in cells}


def test_diagram_shows_every_move_and_no_other() -> None:
    picture = (ROOT / "docs" / "images" / "lifecycle.svg").read_text()
    arrows = re.findall(r'data-from="(\w+)" data-to="(\w+)"', picture)
    of = {"in_flight": IN_FLIGHT, "terminal": TERMINAL}
    shown = {(str(a), str(b)) for left, right in arrows for a in of.get(left, [left]) for b in of.get(right, [right])}
    forward = {(a, b) for a in RANK for b in RANK if RANK[a] < RANK[b]}
    assert shown == {(str(a), str(b)) for a, b in forward | {(a, b) for a in IN_FLIGHT for b in TERMINAL}}


def test_statuses_of_activity_rows_are_all_there() -> None:
    shown = {name.strip(): status for names, status in rows("## States and moves").items() for name in names.split(",")}
    assert shown == {name: str(status) for name, status in STATUS_OF_ROW.items()}


def test_every_column_and_every_outcome_is_explained() -> None:
    assert tuple(rows("## Columns")) == Delegation._fields
    assert list(rows("## Outcomes")) == [str(outcome) for outcome in Outcome]


def test_states_of_the_schema_are_those_of_the_lifecycle() -> None:
    lists = [set(re.findall(r"'(\w+)'", found)) for found in re.findall(r"status IN \(([^)]*)\)", SCHEMA)]
    assert {str(status) for status in Status} in lists
    assert {str(status) for status in IN_FLIGHT} in lists
    assert all(found in ({str(s) for s in Status}, {str(s) for s in IN_FLIGHT}) for found in lists)
