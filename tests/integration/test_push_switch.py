"""Switching on the push of results: once, for all processes, and not to be passed by an earlier release."""

from collections.abc import Iterator
from datetime import timedelta
from typing import LiteralString
from urllib.parse import urlsplit

import psycopg
import pytest
from builders import at, log, record
from projecting import TOPIC, claim_partition, fence, position, query
from psycopg import sql
from pushing import due, ends, named, push, pushing
from pydantic import SecretStr
from racing import race
from roles import plain_role
from rows import answer, delegate

from projector.errors import DatabaseUnavailable, Fenced, Misconfigured
from projector.postgres import positions
from projector.postgres.connection import Connection, connect, transaction
from projector.postgres.outbox_missing import count_never_queued
from projector.postgres.push import switch_on, switched_on_at
from projector.postgres.write_batch import prepare
from projector.projection.transaction import project
from projector.push import relay
from projector.settings import PostgresSettings, Settings
from projector.worker.push import Push


@pytest.fixture
def session(database_url: str) -> Iterator[Connection]:
    """A session in which the push is off."""
    with connect(PostgresSettings(database_url=database_url, lock_timeout_ms=200)) as conn:
        prepare(conn, push=True)
        yield conn


def offsets(conn: Connection) -> dict[int, int]:
    """Partition → the first offset that counts."""
    return dict(conn.execute("SELECT partition, next_offset FROM push_from WHERE topic = %s", [TOPIC]).fetchall())


def store_positions(conn: Connection, *next_offsets: int) -> None:
    for partition, offset in enumerate(next_offsets):
        claim_partition(conn, partition, beginning=offset)


def test_relay_without_its_target_does_not_switch_on(session: Connection, database_url: str) -> None:
    """No table `activity_logs` is here."""
    with pytest.raises(Misconfigured, match="activity_logs"):
        relay.once(Settings(database_url=SecretStr(database_url), topic=TOPIC, result_push="inbox"))
    assert switched_on_at(session, TOPIC) is None


def test_switching_on_stores_positions_and_time_once(session: Connection) -> None:
    store_positions(session, 7, 0)
    assert switched_on_at(session, TOPIC) is None
    [before] = query(session, "SELECT clock_timestamp()")
    assert switch_on(session, TOPIC)
    [after] = query(session, "SELECT clock_timestamp()")
    since = switched_on_at(session, TOPIC)
    assert since is not None
    assert before <= since <= after
    assert offsets(session) == {0: 7, 1: 0}
    session.execute("UPDATE positions SET next_offset = 99")
    claim_partition(session, 2, beginning=5)
    assert not switch_on(session, TOPIC)
    assert (switched_on_at(session, TOPIC), offsets(session)) == (since, {0: 7, 1: 0})


def test_each_topic_is_switched_on_by_itself(session: Connection) -> None:
    store_positions(session, 7)
    switch_on(session, "another topic")
    assert switched_on_at(session, TOPIC) is None
    assert switch_on(session, TOPIC)
    assert offsets(session) == {0: 7}


def switch_on_in_race(conn: Connection) -> bool:
    """Switch the push on in a plain session."""
    conn.execute("SET search_path TO projector, public")
    return switch_on(conn, TOPIC)


def test_one_of_several_at_once_switches_on(session: Connection, database_url: str) -> None:
    store_positions(session, 7)

    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM projector.positions FOR UPDATE")
        found = race(database_url, *[switch_on_in_race] * 4, release=other.commit)
    assert sorted(found) == [False, False, False, True]
    assert offsets(session) == {0: 7}


def test_batch_that_is_being_written_is_before_the_switch(session: Connection, database_url: str) -> None:
    """Its ends were read without push, so they must not count as if they had been read with it."""
    store_positions(session, 0)

    with psycopg.connect(database_url) as other:
        other.execute("SET projector.knows_push = 'on'; UPDATE projector.positions SET next_offset = 5")
        assert race(database_url, switch_on_in_race, release=other.commit) == [True]
    assert offsets(session) == {0: 5}


def test_positions_that_stay_locked_are_an_outage(session: Connection, database_url: str) -> None:
    store_positions(session, 7)
    with psycopg.connect(database_url) as other:
        other.execute("SELECT FROM projector.positions FOR UPDATE")
        with pytest.raises(DatabaseUnavailable):
            switch_on(session, TOPIC)
    assert switched_on_at(session, TOPIC) is None


def test_push_that_was_switched_on_counts_from_there(session: Connection) -> None:
    token = claim_partition(session)
    [now] = query(session, "SELECT clock_timestamp()")
    young = {"created_at": now.isoformat()}
    project(session, log(named("d-1", **young), answer(0, "completed", **young)), fence(token, (0, 0, 2)), push=True)
    switch_on(session, TOPIC)
    later = [named("d-2", **young), answer(0, "completed", of="d-2", **young), answer(0, "completed", **young)]
    project(session, [record(value, 2 + n) for n, value in enumerate(later)], fence(token, (0, 2, 5)), push=True)
    assert [end[3] for end in ends(session)] == [3, 4]
    assert sorted(due(session)) == ["d-1", "d-2"]  # d-1 by a record that was read since


