"""What `projector status` prints for people: the verdict, the partitions, what needs attention, the totals."""

from collections.abc import Iterator

from projector.cli.output import ago
from projector.cli.status_report import StatusReport
from projector.cli.terminal import paint, table, wrap
from projector.kafka.compaction import INCOMPLETE, is_compacted
from projector.lag import Partition
from projector.postgres.queries import Totals
from projector.texts import counted, duration
from projector.view_state import total_lag

_NUMBERS = ("partition", "position", "end", "lag", "behind")


def shown(report: StatusReport) -> str:
    """The report as text."""
    found = report.verdict
    parts = [paint(wrap(found.sentence), found.level)]
    parts += [paint(wrap(each), "bad") for each in report.exceeded]
    parts += ["", *_places(report)]
    if report.partitions:
        parts += ["", _table(report)]
    if attention := list(_attention(report)):
        parts += ["", *(paint(wrap(each), "note") for each in attention)]
    return "\n".join([*parts, "", *_totals(report.totals, report.topic)])


def _places(report: StatusReport) -> Iterator[str]:
    ours, database = report.groups.ours, report.database
    members = f", {counted(len(ours.members), 'member')}, {ours.state}" if ours else ""
    yield wrap(f"topic {report.topic} at {report.brokers}")
    yield wrap(f"group {report.groups.group_id}{members}")
    yield wrap(f"database {database.name} at {database.host}:{database.port} as {database.user}")


def _table(report: StatusReport) -> str:
    rows = [_row(partition, report) for partition in report.partitions]
    if len(rows) > 1 and (lag := total_lag(report.partitions)) is not None:
        rows.append(["all", "", "", f"{lag:,}", "", "", ""])
    return table(["partition", "position", "end", "lag", "behind", "moved", "owner"], rows, right=_NUMBERS)


def _row(partition: Partition, report: StatusReport) -> list[str]:
    return [
        str(partition.partition),
        *map(_number, (partition.position, partition.end, partition.lag_records)),
        _behind(partition),
        ago(partition.moved_at, report.at),
        _owner(partition, report),
    ]


def _attention(report: StatusReport) -> Iterator[str]:
    """Sentences about partitions, groups and the topic that an operator should know."""
    for partition in report.partitions:
        if partition.lost_records:
            yield (
                f"partition {partition.partition}: {counted(partition.lost_records, 'record')} deleted from the topic "
                "before they were projected; `projector run` stops there and prints the remedy"
            )
        elif partition.gap:
            yield f"{partition.gap}; `projector run` stops there and prints the remedy"
        if partition.open_transaction:
            yield f"{partition.open_transaction}; the high watermark is {partition.high_watermark}"
    yield from report.notes
    if is_compacted(report.cleanup_policy):
        yield f"cleanup.policy={report.cleanup_policy}: {INCOMPLETE}"


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


def _totals(totals: Totals, topic: str) -> Iterator[str]:
    counts = {str(status): count for status, count in totals.delegations.items()}
    others = totals.dead_letters - totals.dead_letters_of_topic
    width = max(map(len, [*counts, "dead letters"]))
    yield f"{'delegations':{width}}  {sum(counts.values()):12,}"
    for name, count in counts.items():
        yield f"  {name:{width - 2}}  {count:12,}"
    yield f"{'parked':{width}}  {totals.parked:12,}"
    letters = f"{'dead letters':{width}}  {totals.dead_letters_of_topic:12,}"
    yield paint(letters, "note") if totals.dead_letters_of_topic else letters
    if others:
        yield wrap(f"and {counted(others, 'dead letter')} of topics other than {topic}")
