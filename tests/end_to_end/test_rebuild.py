"""`projector verify` and `projector rebuild` as processes: drift of each kind is found, told and mended."""

from typing import Any, LiteralString

import psycopg
import pytest
from commands import Ended, projector
from scene import Scene

from projector.demo.platform import Mix

PLAYED = Mix(delegations=300)


@pytest.fixture
def projected(scene: Scene) -> Scene:
    """A platform's records, projected, with a member that is still there."""
    scene.play(PLAYED)
    scene.member()
    scene.caught_up()
    return scene


def command(scene: Scene, *arguments: str, **settings: str) -> Ended:
    named = {"database_url": scene.database_url, "bootstrap_servers": scene.bootstrap_servers, "topic": scene.topic}
    return projector(*arguments, **{**named, **settings})


def damage(scene: Scene, statement: LiteralString) -> list[str]:
    """Change the view by hand; the ids of what was changed."""
    with psycopg.connect(scene.database_url, autocommit=True) as conn:
        ids = [row[0] for row in conn.execute(statement)]
    assert ids
    return ids


def test_view_that_was_never_touched_is_equal(projected: Scene) -> None:
    ended = command(projected, "verify", "--json")
    assert ended.code == 0, ended.err
    assert ended.json()["drift"] == 0
    assert ended.json()["records"] == len(projected.acknowledged)


DAMAGES: dict[str, tuple[LiteralString, str, dict[str, int]]] = {
    "edited": (
        "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id IN "
        "(SELECT delegation_id FROM delegations ORDER BY 1 LIMIT 3) RETURNING delegation_id",
        "differs",
        {"task_preview": 3},
    ),
    "removed": (
        "DELETE FROM delegations WHERE delegation_id IN "
        "(SELECT delegation_id FROM delegations ORDER BY 1 LIMIT 3) RETURNING delegation_id",
        "missing",
        {},
    ),
    "added": (
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview) SELECT 'planted-' || n, "
        "gen_random_uuid(), gen_random_uuid(), 'never' FROM generate_series(1, 3) n RETURNING delegation_id",
        "unexpected",
        {},
    ),
    "moved back": (
        "UPDATE delegations SET status = 'dispatched' WHERE delegation_id IN "
        "(SELECT delegation_id FROM delegations WHERE status = 'completed' ORDER BY 1 LIMIT 3) RETURNING delegation_id",
        "differs",
        {"status": 3},
    ),
}


@pytest.mark.parametrize("planted", DAMAGES)
def test_drift_is_found_told_and_mended(projected: Scene, planted: str) -> None:
    statement, kind, columns = DAMAGES[planted]
    ids = damage(projected, statement)
    found = command(projected, "verify", "--json")
    assert found.code == 3, found.err
    told: dict[str, Any] = found.json()
    assert told["drift"] == told["kinds"][kind] == 3
    assert told["columns"] == columns
    assert sorted(each["delegation_id"] for each in told["examples"]) == sorted(ids)
    mended = command(projected, "rebuild")
    assert mended.code == 0, mended.err
    assert command(projected, "verify").code == 0
    projected.view_equals_log()
