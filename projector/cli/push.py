"""`projector push`: the relay, and the replies as operators see and change them."""

import json
from collections.abc import Iterable, Sequence
from datetime import timedelta

import click

from projector.cli.exit_codes import DONE, NOTHING_FOUND
from projector.cli.output import as_json, confirm, note
from projector.cli.push_output import (
    backlog_as_json,
    detail_as_json,
    not_done,
    print_detail,
    print_missing,
    print_pass,
    print_replies,
    with_id,
)
from projector.domain.reply import State
from projector.errors import NothingFound
from projector.postgres import outbox, outbox_queries, queries
from projector.postgres.connection import Connection, mapped_errors, open_view
from projector.postgres.outbox_queries import Selection
from projector.push import missing as reconcile
from projector.push import prune as retention
from projector.push import relay
from projector.settings import Settings
from projector.texts import counted, escape, named

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
        print_pass(done)
    return DONE


def list_oldest(
    settings: Settings, state: Sequence[str], older_than: timedelta | None, limit: int, json_output: bool
) -> int:
    """Print the selected replies, the longest due first, and the counts of all."""
    with open_view(settings) as conn:
        wanted = _selection(conn, (), state, older_than)
        states = wanted.states or _NOT_SENT
        replies = outbox_queries.oldest(conn, wanted._replace(states=states), limit=limit)
        backlog = outbox_queries.backlog(conn)
    if json_output:
        print(json.dumps({**backlog_as_json(backlog), "replies": [with_id(reply) for reply in replies]}))
    else:
        print_replies(replies, backlog, list(states))
    return DONE


def show(settings: Settings, delegation: str, json_output: bool) -> int:
    """Print one reply: its state, the ends that were read, and which of them it says."""
    with open_view(settings) as conn:
        found = outbox_queries.oldest(conn, Selection([delegation]), limit=1)
        now = queries.clock(conn)
        with mapped_errors():
            row = outbox.ended(conn, delegation)
            ends = outbox.ends(conn, [delegation])[delegation]
    if not found:
        raise NothingFound(
            f"there is no reply about delegation {escape(named(delegation))}. `projector push missing` lists the "
            "delegations that ended without one"
        )
    if json_output:
        print(json.dumps(detail_as_json(found[0], row, ends)))
    else:
        print_detail(found[0], row, ends, now)
    return DONE


def retry(settings: Settings, delegations: Sequence[str], state: Sequence[str], older_than: timedelta | None) -> int:
    """Make the selected replies due now."""
    _require_selection(delegations, state, outbox_queries.RETRIED)
    with open_view(settings) as conn:
        done = outbox_queries.retry(conn, _selection(conn, delegations, state, older_than))
        print(f"{counted(len(done), 'reply', 'replies')} due now")
        return _code(conn, done, delegations, "retried")


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
            confirm(f"discard {counted(count, 'reply', 'replies')}, so that no relay sends it")
        done = outbox_queries.discard(conn, wanted)
        print(f"{counted(len(done), 'reply', 'replies')} discarded")
        return _code(conn, done, delegations, "discarded")


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
        gone = [with_id(each) for each in found.not_in_inbox[:limit]]
        fields = {"total": found.total, "queued": queued, **totals, "never_queued": never, "not_in_inbox": gone}
        print(json.dumps(fields))
    else:
        print_missing(found, limit, queued)
    return DONE


def prune(settings: Settings, older_than: timedelta | None, json_output: bool) -> int:
    """Delete old replies."""
    with open_view(settings) as conn:
        done = retention.prune(conn, settings, older_than or timedelta(days=settings.push_retention_days))
    if json_output:
        print(json.dumps(as_json(done)))
    elif not any(done):
        print("no reply is old enough to be deleted")
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


def _code(conn: Connection, ids: set[str], delegations: Sequence[str], done: str) -> int:
    """The exit code, and a note about those of the delegations for which nothing was done."""
    others = sorted(set(delegations) - ids)
    if others:
        found = outbox_queries.oldest(conn, Selection(others), limit=len(others))
        note(not_done(others, {each.delegation_id: each.state for each in found}, done))
    elif not ids:
        note(f"no reply is selected, so none was {done}")
    return NOTHING_FOUND if others or not ids else DONE
