"""docs/sessions.md lists exactly what a session sets, the reasons, and the defaults of the connection."""

import re
from pathlib import Path

from projector.postgres import parameters, write_batch
from projector.postgres.session import OWN, SETTINGS

PAGE = (Path(__file__).parents[2] / "docs" / "sessions.md").read_text()


def test_table_of_settings_is_that_of_the_code() -> None:
    rows = re.findall(r"^\| `(\w+)` \| `(.+?)` \| (.+?) \|$", PAGE, re.MULTILINE)
    assert rows == [(name, *setting) for name, setting in {**SETTINGS, **OWN}.items()]


def test_table_of_parameters_is_that_of_the_code() -> None:
    assert dict(re.findall(r"^\| `(\w+)` \| `(\w+)` \|$", PAGE, re.MULTILINE)) == parameters.DEFAULTS


def test_settings_of_batches_are_named() -> None:
    names = re.findall(r"^SET (\w+) = off;$", write_batch._FUNCTION, re.MULTILINE)
    assert names
    assert all(f"`{name}`" in PAGE for name in names)
