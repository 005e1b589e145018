"""`projector status`: whether the view follows the topic, the lag of each partition, and totals of the view."""

import itertools
import json
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import NamedTuple

from rich.live import Live
from rich.text import Text

from projector import __version__
from projector.cli.exit_codes import DONE, FAILED, LIMIT_EXCEEDED, MISCONFIGURED
from projector.cli.output import as_json, note
from projector.cli.status_output import shown
from projector.cli.status_report import Database, StatusReport
from projector.cli.status_verdict import pace
from projector.cli.terminal import is_terminal
from projector.errors import BrokerUnavailable, TopicMissing
from projector.lag import Partition, TopicState, partitions, topic_state
from projector.membership import Groups, notes, unclaimed
from projector.postgres import queries
from projector.postgres.connection import Connection, mapped_errors, open_view
from projector.postgres.positions import read
from projector.postgres.queries import Totals
from projector.settings import Settings
from projector.texts import counted
from projector.view_state import State, total_lag

_BETWEEN_LOOKS_SECONDS = 1.0
_COUNT_RARELY = 20
"""The rows are counted again only after this multiple of the time that the last count took."""


class Limits(NamedTuple):
    """What a check allows. None: anything."""

    lag: int | None
    dead_letters: int | None


def status(
    settings: Settings, watch: float | None, max_lag: int | None, max_dead_letters: int | None, json_output: bool
) -> int:
    """Query Postgres, then Kafka, and print both. `watch`: the seconds between two looks, None for a single one."""
    limits = Limits(max_lag, max_dead_letters)
    if watch is not None:
        _watch(settings, limits, watch, json_output)
    report = _look(settings, limits, None)
    if report.verdict.state in (State.BEHIND, State.STANDS_STILL):
        time.sleep(_BETWEEN_LOOKS_SECONDS)
        report = _look(settings, limits, report)
    print(json.dumps(_as_json(report)) if json_output else shown(report))
    if report.kafka_error and (json_output or not sys.stdout.isatty()):  # a terminal has the reason in the first line
        note(report.kafka_error)
    if report.kafka_error:
        return MISCONFIGURED if report.is_typo else FAILED
    return LIMIT_EXCEEDED if report.exceeded else DONE


def _watch(settings: Settings, limits: Limits, seconds: float, json_output: bool) -> None:
    """Look until a signal ends it. On a terminal it shows the latest look, elsewhere one after the other."""
    if json_output or not is_terminal():
        for report in _looks(settings, limits, seconds):
            print(json.dumps(_as_json(report)) if json_output else f"{shown(report)}\n", flush=True)
    with Live(auto_refresh=False, vertical_overflow="ellipsis") as live:
        for report in _looks(settings, limits, seconds):
            clock = f"{report.at:%Y-%m-%d %H:%M:%S} UTC, every {seconds:g} s, Ctrl-C ends it"
            live.update(Text.from_ansi(f"{shown(report)}\n\n{clock}"), refresh=True)


def _looks(settings: Settings, limits: Limits, seconds: float) -> Iterator[StatusReport]:
    report = None
    for _ in itertools.count():
        report = _look(settings, limits, report)
        yield report
        time.sleep(seconds)


def _look(settings: Settings, limits: Limits, before: StatusReport | None) -> StatusReport:
    """The state now. With a look `before`, also the pace since then."""
    with open_view(settings) as conn, mapped_errors():
        report = _query(settings, conn, before)
    if before is not None and not report.kafka_error and not before.kafka_error:
        since = (report.at - before.at).total_seconds()
        report = report._replace(pace=pace(before.partitions, report.partitions, since))
    return report._replace(exceeded=tuple(_exceeded(report, limits)))


def _query(settings: Settings, conn: Connection, before: StatusReport | None) -> StatusReport:
    positions = queries.positions(conn, topic=settings.topic)
    known = read(conn, settings.topic)
    totals, count_again_at = _totals(settings, conn, before)
    topics = queries.topics(conn)
    kafka_error, is_typo, topic = None, False, TopicState(None, {}, {}, Groups(settings.group_id))
    try:
        topic = topic_state(settings, known, {each.group_id for each in positions if each.group_id})
    except BrokerUnavailable as error:
        kafka_error = str(error)
        if isinstance(error, TopicMissing) and topics and settings.topic not in topics:
            kafka_error = f"{kafka_error}. This database has positions of {', '.join(topics)}"
            is_typo = True
    groups, now = topic.groups, datetime.now(UTC)
    assigned = groups.assigned(settings.topic)
    return StatusReport(
        now,
        settings.topic,
        Database(conn.info.host, conn.info.port, conn.info.dbname, conn.info.user),
        settings.bootstrap_servers,
        kafka_error,
        is_typo,
        topic.cleanup_policy,
        partitions(positions, topic.backlog, at=now, gaps=topic.gaps, assigned=assigned),
        totals,
        groups,
        notes(settings.topic, positions, groups),
        unclaimed(settings.topic, positions, groups),
        count_again_at,
    )


def _totals(settings: Settings, conn: Connection, before: StatusReport | None) -> tuple[Totals, float]:
    """The totals, and when they are to be counted again: a large table takes seconds."""
    started = time.monotonic()
    if before is not None and started < before.count_again_at:
        return before.totals, before.count_again_at
    found = queries.totals(conn, topic=settings.topic)
    return found, started + _COUNT_RARELY * (time.monotonic() - started)


def _exceeded(report: StatusReport, limits: Limits) -> Iterator[str]:
    """A sentence for each limit that is exceeded. A lag that is unknown exceeds each limit."""
    lag, letters = total_lag(report.partitions), report.totals.dead_letters_of_topic
    if limits.lag is not None and (lag is None or lag > limits.lag):
        found = "the lag is unknown" if lag is None else f"the lag is {counted(lag, 'record')}"
        yield f"{found}, and --max-lag is {limits.lag:,}"
    if limits.dead_letters is not None and letters > limits.dead_letters:
        yield f"the topic has {counted(letters, 'dead letter')}, and --max-dead-letters is {limits.dead_letters:,}"


def _as_json(report: StatusReport) -> dict[str, object]:
    ours, lag = report.groups.ours, total_lag(report.partitions)
    return {
        "time": report.at.isoformat(),
        "version": __version__,
        "verdict": report.verdict.state,
        "sentence": report.verdict.sentence,
        "exceeded": report.exceeded,
        "topic": report.topic,
        "database": report.database._asdict(),
        "brokers": report.brokers,
        "kafka": report.kafka_error or "ok",
        "cleanup_policy": report.cleanup_policy,
        "group_id": report.groups.group_id,
        "group_state": ours.state if ours else None,
        "members": sorted(map(str, ours.members)) if ours else None,
        "notes": report.notes,
        "lag_records": lag,
        "pace": report.pace and {**report.pace._asdict(), "catch_up_seconds": report.pace.catch_up_seconds(lag or 0)},
        "partitions": [_partition_as_json(partition) for partition in report.partitions],
        "delegations": report.totals.delegations,
        "delegations_total": sum(report.totals.delegations.values()),
        "parked": report.totals.parked,
        "dead_letters": report.totals.dead_letters,
        "dead_letters_of_topic": report.totals.dead_letters_of_topic,
    }


def _partition_as_json(partition: Partition) -> dict[str, object]:
    waiting = partition.open_transaction
    if waiting is None:
        return as_json(partition)
    return as_json(partition) | {"open_transaction": as_json(waiting) | {"waiting_offsets": waiting.waiting_offsets}}
