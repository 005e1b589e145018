"""`projector parked`: events that wait for the request of their delegation."""

import argparse
import json
from typing import Any

from projector.cli.output import as_json, columns, duration, when
from projector.postgres import queries
from projector.postgres.connection import open_view
from projector.postgres.queries import ParkedEvent, ParkedSummary
from projector.settings import Settings


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "parked",
        help="events that wait for the request of their delegation",
        description="An event that comes before the request of its delegation is parked, and applied when the request "
        "comes. One that waits for hours means that its request was lost, or lost to another with the same "
        "idempotency key.",
    )
    ways = parser.add_subparsers(required=True, metavar="list")
    listing = ways.add_parser(
        "list",
        parents=[settings],
        help="what waits, the oldest first",
        description="Lists what waits in the order in which it was parked, and tells how long the oldest has waited.",
    )
    listing.add_argument("--limit", metavar="N", type=int, default=50, help="at most so many (50)")
    listing.add_argument("--delegation", metavar="ID", help="of this delegation alone")
    listing.add_argument("--json", action="store_true", help="print one object of JSON instead")
    listing.set_defaults(command=_list)


def _list(settings: Settings, arguments: argparse.Namespace) -> int:
    with open_view(settings) as conn:
        waiting = queries.parked(conn, delegation_id=arguments.delegation, limit=arguments.limit)
        queue = queries.parked_summary(conn, delegation_id=arguments.delegation)
    if arguments.json:
        print(json.dumps({**as_json(queue), "parked": [as_json(each) for each in waiting]}))
    else:
        _print(waiting, queue)
    return 0


def _print(waiting: list[ParkedEvent], queue: ParkedSummary) -> None:
    if queue.oldest_age_seconds is None:
        print("nothing is parked")
        return
    rows = (
        (
            duration(each.age_seconds),
            when(each.parked_at),
            each.status or each.kind,
            each.delegation_id,
            f"{each.topic} {each.partition} {each.offset}",
        )
        for each in waiting
    )
    print(columns(("waits for", "parked at (UTC)", "event", "delegation", "topic partition offset"), rows))
    print(
        f"\n{queue.events:,} events of {queue.delegations:,} delegations wait, "
        f"the oldest for {duration(queue.oldest_age_seconds)}"
    )
