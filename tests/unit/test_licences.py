"""docs/licences.md lists every pinned package. tests/integration/test_reference_pages.py compares its tables."""

import re
from email.message import Message
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name
from reference import licences

ROOT = Path(__file__).parents[2]
LISTED = dict(re.findall(r"^\| `([a-z0-9-]+)` \| (.+) \|$", (ROOT / "docs" / "licences.md").read_text(), re.MULTILINE))
PINNED, _, BUILDING = (ROOT / "constraints.txt").read_text().partition("# what builds the project itself")
STRONG = re.compile(r"\b(A?GPL|SSPL|BUSL)\b")


def names(constraints: str) -> set[str]:
    return {str(canonicalize_name(each)) for each in re.findall(r"^(\S+)==", constraints, re.MULTILINE)}


def test_every_pinned_package_is_listed() -> None:
    assert set(LISTED) == names(PINNED)
    assert names(BUILDING) >= {"hatchling"}


def test_no_strong_copyleft() -> None:
    """Which would extend to the project. Of docutils, only a tool for Emacs is under the GPL."""
    assert {name for name, licence in LISTED.items() if STRONG.search(licence)} == {"docutils"}


def test_package_without_a_licence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(licences, "metadata", lambda _: Message())
    monkeypatch.setattr(licences, "files", lambda _: [])
    with pytest.raises(ValueError, match="the metadata of click names no licence"):
        licences.licence("click")
