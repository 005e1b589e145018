"""The relay with the target `inbox` on a real Postgres: nothing is sent twice, and some replies are not sent."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from activity_table import SEARCH_PATH
from plans import plans
from relaying import OTHER_CALLER, Relaying, ago, passed, push
from rows import CALLER

from projector.domain.reply import MOST_ATTEMPTS, State, event_id, reply_to
from projector.errors import Misconfigured
from projector.postgres import outbox, outbox_inbox
from projector.postgres.outbox_inbox import Sent


def test_second_pass_sends_nothing(inbox_url: str, relaying: Relaying) -> None:
    for number in range(250):  # three batches
        relaying.answered(f"d-{number}")
    assert push(inbox_url) == passed(sent=250)
    assert push(inbox_url) == passed()
    assert len(relaying.inbox()) == 250


def test_reply_that_is_there_counts_as_sent(inbox_url: str, relaying: Relaying) -> None:
    """As after a restored backup: the outbox is older than the inbox."""
    relaying.answered("d-1")
    assert push(inbox_url).sent == 1
    relaying.conn.execute("UPDATE outbox SET ended_as = NULL, sent_at = NULL")
    assert push(inbox_url) == passed(sent=1)
    assert len(relaying.inbox()) == 1


def test_reply_of_the_platform_is_enough(inbox_url: str, relaying: Relaying) -> None:
    relaying.answered("d-1")
    relaying.conn.execute(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, request_body)
        VALUES (gen_random_uuid(), %s, 'a2a_receive', 'delegate_result', '{"delegation_id": "d-1"}')
        """,
        [CALLER],
    )
    assert push(inbox_url) == passed(told_by_platform=1)
    assert relaying.states() == {"d-1": "told_by_platform"}
    assert relaying.inbox()["d-1"]["id"] != event_id("d-1")


@pytest.mark.parametrize(
    "column", ["workspace_id = '" + OTHER_CALLER + "'", "created_at = now() - interval '2 hours'", "method = 'notify'"]
)
def test_other_row_is_no_reply_of_the_platform(inbox_url: str, relaying: Relaying, column: str) -> None:
    """One of another workspace, one from before the delegation, and one that is no result."""
    relaying.answered("d-1")
    relaying.conn.execute(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, request_body)
        VALUES ('a0000000-0000-4000-8000-000000000001', %s, 'a2a_receive', 'delegate_result',
                '{"delegation_id": "d-1"}')
        """,
        [CALLER],
    )
    statement = f"UPDATE activity_logs SET {column} WHERE id = 'a0000000-0000-4000-8000-000000000001'"
    relaying.conn.execute(statement.encode())
    assert push(inbox_url) == passed(sent=1)


def test_two_relays_share_the_replies(inbox_url: str, relaying: Relaying) -> None:
    for number in range(400):
        relaying.answered(f"d-{number}")
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: push(inbox_url), range(2)))
    assert sum(each.sent for each in both) == 400
    assert len(relaying.inbox()) == 400


def test_relay_passes_over_what_another_one_holds(inbox_url: str, relaying: Relaying) -> None:
    relaying.answered("d-1")
    relaying.answered("d-2")
    with psycopg.connect(inbox_url, options=SEARCH_PATH) as other:
        other.execute("SELECT FROM outbox WHERE delegation_id = 'd-1' FOR UPDATE")
        assert push(inbox_url) == passed(sent=1)
    assert relaying.texts() == {"d-2": "done"}


# --- not sent


def test_expired_reply_is_sent_by_retry_alone(inbox_url: str, relaying: Relaying) -> None:
    relaying.answered("d-1", due=ago(90_000), queued_at=ago(90_000))
    relaying.answered("d-2", due=ago(90_000))  # the projector was away: it was queued a moment ago
    assert push(inbox_url) == passed(sent=1, expired=1)
    assert relaying.states() == {"d-1": "expired", "d-2": "sent"}
    assert relaying.reply("d-1")["given_up_at"] is not None


def test_reply_without_a_row_of_the_view_waits(inbox_url: str, relaying: Relaying) -> None:
    relaying.queue("d-1")
    relaying.delegation("d-2", "in_progress")
    relaying.queue("d-2")
    assert push(inbox_url) == passed(retried_later=2)
    assert "no row" in relaying.reply("d-1")["last_error"]
    assert "in_progress" in relaying.reply("d-2")["last_error"]


def test_last_try_gives_up(inbox_url: str, relaying: Relaying) -> None:
    relaying.queue("d-1", attempts=MOST_ATTEMPTS - 1)
    assert push(inbox_url) == passed(given_up=1)
    assert f"after {MOST_ATTEMPTS} tries" in relaying.reply("d-1")["last_error"]


def test_push_that_is_off_is_refused(inbox_url: str) -> None:
    with pytest.raises(Misconfigured, match="PROJECTOR_RESULT_PUSH is off"):
        push(inbox_url, result_push="off")


def test_due_replies_are_found_by_their_index(inbox_url: str, relaying: Relaying) -> None:
    relaying.conn.execute(
        """
        INSERT INTO outbox (delegation_id, due_at, next_attempt_at, ended_as, sent_at)
        SELECT 'old-' || n, now(), now(), 'sent', now() FROM generate_series(1, 20000) n
        """
    )
    relaying.answered("d-1")
    relaying.conn.execute("ANALYZE outbox, ends, delegations")
    until, age = ago(0), timedelta(days=1)
    found = plans(relaying.conn, lambda: outbox.claim(relaying.conn, until=until, limit=100, max_age=age))
    assert "outbox_next_attempt" in found
    assert "Seq Scan on outbox" not in found


def test_reply_that_the_platform_sends_meanwhile_is_seen(inbox_url: str, relaying: Relaying) -> None:
    """The insert looks again for what came since the inboxes were read."""
    relaying.answered("d-1")
    row = outbox.ended(relaying.conn, "d-1")
    assert row is not None
    reply = reply_to(row, [])
    statements = outbox_inbox.statements(relaying.conn)
    now, told = outbox_inbox.told(relaying.conn, statements, [reply])
    assert told == set()
    relaying.conn.execute(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, request_body, created_at)
        VALUES (gen_random_uuid(), %s, 'a2a_receive', 'delegate_result', '{"delegation_id": "d-1"}', clock_timestamp())
        """,
        [CALLER],
    )
    assert outbox_inbox.insert(relaying.conn, statements, reply, now) == Sent(State.TOLD_BY_PLATFORM)
    assert outbox_inbox.told(relaying.conn, statements, [reply])[1] == {"d-1"}
