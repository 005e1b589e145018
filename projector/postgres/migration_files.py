"""The SQL files of `schema/` and `deploy/postgres/`, as an installed wheel or a checkout has them."""

import re
from pathlib import Path
from typing import NamedTuple

_FILE = re.compile(r"(\d+)_(\w+)\.(up|down)\.sql")


class Migration(NamedTuple):
    """One pair of files; `name` is the common part of their names: 049_delegations."""

    version: int
    name: str
    up: bytes
    down: bytes


def _folder(in_wheel: str = "schema", in_checkout: str = "schema") -> Path:
    """Return the folder of the SQL files: inside the package in a wheel, at the repository's root in a checkout."""
    package = Path(__file__).parents[1]
    installed = package / in_wheel
    return installed if installed.is_dir() else package.parent / in_checkout


def available() -> list[Migration]:
    """Return every migration of this release, oldest first."""
    pairs: dict[str, dict[str, bytes]] = {}
    for file in _folder().iterdir():
        if match := _FILE.fullmatch(file.name):
            number, title, direction = match.groups()
            pairs.setdefault(f"{number}_{title}", {})[direction] = file.read_bytes()
    return [Migration(int(name.split("_")[0]), name, pair["up"], pair["down"]) for name, pair in sorted(pairs.items())]


def shadow_script() -> bytes:
    """Return the script that creates the tables of the shadow again."""
    return (_folder() / "recreate_shadow.sql").read_bytes()


def role_scripts() -> dict[str, str]:
    """Return the scripts for the roles, by the names of their files."""
    folder = _folder("roles", "deploy/postgres")
    return {name: (folder / name).read_text() for name in ("roles.sql", "grants.sql", "grants_activity_logs.sql")}