def test_row_of_the_push_that_is_gone_switches_it_off(session: Connection) -> None:
    switch_on(session, TOPIC)
    session.execute("DELETE FROM push")
    [now] = query(session, "SELECT clock_timestamp()")
    push(session, delegate(0, "completed", created_at=now.isoformat()))
    assert (ends(session), due(session)) == ([], {})


def test_member_warns_once_if_the_row_of_the_push_goes(database_url: str, caplog: pytest.LogCaptureFixture) -> None:
    member = Push(Settings.model_validate({"database_url": database_url, "topic": TOPIC, "result_push": "topic"}))
    values = [named(f"d-{n}", status="completed") for n in range(4)]
    with connect(PostgresSettings(database_url=database_url)) as conn:
        member.prepare(conn)
        push(conn, values[0])
        assert "not queued" not in caplog.text
        conn.execute("DELETE FROM push")
        for value in values[1:]:
            push(conn, value)
        assert caplog.text.count("results are not queued any more") == 1
    with connect(PostgresSettings(database_url=database_url)) as conn:
        member.prepare(conn)
        assert switched_on_at(conn, TOPIC)
        push(conn, values[0])
        assert caplog.text.count("results are not queued any more") == 1


# --- an earlier release


def earlier_release(conn: Connection) -> None:
    conn.execute("SELECT set_config('projector.knows_push', '', false)")


def test_earlier_release_works_while_the_push_is_off(session: Connection) -> None:
    earlier_release(session)
    token = claim_partition(session)
    assert project(session, log(delegate(0)), fence(token, (0, 0, 1))) == {"inserted": 1}


def test_earlier_release_is_fenced_while_the_push_is_on(session: Connection) -> None:
    token = claim_partition(session)
    switch_on(session, TOPIC)
    earlier_release(session)
    with pytest.raises(Fenced, match=r"results of topic activity-log are pushed, and this release .* upgrade this pro"):
        project(session, log(delegate(0)), fence(token, (0, 0, 1)))
    assert query(session, "SELECT * FROM delegations") == []
    token = claim_partition(session)  # and it may claim, release and reset
    with transaction(session):
        positions.reset(session, TOPIC, {0: 0}, None)
    assert position(session) == 0
    prepare(session)
    token = claim_partition(session)
    assert project(session, log(delegate(0)), fence(token, (0, 0, 1))) == {"inserted": 1}


def test_earlier_release_needs_no_right_on_the_tables(session: Connection, database_url: str) -> None:
    """A rolling upgrade migrates while its members run, and grants rights later."""
    with plain_role(database_url) as url, connect(PostgresSettings(database_url=url)) as conn:
        role = sql.Identifier(urlsplit(url).username or "")
        session.execute(sql.SQL("REVOKE ALL ON push, push_from, ends, outbox FROM {}").format(role))
        prepare(conn)
        earlier_release(conn)
        token = claim_partition(conn)
        assert project(conn, log(delegate(0)), fence(token, (0, 0, 1))) == {"inserted": 1}
        switch_on(session, TOPIC)
        with pytest.raises(Fenced, match="upgrade this process"):
            project(conn, [record(answer(1, "completed"), 1)], fence(token, (0, 1, 2)))


# --- a topic that was created again


@pytest.mark.parametrize(("topic_id", "kept"), [("topic-2", {}), ("topic-1", {0: 7}), (None, {0: 7})])
def test_topic_that_was_created_again_counts_from_0(
    session: Connection, topic_id: str | None, kept: dict[int, int]
) -> None:
    store_positions(session, 7)
    switch_on(session, TOPIC)
    with transaction(session):
        positions.reset(session, TOPIC, {0: 2}, topic_id)
    assert not switch_on(session, TOPIC)
    assert offsets(session) == kept


def test_ends_of_two_topics_of_one_name_are_both_kept(session: Connection) -> None:
    with pushing(session.info.dsn + f" password={session.info.password}") as conn:
        push(conn, named("d-1"), answer(1, "completed"))
        push(conn, named("d-2"), answer(1, "completed", of="d-2"))
        assert [end[0] for end in ends(conn)] == sorted(due(conn)) == ["d-1", "d-2"]


# --- what ended without a reply


@pytest.mark.parametrize(
    ("change", "count"),
    [
        ("SELECT", 3),
        ("DELETE FROM push", 0),
        ("UPDATE push SET switched_on_at = switched_on_at + interval '1 hour'", 0),
        ("UPDATE delegations SET status = 'dispatched' WHERE delegation_id = 'd-1'", 2),
        ("DELETE FROM outbox", 4),
    ],
)
def test_ends_without_a_reply_are_counted(database_url: str, change: LiteralString, count: int) -> None:
    with pushing(database_url) as conn:
        project(conn, log(*(named(f"d-{n}", 1, status="failed") for n in range(3)), named("d-8", -60, status="stuck")))
        push(conn, named("d-9", 1, status="completed"), named("d-10", 1))
        conn.execute(change)
        assert count_never_queued(conn, TOPIC) == count


def test_count_begins_five_minutes_before(database_url: str) -> None:
    with pushing(database_url, since=at(5) + timedelta(seconds=1)) as conn:
        project(conn, log(named("d-1", 0, status="failed"), named("d-2", 1, status="failed")))
        assert count_never_queued(conn, TOPIC) == 1
