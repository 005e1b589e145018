"""The checks of this machine: the health file, and the versions of clients and servers."""

import os
import shutil
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from projector.doctor.checks import Check, change, note, ok
from projector.errors import Misconfigured
from projector.postgres.inspection import client_versions
from projector.texts import size
from projector.worker.health import require_replaceable

_FEW_BYTES = 10_000_000
_POSTGRES = (17, 18)
_KAFKA = ((4, 1), (4, 4))
"""The versions with which the tests run, the first and the last."""


def health_file(path: Path | None) -> Check:
    """Whether `run` can write its reports, and the space there."""
    name = "health file"
    if path is None:
        return ok(name, "PROJECTOR_HEALTH_FILE is not set: `run` writes none")
    folder = path.parent
    if not folder.is_dir():
        return change(name, f"{folder} is not a folder", "create it, or correct PROJECTOR_HEALTH_FILE")
    if not os.access(folder, os.W_OK | os.X_OK):
        return change(name, f"{folder} is not writable", "correct its rights, or PROJECTOR_HEALTH_FILE")
    try:
        require_replaceable(path)
    except Misconfigured as error:
        return change(name, str(error), "set PROJECTOR_HEALTH_FILE to another path")
    free = shutil.disk_usage(folder).free
    if free < _FEW_BYTES:
        return note(name, f"hint: only {size(free)} are free in {folder}", "free some space")
    return ok(name, f"hint: {size(free)} are free in {folder}")


def versions(postgres: int | None, kafka: Sequence[int] | None) -> Check:
    """The versions in use, and those outside of the tests. `postgres` is a number: 180004 is 18.4."""
    name = "versions"
    psycopg, libpq = client_versions()
    found = [f"kafka-python {version('kafka-python')}", f"psycopg {psycopg}", f"libpq {_postgres(libpq)}"]
    untested = []
    if postgres is not None:
        found.append(f"Postgres {_postgres(postgres)}")
        if not _POSTGRES[0] <= postgres // 10_000 <= _POSTGRES[1]:
            untested.append(f"the tests run with Postgres {_POSTGRES[0]} to {_POSTGRES[1]}")
    if kafka is not None:
        found.append(f"Kafka {'.'.join(map(str, kafka[:2]))} or later")
        if not _KAFKA[0] <= tuple(kafka[:2]) <= _KAFKA[1]:
            first, last = (".".join(map(str, each)) for each in _KAFKA)
            untested.append(f"the tests run with Kafka {first} to {last}")
    if untested:
        return note(name, f"{', '.join(found)}; {' and '.join(untested)}")
    return ok(name, ", ".join(found))


def _postgres(number: int) -> str:
    return f"{number // 10_000}.{number % 10_000}"
