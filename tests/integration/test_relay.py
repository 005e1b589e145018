"""The relay with the target `inbox` on a real Postgres: what is sent, when, and what is left."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import psycopg
import pytest
from activity_table import SEARCH_PATH
from plans import plans
from pushing import OTHER_CALLER, Pushing, ago, create_inbox, passed, push
from rows import CALLEE, CALLER

from projector.domain.reply import MOST_ATTEMPTS, reply_id
from projector.errors import Misconfigured
from projector.postgres import outbox


@pytest.fixture
def url(database_url: str) -> str:
    create_inbox(database_url)
    return database_url


@pytest.fixture
def pushing(url: str) -> Iterator[Pushing]:
    with psycopg.connect(url, options=SEARCH_PATH, autocommit=True) as conn:
        yield Pushing(conn)


# --- the reply


def test_answer_becomes_a_row_of_the_callers_inbox(url: str, pushing: Pushing) -> None:
    pushing.answered("d-1", "three")
    assert push(url) == passed(sent=1)
    row = pushing.inbox()["d-1"]
    assert (row["id"], str(row["workspace_id"]), str(row["target_id"])) == (reply_id("d-1"), CALLER, CALLEE)
    assert (row["method"], row["status"], row["error_detail"]) == ("delegate_result", "ok", None)
    assert row["request_body"] == {"delegation_id": "d-1"}
    assert row["response_body"] == {"text": "three", "delegation_id": "d-1"}
    reply = pushing.reply("d-1")
    assert (reply["ended_as"], reply["attempts"], reply["last_error"]) == ("sent", 1, None)
    assert reply["sent_at"] is not None


def test_error_is_the_text_and_the_error_of_the_row(url: str, pushing: Pushing) -> None:
    pushing.delegation("d-1", "failed", error_detail="no money")
    pushing.end("d-1", "failed", text="no money")
    pushing.queue("d-1")
    assert push(url).sent == 1
    row = pushing.inbox()["d-1"]
    assert (row["status"], row["error_detail"], row["response_body"]["text"]) == ("error", "no money", "no money")


def test_text_of_a_megabyte_arrives_whole(url: str, pushing: Pushing) -> None:
    text = "é" * 1_000_000
    pushing.answered("d-1", text)
    assert push(url).sent == 1
    assert pushing.inbox()["d-1"]["response_body"] == {"text": text, "delegation_id": "d-1"}


def test_preview_is_sent_where_the_activity_row_is_gone(url: str, pushing: Pushing) -> None:
    pushing.delegation("d-1", "completed", result_preview="the begin…")
    pushing.end("d-1", "completed", text="the beginning and the end", is_gone=True)
    pushing.queue("d-1")
    assert push(url).sent == 1
    assert pushing.inbox()["d-1"]["response_body"] == {"text": "the begin…", "delegation_id": "d-1", "truncated": True}


def test_text_of_another_delegation_is_never_sent(url: str, pushing: Pushing) -> None:
    pushing.answered("d-1", "mine")
    pushing.conn.execute('UPDATE activity_logs SET request_body = \'{"delegation_id": "d-2"}\'')
    pushing.conn.execute("UPDATE delegations SET result_preview = 'the preview'")
    assert push(url).sent == 1
    assert pushing.texts() == {"d-1": "the preview"}


def test_answer_without_a_text_is_sent_as_an_empty_text(url: str, pushing: Pushing) -> None:
    pushing.delegation("d-1", "completed")
    pushing.end("d-1", "completed")
    pushing.queue("d-1")
    assert push(url).sent == 1
    assert pushing.inbox()["d-1"]["response_body"] == {"text": "", "delegation_id": "d-1"}


def test_text_after_the_status_is_sent_in_one_row(url: str, pushing: Pushing) -> None:
    pushing.delegation("d-1", "completed")
    pushing.end("d-1", "completed", at=ago(10))
    pushing.queue("d-1", due=ago(-20))
    assert push(url) == passed(due_later=1)
    pushing.end("d-1", "completed", text="the text", at=ago(3))
    assert push(url) == passed(sent=1)
    assert pushing.texts() == {"d-1": "the text"}


def test_text_leaves_time_for_another_one(url: str, pushing: Pushing) -> None:
    """A text makes the reply due two seconds after it, and not at once."""
    pushing.delegation("d-1", "completed")
    pushing.end("d-1", "completed", text="the text", at=ago(-60))
    pushing.queue("d-1", due=ago(-600))
    assert push(url) == passed(due_later=1)
    reply = pushing.reply("d-1")
    assert reply["due_at"] == reply["next_attempt_at"] < ago(-70)


@pytest.mark.parametrize("status", ["stuck", "failed"])
def test_real_answer_makes_the_reply_of_a_verdict_due(url: str, pushing: Pushing, status: str) -> None:
    pushing.delegation("d-1", status, error_detail="silent since ten")
    pushing.end("d-1", status, kind="verdict", text="silent since ten")
    pushing.queue("d-1", due=ago(-3600))
    assert push(url) == passed(due_later=1)
    pushing.end("d-1", "completed", text="late, but there", at=ago(0))
    assert push(url) == passed(sent=1)
    row = pushing.inbox()["d-1"]
    assert (row["status"], row["response_body"]["text"]) == ("ok", "late, but there")


def test_verdict_is_sent_when_no_answer_came(url: str, pushing: Pushing) -> None:
    pushing.delegation("d-1", "stuck", error_detail="silent since ten")
    pushing.end("d-1", "stuck", kind="verdict", text="silent since ten")
    pushing.queue("d-1")
    assert push(url).sent == 1
    assert (pushing.inbox()["d-1"]["status"], pushing.texts()) == ("error", {"d-1": "silent since ten"})


def test_answer_after_the_reply_was_sent_is_not_sent(url: str, pushing: Pushing) -> None:
    pushing.delegation("d-1", "stuck", error_detail="silent")
    pushing.end("d-1", "stuck", kind="verdict", text="silent")
    pushing.queue("d-1")
    assert push(url).sent == 1
    pushing.end("d-1", "completed", text="too late")
    assert push(url) == passed()
    assert pushing.texts() == {"d-1": "silent"}


# --- once


def test_second_pass_sends_nothing(url: str, pushing: Pushing) -> None:
    for number in range(250):  # three batches
        pushing.answered(f"d-{number}")
    assert push(url) == passed(sent=250)
    assert push(url) == passed()
    assert len(pushing.inbox()) == 250


def test_reply_that_is_there_counts_as_sent(url: str, pushing: Pushing) -> None:
    """As after a restored backup: the outbox is older than the inbox."""
    pushing.answered("d-1")
    assert push(url).sent == 1
    pushing.conn.execute("UPDATE outbox SET ended_as = NULL, sent_at = NULL")
    assert push(url) == passed(sent=1)
    assert len(pushing.inbox()) == 1


def test_reply_of_the_platform_is_enough(url: str, pushing: Pushing) -> None:
    pushing.answered("d-1")
    pushing.conn.execute(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, request_body)
        VALUES (gen_random_uuid(), %s, 'a2a_receive', 'delegate_result', '{"delegation_id": "d-1"}')
        """,
        [CALLER],
    )
    assert push(url) == passed(told_by_platform=1)
    assert pushing.states() == {"d-1": "told_by_platform"}
    assert pushing.inbox()["d-1"]["id"] != reply_id("d-1")


