"""`projector status`: the position and the lag of each partition, and totals of the view."""

import json
import sys
from datetime import UTC, datetime
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from projector.cli.exit_codes import DONE, FAILED
from projector.cli.output import ago, as_json
from projector.errors import BrokerUnavailable
from projector.kafka.compaction import INCOMPLETE, is_compacted
from projector.lag import Partition, TopicState, partitions, topic_state
from projector.membership import Groups, notes, unclaimed
from projector.postgres import queries
from projector.postgres.connection import mapped_errors, open_view
from projector.postgres.positions import read
from projector.postgres.queries import Totals
from projector.settings import Settings
from projector.texts import duration


class StatusReport(NamedTuple):
    """The state of all partitions, and totals. `kafka_error` is the reason if Kafka did not answer.

    `cleanup_policy` is that of the topic, or None if it is unknown. `notes`: sentences about the consumer
    groups. `unclaimed`: partition → the member that has not claimed it.
    """

    topic: str
    kafka_error: str | None
    cleanup_policy: str | None
    partitions: list[Partition]
    totals: Totals
    groups: Groups
    notes: list[str]
    unclaimed: dict[int, str]


def status(settings: Settings, json_output: bool) -> int:
    """Query Postgres, then Kafka, and print both."""
    report = _query(settings)
    if json_output:
        print(json.dumps(_as_json(report)))
    else:
        _print(report, datetime.now(UTC))
    if report.kafka_error:
        sys.stderr.write(f"projector: {report.kafka_error}\n")
        return FAILED
    return DONE


def _query(settings: Settings) -> StatusReport:
    with open_view(settings) as conn, mapped_errors():
        positions = queries.positions(conn, topic=settings.topic)
        known = read(conn, settings.topic)
        totals = queries.totals(conn)
    kafka_error, topic = None, TopicState(None, {}, {}, Groups(settings.group_id))
    try:
        topic = topic_state(settings, known, {each.group_id for each in positions if each.group_id})
    except BrokerUnavailable as error:
        kafka_error = str(error)
    groups = topic.groups
    found = partitions(
        positions, topic.backlog, at=datetime.now(UTC), gaps=topic.gaps, assigned=groups.assigned(settings.topic)
    )
    return StatusReport(
        settings.topic,
        kafka_error,
        topic.cleanup_policy,
        found,
        totals,
        groups,
        notes(settings.topic, positions, groups),
        unclaimed(settings.topic, positions, groups),
    )


def _as_json(report: StatusReport) -> dict[str, object]:
    return {
        "topic": report.topic,
        "kafka": report.kafka_error or "ok",
        "cleanup_policy": report.cleanup_policy,
        "group_id": report.groups.group_id,
        "group_state": report.groups.ours.state if report.groups.ours else None,
        "members": sorted(map(str, report.groups.ours.members)) if report.groups.ours else None,
        "notes": report.notes,
        "partitions": [_partition_as_json(partition) for partition in report.partitions],
        "delegations": report.totals.delegations,
        "parked": report.totals.parked,
        "dead_letters": report.totals.dead_letters,
    }


def _partition_as_json(partition: Partition) -> dict[str, object]:
    waiting = partition.open_transaction
    if waiting is None:
        return as_json(partition)
    return as_json(partition) | {"open_transaction": as_json(waiting) | {"waiting_offsets": waiting.waiting_offsets}}


def _print(report: StatusReport, now: datetime) -> None:
    console = Console(markup=False, highlight=False)
    console.print(_table(report, now))
    for partition in report.partitions:
        if partition.lost_records:
            console.print(
                f"partition {partition.partition}: {partition.lost_records:,} records were deleted from the topic "
                "before they were projected; `projector run` stops there and prints the remedy"
            )
        elif partition.gap:
            console.print(f"{partition.gap}; `projector run` stops there and prints the remedy")
        if partition.open_transaction:
            console.print(f"{partition.open_transaction}; the high watermark is {partition.high_watermark}")
    for note in report.notes:
        console.print(note)
    if is_compacted(report.cleanup_policy):
        console.print(f"cleanup.policy={report.cleanup_policy}: {INCOMPLETE}")
    _print_totals(report.totals)


def _table(report: StatusReport, now: datetime) -> Table:
    table = Table(title=f"topic {report.topic}", title_justify="left", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for heading in ("partition", "position", "end", "lag", "behind"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("owner", overflow="fold")
    table.add_column("moved", no_wrap=True)
    for partition in report.partitions:
        table.add_row(
            str(partition.partition),
            *map(_number, (partition.position, partition.end, partition.lag_records)),
            _behind(partition),
            _owner(partition, report),
            ago(partition.moved_at, now),
        )
    return table


def _owner(partition: Partition, report: StatusReport) -> str:
    """The member that claimed the position, and what is not as it must be. The notes have the sentences."""
    owner = partition.owner or "none"
    if member := report.unclaimed.get(partition.partition):
        return f"{member} (not claimed)"
    groups = report.groups
    if partition.owner and partition.group_id not in (groups.group_id, None):
        return f"{owner} (group {partition.group_id})"
    if partition.owner and groups.ours and groups.ours.is_settled and not partition.assigned_to:
        return f"{owner} (left the group)"
    return owner


def _behind(partition: Partition) -> str:
    if partition.lag_seconds is None:
        return "?"
    return "" if partition.lag_records == 0 else duration(partition.lag_seconds)


def _number(count: int | None) -> str:
    return "-" if count is None else f"{count:,}"


def _print_totals(totals: Totals) -> None:
    counts = {str(status): count for status, count in totals.delegations.items()}
    width = max(map(len, [*counts, "dead letters"]))
    print("\ndelegations")
    for name, count in counts.items():
        print(f"  {name:{width}}{count:14,}")
    print(f"{'parked':{width}}  {totals.parked:14,}")
    print(f"{'dead letters':{width}}  {totals.dead_letters:14,}")
