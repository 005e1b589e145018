"""The relay with the target `inbox` on a real Postgres: what is sent, and when."""

from datetime import timedelta

import pytest
from relaying import Relaying, ago, passed, push
from rows import CALLEE, CALLER

from projector.domain.reply import event_id


def test_answer_becomes_a_row_of_the_callers_inbox(inbox_url: str, relaying: Relaying) -> None:
    relaying.answered("d-1", "three")
    assert push(inbox_url) == passed(sent=1)
    row = relaying.inbox()["d-1"]
    assert (row["id"], str(row["workspace_id"]), str(row["target_id"])) == (event_id("d-1"), CALLER, CALLEE)
    assert (row["method"], row["status"], row["error_detail"]) == ("delegate_result", "ok", None)
    assert row["request_body"] == {"delegation_id": "d-1"}
    assert row["response_body"] == {"text": "three", "delegation_id": "d-1"}
    reply = relaying.reply("d-1")
    assert (reply["ended_as"], reply["attempts"], reply["last_error"]) == ("sent", 1, None)
    assert reply["sent_at"] is not None


def test_error_is_the_text_and_the_error_of_the_row(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "failed", error_detail="no money")
    relaying.end("d-1", "failed", text="no money")
    relaying.queue("d-1")
    assert push(inbox_url).sent == 1
    row = relaying.inbox()["d-1"]
    assert (row["status"], row["error_detail"], row["response_body"]["text"]) == ("error", "no money", "no money")


def test_text_of_a_megabyte_arrives_whole(inbox_url: str, relaying: Relaying) -> None:
    text = "é" * 1_000_000
    relaying.answered("d-1", text)
    assert push(inbox_url).sent == 1
    assert relaying.inbox()["d-1"]["response_body"] == {"text": text, "delegation_id": "d-1"}


def test_preview_is_sent_where_the_activity_row_is_gone(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "completed", result_preview="the begin…")
    relaying.end("d-1", "completed", text="the beginning and the end", is_gone=True)
    relaying.queue("d-1")
    assert push(inbox_url).sent == 1
    assert relaying.inbox()["d-1"]["response_body"] == {"text": "the begin…", "delegation_id": "d-1", "truncated": True}


def test_text_of_another_delegation_is_never_sent(inbox_url: str, relaying: Relaying) -> None:
    relaying.answered("d-1", "mine")
    relaying.conn.execute('UPDATE activity_logs SET request_body = \'{"delegation_id": "d-2"}\'')
    relaying.conn.execute("UPDATE delegations SET result_preview = 'the preview'")
    assert push(inbox_url).sent == 1
    assert relaying.texts() == {"d-1": "the preview"}


def test_answer_without_a_text_is_sent_as_an_empty_text(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "completed")
    relaying.end("d-1", "completed")
    relaying.queue("d-1")
    assert push(inbox_url).sent == 1
    assert relaying.inbox()["d-1"]["response_body"] == {"text": "", "delegation_id": "d-1"}


def test_text_after_the_status_is_sent_in_one_row(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "completed")
    relaying.end("d-1", "completed", at=ago(10))
    relaying.queue("d-1", due=ago(-20))
    assert push(inbox_url) == passed(due_later=1)
    relaying.end("d-1", "completed", text="the text", at=ago(3))
    assert push(inbox_url) == passed(sent=1)
    assert relaying.texts() == {"d-1": "the text"}


def test_text_leaves_time_for_another_one(inbox_url: str, relaying: Relaying) -> None:
    """A text makes the reply due two seconds after it, and not at once."""
    at = ago(-60)
    relaying.delegation("d-1", "completed")
    relaying.end("d-1", "completed", text="the text", at=at)
    relaying.queue("d-1", due=ago(-600))
    assert push(inbox_url) == passed(due_later=1)
    reply = relaying.reply("d-1")
    assert reply["due_at"] == reply["next_attempt_at"] == at + timedelta(seconds=2)


def test_later_text_does_not_delay_the_reply(inbox_url: str, relaying: Relaying) -> None:
    due = ago(-60)
    relaying.delegation("d-1", "completed")
    relaying.end("d-1", "completed", text="the text", at=ago(-600))
    relaying.queue("d-1", due=due)
    assert push(inbox_url) == passed(due_later=1)
    assert relaying.reply("d-1")["due_at"] == due


@pytest.mark.parametrize("status", ["stuck", "failed"])
def test_real_answer_makes_the_reply_of_a_verdict_due(inbox_url: str, relaying: Relaying, status: str) -> None:
    relaying.delegation("d-1", status, error_detail="silent since ten")
    relaying.end("d-1", status, kind="verdict", text="silent since ten")
    relaying.queue("d-1", due=ago(-3600))
    assert push(inbox_url) == passed(due_later=1)
    relaying.end("d-1", "completed", text="late, but there", at=ago(0))
    assert push(inbox_url) == passed(sent=1)
    row = relaying.inbox()["d-1"]
    assert (row["status"], row["response_body"]["text"]) == ("ok", "late, but there")


def test_late_answer_without_a_text_waits_for_it(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "stuck", error_detail="silent since ten")
    relaying.end("d-1", "stuck", kind="verdict", text="silent since ten")
    relaying.queue("d-1", due=ago(-3600))
    relaying.end("d-1", "completed", at=ago(10))
    assert push(inbox_url) == passed(due_later=1)
    assert relaying.reply("d-1")["due_at"] < ago(-25)
    relaying.end("d-1", "completed", text="late, but there", at=ago(0))
    assert push(inbox_url) == passed(sent=1)
    assert relaying.texts() == {"d-1": "late, but there"}


def test_verdict_is_sent_when_no_answer_came(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "stuck", error_detail="silent since ten")
    relaying.end("d-1", "stuck", kind="verdict", text="silent since ten")
    relaying.queue("d-1")
    assert push(inbox_url).sent == 1
    assert (relaying.inbox()["d-1"]["status"], relaying.texts()) == ("error", {"d-1": "silent since ten"})


def test_answer_after_the_reply_was_sent_is_not_sent(inbox_url: str, relaying: Relaying) -> None:
    relaying.delegation("d-1", "stuck", error_detail="silent")
    relaying.end("d-1", "stuck", kind="verdict", text="silent")
    relaying.queue("d-1")
    assert push(inbox_url).sent == 1
    relaying.end("d-1", "completed", text="too late")
    assert push(inbox_url) == passed()
    assert relaying.texts() == {"d-1": "silent"}
