"""`projector record`: writes the topic into a recording."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from projector.cli.exit_codes import DONE, NOTHING_FOUND
from projector.cli.open_transactions import note_open_transactions
from projector.cli.output import note, progress_bar
from projector.cli.values import whole_number
from projector.contract import fields
from projector.contract.unreadable import Unreadable
from projector.domain.positions import LogRange
from projector.errors import Misconfigured
from projector.kafka.reader import open_topic
from projector.process import streams
from projector.recordings.file import dumps
from projector.recordings.record import Boundary, Recorder, Selection, ranges, require_writable
from projector.recordings.redaction import Redaction
from projector.settings import Settings
from projector.texts import counted, escape, named

STDOUT = Path("-")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def record(
    settings: Settings,
    out: Path,
    force: bool,
    from_offset: Sequence[str],
    from_time: datetime | None,
    to_offset: Sequence[str],
    to_time: datetime | None,
    caller: str | None,
    delegation: Sequence[str],
    redact: bool,
    json_output: bool,
) -> int:
    """Write the recording and print a summary."""
    started = time.monotonic()
    first, end = _bound("from", from_offset, from_time), _bound("to", to_offset, to_time)
    if first.time is not None and end.time is not None and first.time > end.time:
        raise Misconfigured("--from-time is after --to-time: exchange them")
    selection = _selection(caller, delegation)
    if out != STDOUT:
        require_writable(out, replace=force)
    elif json_output:
        raise click.UsageError("--json is not allowed with --out -")
    with open_topic(settings) as topic:
        log_ranges = ranges(topic, first, end)
        recorder = Recorder(topic, selection, _redaction(settings) if redact else None)
        written = out if _write(recorder, log_ranges, out, replace=force) else None
    if not end.offsets and end.time is None:
        note_open_transactions(settings, "not recorded")
    if json_output:
        file = {"out": written and str(written), "redacted": redact}
        summary = {"topic": settings.topic, **file, **_counts(log_ranges, recorder)}
        print(json.dumps({**summary, "seconds": round(time.monotonic() - started, 3)}))
    elif written:
        (note if out == STDOUT else print)(_sentence(settings.topic, out, recorder))
    if written:
        if selection.missing:
            missing = ", ".join(map(named, sorted(selection.missing)))
            note(f"no record of delegation {escape(missing)} is in {_named(out)}")
        return NOTHING_FOUND if selection.missing else DONE
    read = counted(recorder.read, "record")
    reason = f"it has {read} in this range, and none is selected" if recorder.read else "it has no record in this range"
    note(f"nothing to record of {settings.topic}: {reason}" + ("" if out == STDOUT else f". {out} was not written"))
    return NOTHING_FOUND


def _write(recorder: Recorder, log_ranges: Mapping[int, LogRange], out: Path, *, replace: bool) -> bool:
    with progress_bar() as progress:
        total = sum(log_range.end - log_range.beginning for log_range in log_ranges.values())
        task = progress.add_task("recording", total=total, records=0)

        def advance(offsets: int) -> None:
            progress.update(task, advance=offsets, records=recorder.read)

        if out == STDOUT:
            return streams.write_all(map(dumps, recorder.lines(log_ranges, advance)))
        return recorder.record(log_ranges, out, replace=replace, progress=advance)


def _redaction(settings: Settings) -> Redaction:
    """Redaction under the key of the settings, or under a random one. A known key allows tests of likely texts."""
    key = settings.redact_key
    return Redaction(secrets.token_bytes(32) if key is None else key.get_secret_value().encode())


def _bound(side: str, offsets: Sequence[str], at: datetime | None) -> Boundary:
    if at is None:
        return Boundary(_parse_offsets(f"--{side}-offset", offsets))
    if offsets:
        raise click.UsageError(f"--{side}-time is not allowed with --{side}-offset")
    return Boundary(time=_milliseconds(at))


def _parse_offsets(flag: str, places: Sequence[str]) -> dict[int | None, int]:
    """Partition → offset. The key None means all other partitions."""
    found: dict[int | None, int] = {}
    for place in places:
        partition, colon, offset = place.rpartition(":")
        key, value = whole_number(partition), whole_number(offset)
        if value is None or (colon and key is None):
            raise Misconfigured(f"{flag} must be OFFSET or PARTITION:OFFSET, as 1041 or 3:1041: found {place!r}")
        if found.setdefault(key, value) != value:
            raise Misconfigured(f"{flag} names two offsets of one partition: leave one of them out")
    return found


def _milliseconds(instant: datetime) -> int:
    """A time in ms since 1970, rounded up: records with this timestamp or a later one are at or after the time."""
    return max(0, -((_EPOCH - instant) // timedelta(milliseconds=1)))


def _selection(caller: str | None, delegations: Sequence[str]) -> Selection:
    ids = frozenset(_checked(fields.identifier, delegation, "--delegation") for delegation in delegations)
    return Selection(None if caller is None else _checked(fields.uuid, caller, "--caller"), ids)


def _checked(rule: Any, value: str, flag: str) -> Any:
    """The value, if the rule for the same field of an event accepts it."""
    try:
        return fields.required(rule(value, flag), flag)
    except Unreadable as error:
        raise Misconfigured(error.reason) from None


def _sentence(topic: str, out: Path, recorder: Recorder) -> str:
    counts = ", ".join(f"{count:,} of partition {partition}" for partition, count in sorted(recorder.records.items()))
    read = counted(recorder.read, "record")
    return f"recorded {recorder.records.total():,} of {read} of {topic} in {_named(out)}: {counts}"


def _named(out: Path) -> str:
    return "standard output" if out == STDOUT else str(out)


def _counts(log_ranges: Mapping[int, LogRange], recorder: Recorder) -> dict[str, object]:
    partitions = [
        {
            "partition": partition,
            "from": log_range.beginning,
            "to": log_range.end,
            "records": recorder.records[partition],
        }
        for partition, log_range in log_ranges.items()
    ]
    return {"read": recorder.read, "records": recorder.records.total(), "partitions": partitions}
