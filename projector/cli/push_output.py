"""The output of `projector push`: replies as tables and sentences, and as JSON."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from projector.cli.output import as_json, when
from projector.cli.terminal import table, wrap
from projector.domain.reply import End, Ended, State, event_id, reply_to
from projector.postgres.outbox_missing import SentReply
from projector.postgres.outbox_queries import Backlog, QueuedReply
from projector.push.missing import Missing
from projector.push.relay import Pass
from projector.texts import command, counted, duration, escape, named

_REASONS = {
    **{state: f"its reply is {state.replace('_', ' ')}" for state in State},
    State.SENT: "its reply was sent",
    State.TOLD_BY_PLATFORM: "the platform told its caller",
}
"""Why nothing was done for a reply."""
_LATE_SECONDS = 60
"""A reply that is due for longer than this is a sign that no relay runs."""


def print_pass(done: Pass) -> None:
    """One line with the counts of a pass."""
    print(
        f"{done.sent:,} sent, {done.told_by_platform:,} told by the platform, {done.given_up:,} given up, "
        f"{done.expired:,} expired, {done.retried_later:,} tried again later, {done.due_later:,} due later"
    )


def with_id(reply: QueuedReply | SentReply) -> dict[str, object]:
    """Its fields, and its id, which is computed from that of its delegation."""
    return {"delegation_id": reply.delegation_id, "event_id": str(event_id(reply.delegation_id)), **as_json(reply)}


def backlog_as_json(backlog: Backlog) -> dict[str, object]:
    """Its fields, with the states as texts."""
    return {**as_json(backlog), "counts": {str(state): count for state, count in backlog.counts.items()}}


def detail_as_json(reply: QueuedReply, row: Ended | None, ends: Sequence[End]) -> dict[str, Any]:
    """The reply, what it says, and the ends that were read."""
    says = None if row is None else {**as_json(said := reply_to(row, ends)), "event_id": str(said.event_id)}
    return {**with_id(reply), "says": says, "ends": [as_json(end) for end in ends]}


def print_replies(replies: Sequence[QueuedReply], backlog: Backlog, states: Sequence[State]) -> None:
    """The listed replies, or that there are none in these states; then the counts of all, and what to do."""
    headings = ("state", "due (UTC)", "ended, or next try", "tries", "caller → callee", "delegation", "last error")
    rows = (
        (
            str(each.state),
            when(each.due_at),
            when(each.ended_at or each.next_attempt_at),
            str(each.attempts),
            f"{each.caller_id or 'unknown'} → {each.callee_id or 'unknown'}",
            named(each.delegation_id),
            each.last_error or "",
        )
        for each in replies
    )
    print(table(headings, rows) if replies else f"no selected reply is {_any_of(states)}", end="\n\n")
    print(wrap("all replies: " + ", ".join(f"{count:,} {_words(state)}" for state, count in backlog.counts.items())))
    if backlog.counts[State.DUE]:
        print(wrap(_about_due(backlog)))
    for state in (State.GIVEN_UP, State.EXPIRED):
        if backlog.counts[state]:
            again = command("push", "retry", "--state", state)
            print(wrap(f"{_words(state)}: {again} sends them, `push discard` does not"))


def _about_due(backlog: Backlog) -> str:
    if backlog.oldest_due_seconds is None:
        return "due: all at a later time"
    late = max(backlog.oldest_due_seconds, 0.0)
    now = backlog.counts[State.DUE] - backlog.waiting
    found = f"due: {now:,} now, {backlog.waiting:,} at a later time; the longest waits for {duration(late)}"
    return found + (". Is a relay running? `projector push run` sends them" if late > _LATE_SECONDS else "")


def print_detail(reply: QueuedReply, row: Ended | None, ends: Sequence[End], now: datetime) -> None:
    """A sentence with what became of it and what to do, then the facts."""
    print(wrap(escape(_sentence(reply, now))) + "\n")
    facts: dict[str, object] = {
        "delegation": named(reply.delegation_id),
        "reply": event_id(reply.delegation_id),
        "caller → callee": f"{reply.caller_id or 'unknown'} → {reply.callee_id or 'unknown'}",
        "view": reply.status or "has no row of this delegation",
        "queued": f"{when(reply.queued_at)} UTC",
        "due": f"{when(reply.due_at)} UTC",
        "tries": reply.attempts,
        "last error": reply.last_error or "none",
    }
    if row is not None:
        said = reply_to(row, ends)
        source = f"the text of activity row {said.row_id}" if said.row_id and said.has_text else "the text of the view"
        facts |= {"says": f"{said.status}, with {source}", "preview": said.preview or "none"}
    for name, value in facts.items():
        _print_fact(name, escape(str(value)))
    for end in ends:
        text = "with" if end.has_text else "without"
        _print_fact("end read", f"{end.kind} {end.status} of {when(end.at)} UTC, {text} a text")


def _print_fact(name: str, value: str) -> None:
    print(wrap(value, " " * 17, first=f"{name:16} "))


def _sentence(reply: QueuedReply, now: datetime) -> str:
    again = command("push", "retry", reply.delegation_id)
    ended = when(reply.ended_at)
    match reply.state:
        case State.DUE if reply.next_attempt_at > now:
            tried = "" if not reply.attempts else f", after {counted(reply.attempts, 'try', 'tries')} that failed"
            return f"due at {when(reply.next_attempt_at)} UTC{tried}. To send it now: {again}"
        case State.DUE:
            return f"due for {duration((now - reply.next_attempt_at).total_seconds())}: a relay sends it next"
        case State.SENT:
            return f"sent at {ended} UTC to the {reply.sent_to or 'caller'}. It is never sent again"
        case State.TOLD_BY_PLATFORM:
            return f"not needed: at {ended} UTC the platform had told the caller itself"
        case State.GIVEN_UP:
            return f"given up at {ended} UTC: see the last error. Correct the reason, then {again} sends it"
        case State.EXPIRED:
            return f"expired at {ended} UTC, due for longer than PROJECTOR_PUSH_MAX_AGE_SECONDS. {again} sends it"
        case State.DISCARDED:
            return f"discarded by an operator at {ended} UTC. {again} sends it after all"


def print_missing(found: Missing, limit: int, queued: int | None) -> None:
    """The first `limit` of them, how many there are, and what to do. `queued`: None if nothing was to be queued."""
    never, gone = "no reply queued", "not in the inbox"
    rows = [(never, named(each.delegation_id), each.status, when(each.updated_at)) for each in found.never_queued]
    rows += [(gone, named(each.delegation_id), "", when(each.sent_at)) for each in found.not_in_inbox]
    if not rows:
        print("no reply is missing")
        return
    print(table(("problem", "delegation", "status", "ended, or sent (UTC)"), rows[:limit]) + "\n")
    if len(rows) > limit:
        print(f"{limit:,} of {len(rows):,} are listed: --limit shows more")
    missing = f"{counted(found.total, 'reply', 'replies')} missing"
    print(f"{missing}: --send queues them" if queued is None else f"{missing}, {queued:,} queued")


def not_done(delegations: Sequence[str], found: Mapping[str, State], done: str) -> str:
    """Why nothing was `done` for these delegations, such as "retried"."""
    reasons = (_REASONS[found[each]] if each in found else "it has no reply" for each in delegations)
    pairs = zip(delegations, reasons, strict=True)
    return escape(f"not {done}: " + ", ".join(f"{named(each)} ({reason})" for each, reason in pairs))


def _any_of(states: Sequence[State]) -> str:
    *others, last = map(_words, states)
    return f"{', '.join(others)} or {last}" if others else last


def _words(state: State) -> str:
    return str(state).replace("_", " ")
