"""`projector parked`: events that were parked until the request of their delegation arrives."""

import json
from collections.abc import Sequence
from datetime import timedelta

import click

from projector.cli.exit_codes import DONE, NOTHING_FOUND
from projector.cli.output import as_json, confirm, note, when
from projector.cli.terminal import table, wrap
from projector.postgres import queries
from projector.postgres.connection import Connection, open_view
from projector.postgres.parked import ParkedFilter
from projector.postgres.queries import ParkedEvent, ParkedSummary
from projector.projection.parked import discard
from projector.settings import Settings
from projector.texts import counted, duration, named

_MAX_COUNT = 100_000
"""The counts of the list end here: to count a million events takes seconds."""


def list_oldest(settings: Settings, limit: int, delegation: str | None, json_output: bool) -> int:
    """Print the parked events, the oldest first."""
    wanted = ParkedFilter(None if delegation is None else [delegation])
    with open_view(settings) as conn:
        events = queries.parked(conn, delegation_id=delegation, limit=limit)
        summary = queries.parked_summary(conn, wanted, limit=_MAX_COUNT)
    if json_output:
        print(json.dumps({**_as_json(summary), "parked": [as_json(event) for event in events]}))
    elif summary.events:
        _print(events, summary)
    else:
        print("nothing is parked" if delegation is None else f"nothing is parked for delegation {named(delegation)}")
    return DONE


def discard_selected(
    settings: Settings, delegations: Sequence[str], older_than: timedelta | None, repeated: bool, yes: bool
) -> int:
    """Delete the parked events that all options select. Ask first."""
    if not delegations and older_than is None and not repeated:
        raise click.UsageError("give at least one of ID, --older-than and --repeated")
    with open_view(settings) as conn:
        missing = sorted(set(delegations) - queries.parked_delegations(conn, delegations))
        if missing:
            note(f"nothing is parked for delegation {', '.join(map(named, missing))}")
        wanted, summary = _selected(conn, delegations, older_than, repeated)
        if summary.events and not yes:
            confirm(f"delete {_counts(summary)} permanently")
        count = discard(conn, wanted, settings)
    print(f"{counted(count, 'parked event')} discarded")
    return DONE if count and not missing else NOTHING_FOUND


def _selected(
    conn: Connection, delegations: Sequence[str], older_than: timedelta | None, repeated: bool
) -> tuple[ParkedFilter, ParkedSummary]:
    """The selection without the events that are parked from now on, and its counts."""
    wanted = ParkedFilter(
        list(delegations) or None,
        None if older_than is None else queries.clock(conn) - older_than,
        True if repeated else None,
    )
    summary = queries.parked_summary(conn, wanted)
    return wanted._replace(last_seq=summary.last_seq or 0), summary


def _as_json(summary: ParkedSummary) -> dict[str, object]:
    fields = {name: value for name, value in as_json(summary).items() if name != "last_seq"}
    return {**fields, "waiting": summary.events - summary.repeated, "complete": summary.events < _MAX_COUNT}


def _print(events: list[ParkedEvent], summary: ParkedSummary) -> None:
    rows = (
        (
            duration(event.age_seconds),
            when(event.parked_at),
            _event(event),
            named(event.delegation_id),
            "may still arrive" if event.holder_id is None else f"repeats the key of {named(event.holder_id)}",
            f"{event.topic} {event.partition} {event.offset}",
        )
        for event in events
    )
    print(table(("age", "parked at (UTC)", "event", "delegation", "request", "topic partition offset"), rows))
    if summary.events >= _MAX_COUNT:
        print(wrap(f"\nThe oldest {summary.events:,} of the parked events were counted:"), end="")
    oldest = duration(summary.oldest_age_seconds or 0)
    print("\n" + wrap(f"{_counts(summary)}; the age of the oldest is {oldest}"))


def _event(event: ParkedEvent) -> str:
    if event.kind != "verdict":
        return event.status or event.kind
    return f"verdict {event.status}" + (f", silent since {when(event.silent_since)}" if event.silent_since else "")


def _counts(summary: ParkedSummary) -> str:
    return (
        f"{counted(summary.events, 'parked event')} of {counted(summary.delegations, 'delegation')} "
        f"({summary.events - summary.repeated:,} whose request may still arrive, "
        f"{summary.repeated:,} whose request repeated an idempotency key)"
    )