@pytest.mark.parametrize(
    "column", ["workspace_id = '" + OTHER_CALLER + "'", "created_at = now() - interval '2 hours'", "method = 'notify'"]
)
def test_other_row_is_no_reply_of_the_platform(url: str, pushing: Pushing, column: str) -> None:
    """One of another workspace, one from before the delegation, and one that is no result."""
    pushing.answered("d-1")
    pushing.conn.execute(
        """
        INSERT INTO activity_logs (id, workspace_id, activity_type, method, request_body)
        VALUES ('a0000000-0000-4000-8000-000000000001', %s, 'a2a_receive', 'delegate_result',
                '{"delegation_id": "d-1"}')
        """,
        [CALLER],
    )
    statement = f"UPDATE activity_logs SET {column} WHERE id = 'a0000000-0000-4000-8000-000000000001'"
    pushing.conn.execute(statement.encode())
    assert push(url) == passed(sent=1)


def test_two_relays_share_the_replies(url: str, pushing: Pushing) -> None:
    for number in range(400):
        pushing.answered(f"d-{number}")
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(lambda _: push(url), range(2)))
    assert sum(each.sent for each in both) == 400
    assert len(pushing.inbox()) == 400


def test_relay_passes_over_what_another_one_holds(url: str, pushing: Pushing) -> None:
    pushing.answered("d-1")
    pushing.answered("d-2")
    with psycopg.connect(url, options=SEARCH_PATH) as other:
        other.execute("SELECT FROM outbox WHERE delegation_id = 'd-1' FOR UPDATE")
        assert push(url) == passed(sent=1)
    assert pushing.texts() == {"d-2": "done"}


# --- not sent


def test_expired_reply_is_sent_by_retry_alone(url: str, pushing: Pushing) -> None:
    pushing.answered("d-1", due=ago(90_000), queued_at=ago(90_000))
    pushing.answered("d-2", due=ago(90_000))  # the projector was away: it was queued a moment ago
    assert push(url) == passed(sent=1, expired=1)
    assert pushing.states() == {"d-1": "expired", "d-2": "sent"}
    assert pushing.reply("d-1")["given_up_at"] is not None


def test_reply_without_a_row_of_the_view_waits(url: str, pushing: Pushing) -> None:
    pushing.queue("d-1")
    pushing.delegation("d-2", "in_progress")
    pushing.queue("d-2")
    assert push(url) == passed(retried_later=2)
    assert "no row" in pushing.reply("d-1")["last_error"]
    assert "in_progress" in pushing.reply("d-2")["last_error"]


def test_last_try_gives_up(url: str, pushing: Pushing) -> None:
    pushing.queue("d-1", attempts=MOST_ATTEMPTS - 1)
    assert push(url) == passed(given_up=1)
    assert f"after {MOST_ATTEMPTS} tries" in pushing.reply("d-1")["last_error"]


def test_push_that_is_off_is_refused(url: str) -> None:
    with pytest.raises(Misconfigured, match="PROJECTOR_RESULT_PUSH is off"):
        push(url, result_push="off")


def test_due_replies_are_found_by_their_index(url: str, pushing: Pushing) -> None:
    pushing.conn.execute(
        """
        INSERT INTO outbox (delegation_id, event_id, due_at, next_attempt_at, ended_as, sent_at)
        SELECT 'old-' || n, gen_random_uuid(), now(), now(), 'sent', now() FROM generate_series(1, 20000) n
        """
    )
    pushing.answered("d-1")
    pushing.conn.execute("ANALYZE outbox, ends, delegations")
    until, age = ago(0), timedelta(days=1)
    found = plans(pushing.conn, lambda: outbox.claim(pushing.conn, until=until, limit=100, max_age=age))
    assert "outbox_next_attempt" in found
    assert "Seq Scan on outbox" not in found
