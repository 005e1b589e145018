"""docs/api.md: its Python names are those that the modules export, and the editions are those of the contract."""

import importlib
import re
from pathlib import Path

import pytest

from projector.contract import models

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "api.md").read_text()
CONTRACT = (ROOT / "events" / "README.md").read_text()
NAMES = {
    module: set(re.findall(r"`(\w+)`", names))
    for module, names in re.findall(r"^\| `(projector[\w.]*)` \| (.*) \|$", PAGE, re.MULTILINE)
}


def test_table_is_read() -> None:
    assert {"projector", "projector.ledger", "projector.ledger.aio.audit", "projector.contract.models"} <= set(NAMES)


@pytest.mark.parametrize("module", NAMES)
def test_names_are_those_that_the_module_exports(module: str) -> None:
    found = importlib.import_module(module)
    assert [name for name in NAMES[module] if not hasattr(found, name)] == []
    assert NAMES[module] == set(getattr(found, "__all__", NAMES[module]))


def test_models_are_all_listed() -> None:
    own = {name for name, each in vars(models).items() if getattr(each, "__module__", "") == models.__name__}
    assert {name for name in own if name[0].isupper()} <= NAMES[models.__name__]


def test_editions_end_with_that_of_the_models() -> None:
    editions = CONTRACT.partition("## Editions")[2]
    assert f"This page is **edition {models.EDITION}**" in editions
    rows = [int(number) for number in re.findall(r"^\| (\d+) \|", editions, re.MULTILINE)]
    assert rows == list(range(1, models.EDITION + 1))
    assert models.json_schema()["$comment"] == f"Edition {models.EDITION} of the event contract"
