"""Stored positions on a real Postgres: claims, their refusals, and concurrent claims."""

import uuid
from collections.abc import Iterator

import psycopg
import pytest
from projecting import claim_partition, connected, fence, position, query
from racing import race

from projector.errors import Fenced, LogGap
from projector.postgres import positions
from projector.postgres.connection import Connection, transaction
from projector.postgres.positions import Claim
from projector.projection.transaction import project

CLAIM = Claim("activity-log", 3, uuid.uuid4(), "topic-1", 40, 5, "host:1", "group")


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    with connected(database_url) as conn:
        yield conn


def claim(conn: Connection, wanted: Claim) -> int | None:
    with transaction(conn):
        return positions.claim(conn, wanted)


def test_new_partition_starts_at_its_first_offset(session: Connection) -> None:
    assert claim(session, CLAIM) == 40
    assert query(
        session, "SELECT next_offset, owner, topic_id, generation, member, claimed_at IS NOT NULL FROM positions"
    ) == [(40, CLAIM.token, "topic-1", 5, "host:1", True)]


def test_each_claimant_gets_the_stored_position(session: Connection) -> None:
    claim(session, CLAIM)
    project(session, [], fence(CLAIM.token, (3, 40, 77)))
    later_claim = CLAIM._replace(token=uuid.uuid4(), beginning=60, generation=1, member="host:2")
    assert claim(session, CLAIM) == 77
    assert claim(session, later_claim) == 77
    with pytest.raises(Fenced):
        project(session, [], fence(CLAIM.token, (3, 77, 78)))
    project(session, [], fence(later_claim.token, (3, 77, 78)))
    assert position(session, 3) == 78
    assert query(session, "SELECT generation, member FROM positions") == [(1, "host:2")]


def test_locked_partition_is_not_claimed(session: Connection, database_url: str) -> None:
    claim(session, CLAIM)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM projector.positions FOR UPDATE")
        assert claim(session, CLAIM._replace(token=uuid.uuid4())) is None
        assert claim(session, CLAIM._replace(partition=4)) == 40
    assert query(session, "SELECT owner FROM positions WHERE partition = 3") == [CLAIM.token]
    assert claim(session, CLAIM) == 40


def test_recreated_topic_is_a_gap_with_the_remedy(session: Connection) -> None:
    claim(session, CLAIM)
    with pytest.raises(LogGap) as raised:
        claim(session, CLAIM._replace(topic_id="topic-2", token=uuid.uuid4()))
    for part in (
        "deleted and created again",
        "topic-1",
        "topic-2",
        "partition 3",
        "offset 40",
        "rebuild --from activity-logs",
    ):
        assert part in str(raised.value)
    assert query(session, "SELECT owner, topic_id FROM positions") == [(CLAIM.token, "topic-1")]


def test_topic_id_is_stored_and_kept(session: Connection) -> None:
    claim(session, CLAIM._replace(topic_id=None))
    assert query(session, "SELECT topic_id FROM positions") == [None]
    claim(session, CLAIM)
    claim(session, CLAIM._replace(topic_id=None))
    assert query(session, "SELECT topic_id FROM positions") == ["topic-1"]


def test_rolled_back_claim_changes_nothing(session: Connection) -> None:
    token = claim_partition(session)
    with session.transaction(force_rollback=True):
        assert positions.claim(session, CLAIM._replace(partition=0)) == 0
    assert query(session, "SELECT owner FROM positions") == [token]


def test_concurrent_claims_get_the_same_offset(session: Connection, database_url: str) -> None:
    def claiming(conn: Connection) -> int | None:
        conn.execute("SET search_path TO projector, public")
        return claim(conn, CLAIM._replace(token=uuid.uuid4()))

    with psycopg.connect(database_url) as other:
        other.execute("LOCK TABLE projector.positions")
        results = race(database_url, *[claiming] * 5, release=other.commit)
    assert set(results) <= {40, None}
    assert 40 in results
    assert query(session, "SELECT count(*) FROM positions") == [1]
