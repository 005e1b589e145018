"""What an operator reads about replies, without a server."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from projector.cli.push_output import not_done, print_detail, print_missing, print_replies
from projector.contract.facts import Status
from projector.domain.reply import End, Ended, Kind, State
from projector.postgres.outbox_queries import Backlog, QueuedReply
from projector.push.missing import Missing

TEN = datetime(2025, 5, 5, 10, tzinfo=UTC)
NOT_SENT = [State.DUE, State.GIVEN_UP, State.EXPIRED]


def queued(state: State, **columns: Any) -> QueuedReply:
    found = QueuedReply("d-1", state, TEN, TEN, TEN, 0, TEN, None, None, "caller", "callee", "completed")
    return found._replace(**columns)


def backlog(waiting: int = 0, oldest: float | None = None, **counts: int) -> Backlog:
    return Backlog({state: counts.get(state.value, 0) for state in State}, waiting, oldest)


def printed(capsys: pytest.CaptureFixture[str], *arguments: Any) -> list[str]:
    print_replies(*arguments)
    return capsys.readouterr().out.splitlines()


def test_empty_list_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(capsys, [], backlog(sent=3), NOT_SENT)
    assert lines[0] == "no selected reply is due, given up or expired"
    assert lines[2:] == ["all replies: 0 due, 3 sent, 0 told by platform, 0 given up, 0 expired, 0 discarded"]
    assert printed(capsys, [], backlog(), [State.EXPIRED])[0] == "no selected reply is expired"


WAITS = "due: 3 now, 0 at a later time; the longest waits for 1 min 30 s"
LATE = f"{WAITS}. Is a relay running? `projector push run` sends them"


@pytest.mark.parametrize(
    ("counts", "line"),
    [
        (backlog(2, due=2), "due: all at a later time"),
        (backlog(1, 9.0, due=3), "due: 2 now, 1 at a later time; the longest waits for 9.0 s"),
        (backlog(0, 90.0, due=3), LATE),
        (backlog(given_up=1), "given up: `projector push retry --state given_up` sends them, `push discard` does not"),
    ],
)
def test_list_ends_with_what_to_do(capsys: pytest.CaptureFixture[str], counts: Backlog, line: str) -> None:
    assert printed(capsys, [queued(State.DUE)], counts, NOT_SENT)[-1] == line


RETRY = "`projector push retry d-1`"
AT_TEN = "at 2025-05-05 10:00:00 UTC"
LATER = queued(State.DUE, next_attempt_at=TEN + timedelta(hours=1), attempts=2)


@pytest.mark.parametrize(
    ("reply", "sentence"),
    [
        (queued(State.DUE), "due for 1 min 0 s: a relay sends it next"),
        (LATER, f"due at 2025-05-05 11:00:00 UTC, after 2 tries that failed. To send it now: {RETRY}"),
        (queued(State.SENT, sent_to="inbox"), f"sent {AT_TEN} to the inbox. It is never sent again"),
        (queued(State.TOLD_BY_PLATFORM), f"not needed: {AT_TEN} the platform had told the caller itself"),
        (queued(State.GIVEN_UP), f"given up {AT_TEN}: see the last error. Correct the reason, then {RETRY} sends it"),
        (
            queued(State.EXPIRED),
            f"expired {AT_TEN}, due for longer than PROJECTOR_PUSH_MAX_AGE_SECONDS. {RETRY} sends it",
        ),
        (queued(State.DISCARDED), f"discarded by an operator {AT_TEN}. {RETRY} sends it after all"),
    ],
)
def test_detail_begins_with_a_sentence(capsys: pytest.CaptureFixture[str], reply: QueuedReply, sentence: str) -> None:
    print_detail(reply, None, [], TEN + timedelta(minutes=1))
    assert capsys.readouterr().out.splitlines()[0] == sentence


def test_command_to_copy_is_quoted_for_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    """An id may hold anything."""
    print_detail(queued(State.EXPIRED)._replace(delegation_id="it's; one"), None, [], TEN)
    assert """`projector push retry 'it'"'"'s; one'` sends it""" in capsys.readouterr().out


def test_detail_has_what_is_said_and_what_was_read(capsys: pytest.CaptureFixture[str]) -> None:
    row = Ended("d-1", "caller", "callee", Status.COMPLETED, "the be\x1bginning", None, TEN)
    ends = [End(Kind.REPORT, Status.COMPLETED, TEN, True, "row-7")]
    print_detail(queued(State.GIVEN_UP, last_error="no such workspace"), row, ends, TEN)
    text = capsys.readouterr().out
    assert "last error       no such workspace\n" in text
    assert "says             completed, with the text of activity row row-7\n" in text
    assert "preview          the be\\x1bginning\n" in text
    assert "end read         report completed of 2025-05-05 10:00:00 UTC, with a text\n" in text


def test_reply_without_a_row_of_the_view_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    print_detail(queued(State.DUE, caller_id=None, callee_id=None, status=None), None, [], TEN)
    text = capsys.readouterr().out
    assert "caller → callee  unknown → unknown\nview             has no row of this delegation\n" in text
    assert "None" not in text


def test_nothing_missing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    print_missing(Missing([], []), 50, 0)
    assert capsys.readouterr().out == "no reply is missing\n"


def test_each_delegation_left_out_has_its_reason() -> None:
    found = {"d-1": State.TOLD_BY_PLATFORM}
    assert not_done(["d-1", "d-2"], found, "retried") == (
        "not retried: d-1 (the platform told its caller), d-2 (it has no reply)"
    )
