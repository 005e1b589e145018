"""Files of others: each is the one of its package, and its licence is beside it."""

import hashlib
import re
from pathlib import Path

import projector.web

STATIC = Path(projector.web.__file__).parent / "static"
OWN = {"dashboard.css", "dashboard.js", "scheme.js", "icon.svg"}
ROW = re.compile(
    r"^\| `(?P<name>[^`]+)` \| \S+ \d+\.\d+\.\d+ \| `[^`]+` \| (?P<licence>\w+) \| `(?P<hash>\w{64})` \|$", re.M
)


def test_vendored_file_is_that_of_its_package() -> None:
    page = (STATIC / "LICENSES.md").read_text()
    listed = {row["name"]: row["hash"] for row in ROW.finditer(page)}
    found = {each.name for each in STATIC.iterdir() if each.suffix in (".js", ".css", ".svg")}
    assert set(listed) == found - OWN
    assert {name: hashlib.sha256((STATIC / name).read_bytes()).hexdigest() for name in listed} == listed
    for licence in {row["licence"] for row in ROW.finditer(page)}:
        assert {"0BSD": "Zero-Clause BSD", "MIT": "MIT License"}[licence] in page
