"""`projector push` as a process: the relay, and the commands of operators."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from cluster import wait_until
from commands import CommandResult, environment, run_projector, start
from relaying import Relaying, ago

LINE = {"sent", "told_by_platform", "given_up", "expired", "retried_later", "due_later", "seconds"}

NO_REPLY = (
    "there is no reply about delegation nosuch. `projector push missing` lists the delegations that ended without one"
)


@pytest.fixture
def replies(relaying: Relaying) -> Relaying:
    """One reply in each state: `due`, `later`, `sent`, `given-up`, `expired`."""
    for name in ("due", "sent", "given-up", "expired"):
        relaying.answered(name)
    relaying.delegation("later", "stuck", error_detail="silent")
    relaying.end("later", "stuck", kind="verdict", text="silent")
    relaying.queue("later", due=ago(-3600))
    relaying.conn.execute(
        """
        UPDATE outbox SET ended_as = 'sent', sent_at = now() WHERE delegation_id = 'sent';
        UPDATE outbox SET ended_as = 'given_up', given_up_at = now(), last_error = 'no such workspace'
         WHERE delegation_id = 'given-up';
        UPDATE outbox SET ended_as = 'expired', given_up_at = now() - interval '2 days',
               queued_at = now() - interval '3 days', due_at = now() - interval '3 days'
         WHERE delegation_id = 'expired'
        """
    )
    return relaying


def push(inbox_url: str, *arguments: str, **settings: str) -> CommandResult:
    return run_projector("push", *arguments, database_url=inbox_url, **{"result_push": "inbox"} | settings)


def test_once_sends_what_is_due_and_ends_with_one_line(inbox_url: str, replies: Relaying) -> None:
    done = push(inbox_url, "run", "--once", "--json")
    assert (done.code, done.err.count("  sent=1\n")) == (0, 1), done.err
    line: dict[str, Any] = done.json()
    assert set(line) == LINE
    assert line["seconds"] >= 0
    assert {name: count for name, count in line.items() if count and name != "seconds"} == {"sent": 1, "due_later": 1}
    assert set(replies.inbox()) == {"due"}
    assert push(inbox_url, "run", "--once").out == (
        "0 sent, 0 told by the platform, 0 given up, 0 expired, 0 tried again later, 1 due later\n"
    )


@pytest.mark.parametrize("arguments", [["run"], ["run", "--once"]])
def test_push_that_is_off_is_refused(inbox_url: str, arguments: list[str]) -> None:
    done = push(inbox_url, *arguments, result_push="off")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("projector: PROJECTOR_RESULT_PUSH is off")


def test_json_without_once_is_a_usage_error(inbox_url: str) -> None:
    assert push(inbox_url, "run", "--json").code == 2
    assert push(inbox_url, "nosuch").code == 2


@contextmanager
def running_relay(inbox_url: str) -> Iterator[None]:
    """`projector push run`, which SIGTERM ends with 0 after the block."""
    process = start(["push", "run"], environment({"database_url": inbox_url, "result_push": "inbox"}))
    try:
        yield
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()


def test_relay_sends_until_it_is_stopped(inbox_url: str, replies: Relaying) -> None:
    with running_relay(inbox_url):
        wait_until(lambda: set(replies.inbox()) == {"due"}, "the first reply")
        replies.answered("another")
        wait_until(lambda: "another" in replies.inbox(), "a reply that came later")


def test_relay_waits_for_postgres(inbox_url: str, replies: Relaying) -> None:
    """It ends neither with its session nor while the table is away."""
    with running_relay(inbox_url):
        wait_until(lambda: set(replies.inbox()) == {"due"}, "the first reply")
        replies.conn.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'projector'"
            " AND datname = current_database()"
        )
        replies.answered("another")
        wait_until(lambda: "another" in replies.inbox(), "a reply after the outage")


# --- operators


def test_replies_that_were_not_sent_are_listed(inbox_url: str, replies: Relaying) -> None:
    done = push(inbox_url, "list")
    assert done.code == 0
    assert [line.split()[0] for line in done.out.splitlines()[1:5]] == ["due", "given_up", "expired", "due"]
    assert "no such workspace" in done.out
    assert "2 due, 1 sent, 0 told by platform, 1 given up, 1 expired, 0 discarded" in done.out
    found = push(inbox_url, "list", "--state", "sent", "--json").json()
    assert [each["delegation_id"] for each in found["replies"]] == ["sent"]
    assert (found["counts"]["due"], found["waiting"]) == (2, 1)
    assert found["oldest_due_seconds"] >= 0


def test_one_reply_is_shown_with_what_it_says(inbox_url: str, replies: Relaying) -> None:
    shown = push(inbox_url, "show", "given-up", "--json").json()
    assert (shown["state"], shown["last_error"]) == ("given_up", "no such workspace")
    assert (shown["says"]["status"], shown["says"]["preview"]) == ("completed", "done")
    assert [end["kind"] for end in shown["ends"]] == ["report"]
    assert "no such workspace" in push(inbox_url, "show", "given-up").out
    done = push(inbox_url, "show", "nosuch")
    assert (done.code, done.err) == (6, f"projector: {NO_REPLY}\n")


def test_retry_makes_replies_due(inbox_url: str, replies: Relaying) -> None:
    done = push(inbox_url, "retry", "--state", "expired", "--state", "given_up")
    assert (done.code, done.out) == (0, "2 replies due now\n")
    assert push(inbox_url, "run", "--once", "--json").json()["sent"] == 3
    assert set(replies.inbox()) == {"due", "given-up", "expired"}


def test_retry_of_a_reply_that_was_sent_is_refused(inbox_url: str, replies: Relaying) -> None:
    done = push(inbox_url, "retry", "sent", "later")
    assert (done.code, done.out) == (6, "1 reply due now\n")
    assert done.err == "projector: not retried: sent (its reply was sent)\n"
    assert push(inbox_url, "retry", "--state", "sent").code == 2
    assert push(inbox_url, "retry").code == 2
    assert replies.states()["sent"] == "sent"


def test_discarded_reply_is_never_sent(inbox_url: str, replies: Relaying) -> None:
    refused = push(inbox_url, "discard", "due")
    assert (refused.code, refused.out) == (1, "")
    assert "this would discard 1 reply, so that no relay sends it: add --yes to do it" in refused.err
    assert push(inbox_url, "discard", "due", "--yes").out == "1 reply discarded\n"
    assert push(inbox_url, "discard", "--state", "expired", "--older-than", "1d", "--yes").out == "1 reply discarded\n"
    assert push(inbox_url, "discard", "--state", "given_up", "--older-than", "1d", "--yes").code == 6
    assert push(inbox_url, "run", "--once", "--json").json()["sent"] == 0
    assert push(inbox_url, "retry", "due").code == 0
    assert push(inbox_url, "run", "--once", "--json").json()["sent"] == 1


def test_missing_replies_are_listed_and_queued(inbox_url: str, relaying: Relaying) -> None:
    never = push(inbox_url, "missing")
    assert (never.code, "never switched on" in never.err) == (6, True)
    assert push(inbox_url, "run", "--once").code == 0
    relaying.delegation("d-1", "completed", result_preview="three")
    assert "no reply queued  d-1" in push(inbox_url, "missing").out
    found = push(inbox_url, "missing", "--json").json()
    assert (found["total"], found["queued"], found["never_queued"][0]["delegation_id"]) == (1, None, "d-1")
    assert push(inbox_url, "missing", "--send").code == 1
    assert push(inbox_url, "missing", "--send", "--yes").out.endswith("1 reply missing, 1 queued\n")
    assert push(inbox_url, "run", "--once", "--json").json()["sent"] == 1
    assert push(inbox_url, "missing").out == "no reply is missing\n"


def test_prune_refuses_what_may_be_read_again(inbox_url: str, replies: Relaying, kafka: str, topic: str) -> None:
    own = {"bootstrap_servers": kafka, "topic": topic}
    done = push(inbox_url, "prune", **own)
    assert (done.code, "keeps its records for ever" in done.err) == (2, True)
    assert push(inbox_url, "prune", "--older-than", "1h", **own).code == 2
