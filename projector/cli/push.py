"""`projector push`: the relay, and the replies as operators see and change them."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

import click

from projector.cli.exit_codes import DONE, NOTHING_FOUND
from projector.cli.output import as_json, columns, confirm, escape, note, when
from projector.domain.reply import State, event_id, reply_to
from projector.errors import NothingFound
from projector.postgres import outbox, outbox_queries, queries
from projector.postgres.connection import Connection, mapped_errors, open_view
from projector.postgres.outbox_missing import SentReply
from projector.postgres.outbox_queries import Backlog, QueuedReply, Selection
from projector.push import missing as reconcile
from projector.push import prune as retention
from projector.push import relay
from projector.push.missing import Missing
from projector.settings import Settings
from projector.texts import counted, duration

_NOT_SENT = (State.DUE, State.GIVEN_UP, State.EXPIRED)


def run(settings: Settings, once: bool, json_output: bool) -> int:
    """Run the relay until a signal stops it, or for one pass."""
    if json_output and not once:
        raise click.UsageError("--json is allowed only with --once")
    if not once:
        return relay.run(settings)
    done = relay.once(settings)
    if json_output:
        print(json.dumps(as_json(done)))
    else:
        print(
            f"{done.sent:,} sent, {done.told_by_platform:,} told by the platform, {done.given_up:,} given up, "
            f"{done.expired:,} expired, {done.retried_later:,} tried again later, {done.due_later:,} due later"
        )
    return DONE


def list_oldest(
    settings: Settings, state: Sequence[str], older_than: timedelta | None, limit: int, json_output: bool
) -> int:
    """Print the selected replies, the longest due first, and the counts of all."""
    with open_view(settings) as conn:
        wanted = _selection(conn, (), state, older_than)
        replies = outbox_queries.oldest(conn, wanted._replace(states=wanted.states or _NOT_SENT), limit=limit)
        backlog = outbox_queries.backlog(conn)
    if json_output:
        print(json.dumps({**_as_json(backlog), "replies": [_with_id(reply) for reply in replies]}))
    else:
        _print(replies, backlog)
    return DONE


def show(settings: Settings, delegation: str, json_output: bool) -> int:
    """Print one reply: its state, the ends that were read, and which of them it says."""
    with open_view(settings) as conn:
        found = outbox_queries.oldest(conn, Selection([delegation]), limit=1)
        with mapped_errors():
            row = outbox.ended(conn, delegation)
            ends = outbox.ends(conn, [delegation])[delegation]
    if not found:
        raise NothingFound(f"there is no reply about delegation {escape(delegation)}")
    says = None if row is None else as_json(reply_to(row, ends))
    fields = {**_with_id(found[0]), "says": says and {name: _text(value) for name, value in says.items()}}
    fields["ends"] = [as_json(end) for end in ends]
    if json_output:
        print(json.dumps(fields))
    else:
        _print_detail(fields)
    return DONE


def retry(settings: Settings, delegations: Sequence[str], state: Sequence[str], older_than: timedelta | None) -> int:
    """Make the selected replies due now."""
    _require_selection(delegations, state, outbox_queries.RETRIED)
    with open_view(settings) as conn:
        done = outbox_queries.retry(conn, _selection(conn, delegations, state, older_than))
    print(f"{counted(len(done), 'reply', 'replies')} due now")
    return _code(done, delegations, "retry")


def discard(
    settings: Settings, delegations: Sequence[str], state: Sequence[str], older_than: timedelta | None, yes: bool
) -> int:
    """Discard the selected replies. Ask first."""
    _require_selection(delegations, state, outbox_queries.DISCARDED)
    with open_view(settings) as conn:
        wanted = _selection(conn, delegations, state, older_than)
        wanted = wanted._replace(states=wanted.states or outbox_queries.DISCARDED)
        count = outbox_queries.count(conn, wanted)
        if count and not yes:
            confirm(f"discard {counted(count, 'reply', 'replies')}, which are then never sent")
        done = outbox_queries.discard(conn, wanted)
    print(f"{counted(len(done), 'reply', 'replies')} discarded")
    return _code(done, delegations, "discard")


def missing(
    settings: Settings, delegations: Sequence[str], limit: int, send: bool, yes: bool, json_output: bool
) -> int:
    """Print which callers were not told, and with `send` queue the replies."""
    with open_view(settings) as conn:
        found = reconcile.find(conn, settings, delegations or None)
        queued = None
        if send:
            if found.total and not yes:
                confirm(f"queue {counted(found.total, 'reply', 'replies')}, which are then sent at once")
            queued = reconcile.queue(conn, found)
    if json_output:
        totals = {f"{name}_total": len(rows) for name, rows in found._asdict().items()}
        never = [as_json(each) for each in found.never_queued[:limit]]
        gone = [_with_id(each) for each in found.not_in_inbox[:limit]]
        fields = {"total": found.total, "queued": queued, **totals, "never_queued": never, "not_in_inbox": gone}
        print(json.dumps(fields))
    else:
        _print_missing(found, limit, queued)
    return DONE


def prune(settings: Settings, older_than: timedelta | None, json_output: bool) -> int:
    """Delete old replies."""
    with open_view(settings) as conn:
        done = retention.prune(conn, settings, older_than or timedelta(days=settings.push_retention_days))
    if json_output:
        print(json.dumps(as_json(done)))
    else:
        print(f"{counted(done.replies, 'reply', 'replies')} deleted, and {counted(done.ends, 'end')} without a reply")
    return DONE


def _selection(
    conn: Connection, delegations: Sequence[str], state: Sequence[str], older_than: timedelta | None
) -> Selection:
    return Selection(
        list(delegations) or None,
        [State(each) for each in state] or None,
        None if older_than is None else queries.clock(conn) - older_than,
    )


def _require_selection(delegations: Sequence[str], state: Sequence[str], allowed: Iterable[State]) -> None:
    if not delegations and not state:
        raise click.UsageError("give at least one of ID and --state")
    names = [str(each) for each in allowed]
    if wrong := sorted(set(state).difference(names)):
        raise click.UsageError(f"--state {wrong[0]} is not allowed here, only {', '.join(names)}")


def _code(done: set[str], delegations: Sequence[str], verb: str) -> int:
    """The exit code, and a note that names the delegations without a reply in a state that allows it."""
    if others := sorted(set(delegations) - done):
        note(f"there is no reply to {verb} about delegation {escape(', '.join(others))}")
    return NOTHING_FOUND if others or not done else DONE


def _print(replies: list[QueuedReply], backlog: Backlog) -> None:
    rows = (
        (
            str(each.state),
            when(each.due_at),
            when(each.ended_at or each.next_attempt_at),
            str(each.attempts),
            f"{each.caller_id or 'unknown'} → {each.callee_id or 'unknown'}",
            each.delegation_id,
            each.last_error or "",
        )
        for each in replies
    )
    if replies:
        headings = ("state", "due (UTC)", "ended, or next try", "tries", "caller → callee", "delegation", "last error")
        print(columns(headings, rows) + "\n")
    counts = ", ".join(f"{count:,} {str(state).replace('_', ' ')}" for state, count in backlog.counts.items())
    oldest = backlog.oldest_due_seconds
    late = "" if oldest is None else f"; the oldest is due for {duration(max(oldest, 0.0))}"
    print(f"{counts} (of those due, {backlog.waiting:,} at a later time){late}")


def _as_json(backlog: Backlog) -> dict[str, object]:
    fields = as_json(backlog)
    return {**fields, "counts": {str(state): count for state, count in backlog.counts.items()}}


def _print_detail(fields: dict[str, Any]) -> None:
    says, ends = fields.pop("says") or {}, fields.pop("ends")
    for name, value in fields.items():
        print(f"{name.replace('_', ' '):18} {escape('' if value is None else str(value))}")
    for name in ("status", "row_id", "has_text", "preview"):
        print(f"{'says ' + name.replace('_', ' '):18} {escape(str(says.get(name)))}")
    for end in ends:
        print(f"{'end':18} {end['kind']} {end['status']} at {end['at']}{', with a text' if end['has_text'] else ''}")


def _print_missing(found: Missing, limit: int, queued: int | None) -> None:
    rows = [("no reply queued", each.delegation_id, each.status, when(each.updated_at)) for each in found.never_queued]
    rows += [("not in the inbox", each.delegation_id, "", when(each.sent_at)) for each in found.not_in_inbox]
    if rows:
        print(columns(("problem", "delegation", "status", "ended, or sent (UTC)"), rows[:limit]) + "\n")
    if len(rows) > limit:
        print(f"{limit:,} of {len(rows):,}: --limit shows more")
    print(f"{counted(found.total, 'reply', 'replies')} missing" + ("" if queued is None else f", {queued:,} queued"))


def _with_id(reply: QueuedReply | SentReply) -> dict[str, object]:
    """Its fields, and its id, which is computed from that of its delegation."""
    return {"delegation_id": reply.delegation_id, "event_id": str(event_id(reply.delegation_id)), **as_json(reply)}


def _text(value: object) -> object:
    """A value that JSON has: ids as texts."""
    return value if value is None or isinstance(value, str | int | bool | float) else str(value)
