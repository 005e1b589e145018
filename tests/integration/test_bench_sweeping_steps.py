"""The benchmark of the sweeper on a small platform: each step finds what it should, by the index that it should use."""

from collections.abc import Iterator

import psycopg
import pytest
from projecting import connected

from benchmarks.measurement import Failed
from benchmarks.platform_rows import fill
from benchmarks.sweeping import OVERDUE, _steps, _swept, explained, require_index
from projector.postgres.connection import Connection
from projector.settings import Settings, load

SILENT = 1_500


@pytest.fixture
def settings(database_url: str) -> Settings:
    with psycopg.connect(database_url, autocommit=True) as conn:
        fill(conn, ended=50_000, activities=60_000, silent=SILENT, overdue=OVERDUE)
    return load({"database_url": database_url})


@pytest.fixture
def view(settings: Settings) -> Iterator[Connection]:
    with connected(settings.database_url.get_secret_value()) as conn:
        yield conn


def test_steps_are_those_of_a_pass_and_use_their_indexes(view: Connection, settings: Settings) -> None:
    steps = _steps(view, settings)
    found = {step.name: len(step.run()) for step in steps}
    assert found == {
        "500 rows by primary key": 500,
        "silent scan, 1,500 rows in 3 pages": 3,
        "deadline scan, 500 rows": 1,
        "callees that speak": 1,
        "live check of 500, requested within 1 hour": 500,
        "live check of 500, requested within 6 hours": 500,
        "live check of 500, requested within 7 days": 500,
        "gap query": 2,
    }
    for step in steps:
        require_index(step, explained(view, step.run))
    view.execute("DROP INDEX public.activity_logs_workspace_type_created")
    check = next(step for step in steps if "live check" in step.name)
    with pytest.raises(Failed, match="live check of 500"):
        require_index(check, explained(view, check.run))


def test_pass_writes_every_verdict_and_can_be_repeated(view: Connection, settings: Settings) -> None:
    assert [_swept(view, settings, SILENT) > 0 for _ in range(2)] == [True, True]
    with pytest.raises(Failed, match="expected"):
        _swept(view, settings, SILENT + 1)
