"""A pruning passes each row once, however many chunks it takes, on real Postgres."""

from collections.abc import Iterator

import pytest
from builders import at, log
from projecting import connected, query
from pushing import named
from rows import answer

from projector.postgres.connection import Connection
from projector.projection.transaction import project
from projector.pruning import prune as pruning
from projector.pruning.prune import Pruned


@pytest.fixture
def session(database_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Chunks have three rows. The delegation `old` has ended."""
    monkeypatch.setattr(pruning, "_CHUNK", 3)
    with connected(database_url) as conn:
        project(conn, log(named("old"), answer(1, "completed", of="old")))
        yield conn


def test_chunks_pass_every_row_once(session: Connection) -> None:
    session.execute(
        "INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, created_at, "
        "updated_at) SELECT n::text, gen_random_uuid(), gen_random_uuid(), 't', "
        "CASE WHEN n % 3 = 0 THEN 'queued' ELSE 'failed' END, "
        "CASE WHEN n < 5 THEN '-infinity' ELSE '2025-05-05'::timestamptz + n / 7 * '1 s'::interval END, "
        "'2025-05-05' FROM generate_series(1, 30) AS n"
    )
    assert pruning.prune(session, at(60)).delegations == 21
    assert set(query(session, "SELECT delegation_id FROM delegations")) == {str(n) for n in range(3, 31, 3)}


def test_chunks_pass_every_repetition_and_every_event_once(session: Connection) -> None:
    session.execute(
        """
        INSERT INTO repeated_requests (delegation_id, holder_id, topic, partition, "offset", requested_at)
        SELECT n::text, 'old', 't', 0, n, '2025-05-05' FROM generate_series(1, 20) AS n;
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, at)
        SELECT 't', 0, n, CASE WHEN n % 4 = 0 THEN 'early' ELSE (n % 20 + 1)::text END, 'heartbeat', '2025-05-05'
          FROM generate_series(1, 40) AS n;
        """
    )
    assert pruning.prune(session, at(60)) == Pruned(1, 20, 30)
    assert query(session, "SELECT DISTINCT delegation_id FROM parked") == ["early"]
