"""`projector parked`: events that were parked until the request of their delegation arrives."""

import json

from projector.cli.exit_codes import DONE
from projector.cli.output import as_json, columns, duration, when
from projector.postgres import queries
from projector.postgres.connection import open_view
from projector.postgres.queries import ParkedEvent, ParkedSummary
from projector.settings import Settings


def list_oldest(settings: Settings, limit: int, delegation: str | None, json_output: bool) -> int:
    """Print the parked events, the oldest first."""
    with open_view(settings) as conn:
        events = queries.parked(conn, delegation_id=delegation, limit=limit)
        summary = queries.parked_summary(conn, delegation_id=delegation)
    if json_output:
        print(json.dumps({**as_json(summary), "parked": [as_json(event) for event in events]}))
    else:
        _print(events, summary)
    return DONE


def _print(events: list[ParkedEvent], summary: ParkedSummary) -> None:
    if summary.oldest_age_seconds is None:
        print("nothing is parked")
        return
    rows = (
        (
            duration(event.age_seconds),
            when(event.parked_at),
            event.status or event.kind,
            event.delegation_id,
            f"{event.topic} {event.partition} {event.offset}",
        )
        for event in events
    )
    print(columns(("age", "parked at (UTC)", "event", "delegation", "topic partition offset"), rows))
    print(
        f"\n{summary.events:,} events of {summary.delegations:,} delegations are parked, "
        f"the oldest for {duration(summary.oldest_age_seconds)}"
    )
