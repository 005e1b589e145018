"""`projector status`: how far the view is, and what waits."""

import argparse
import json
import sys
from datetime import UTC, datetime
from typing import Any, NamedTuple

from rich.console import Console
from rich.table import Table

from projector.cli.output import ago, as_json, duration
from projector.errors import BrokerUnavailable
from projector.lag import Partition, backlog, partitions
from projector.postgres import queries
from projector.postgres.connection import open_view
from projector.postgres.queries import Totals
from projector.settings import Settings


class StatusReport(NamedTuple):
    """What the command found; `trouble` is why Kafka did not tell."""

    topic: str
    trouble: str | None
    partitions: list[Partition]
    totals: Totals


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "status",
        parents=[settings],
        help="how far each partition is projected, what is behind, parked and dead",
        description="Shows for each partition of the topic its position, the end of its log, the lag in records and in "
        "seconds (the age of the first record that is not projected yet), the member that claimed it last, and when "
        "its position last moved; then the rows of `delegations` by status, parked events and dead letters. Exits "
        "with 1 where Kafka does not answer, and then shows what Postgres knows.",
    )
    parser.add_argument("--json", action="store_true", help="print one object of JSON instead")
    parser.set_defaults(command=status)


def status(settings: Settings, arguments: argparse.Namespace) -> int:
    """Ask Postgres, then Kafka, and print both."""
    report = _ask(settings)
    now = datetime.now(UTC)
    if arguments.json:
        print(json.dumps(_as_json(report)))
    else:
        _print(report, now)
    if report.trouble:
        sys.stderr.write(f"projector: {report.trouble}\n")
        return 1
    return 0


def _ask(settings: Settings) -> StatusReport:
    with open_view(settings) as conn:
        positions = queries.positions(conn, topic=settings.topic)
        totals = queries.totals(conn)
    trouble, log = None, {}
    try:
        log = backlog(settings, {each.partition: each.next_offset for each in positions})
    except BrokerUnavailable as error:
        trouble = str(error)
    return StatusReport(settings.topic, trouble, partitions(positions, log, at=datetime.now(UTC)), totals)


def _as_json(report: StatusReport) -> dict[str, object]:
    return {
        "topic": report.topic,
        "kafka": report.trouble or "ok",
        "partitions": [as_json(partition) for partition in report.partitions],
        "delegations": report.totals.delegations,
        "parked": report.totals.parked,
        "dead_letters": report.totals.dead_letters,
    }


def _print(report: StatusReport, now: datetime) -> None:
    table = Table(title=f"topic {report.topic}", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("partition", "position", "end", "lag", "behind"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("owner", overflow="fold")
    table.add_column("moved", no_wrap=True)
    for each in report.partitions:
        behind = "?" if each.lag_seconds is None else "" if each.lag_records == 0 else duration(each.lag_seconds)
        table.add_row(
            str(each.partition),
            *(_number(count) for count in (each.position, each.end, each.lag_records)),
            behind,
            each.owner or "none",
            ago(each.moved_at, now),
        )
    console = Console(markup=False, highlight=False)
    console.print(table)
    for each in report.partitions:
        if each.lost_records:
            console.print(
                f"partition {each.partition}: {each.lost_records:,} records are gone from the log that were never "
                "projected; `projector run` stops there, and says what to do"
            )
    _print_totals(report.totals)


def _print_totals(totals: Totals) -> None:
    counts = {str(status): count for status, count in totals.delegations.items()}
    width = max(map(len, [*counts, "dead letters"]))
    print("\ndelegations")
    for name, count in counts.items():
        print(f"  {name:{width}}{count:14,}")
    print(f"{'parked':{width}}  {totals.parked:14,}")
    print(f"{'dead letters':{width}}  {totals.dead_letters:14,}")


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"
