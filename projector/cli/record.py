"""`projector record`: the topic into a recording."""

import argparse
import json
import secrets
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from projector.cli.output import progress_bar
from projector.contract import fields
from projector.contract.unreadable import Unreadable
from projector.domain.positions import LogRange
from projector.errors import Misconfigured
from projector.kafka.reader import open_topic
from projector.recordings.record import Boundary, Recorder, Selection, ranges, require_writable
from projector.recordings.redaction import Redaction
from projector.settings import Settings

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "record",
        parents=[settings],
        help="write the topic, or a part of it, into a recording (.jsonl, .gz, .zst)",
        description="Reads the topic from its beginning to its end as it is now, and writes the records as they are, "
        "one a line, for `projector replay`. Joins no group, moves no position, needs no database.",
    )
    parser.add_argument("--out", metavar="FILE", type=Path, required=True, help="ends in .jsonl, .gz or .zst")
    parser.add_argument("--force", action="store_true", help="replace FILE where it is there already")
    place = {"action": "append", "metavar": "[PARTITION:]OFFSET", "default": []}
    first, end = parser.add_mutually_exclusive_group(), parser.add_mutually_exclusive_group()
    first.add_argument("--from-offset", **place, help="begin at it; once for each partition, and then no other is read")
    first.add_argument("--from-time", metavar="TIME", help="begin at the first record of this time, ISO 8601")
    end.add_argument("--to-offset", **place, help="end before it")
    end.add_argument("--to-time", metavar="TIME", help="end before the first record of this time or later")
    parser.add_argument("--caller", metavar="UUID", help="only what says something of this caller's delegations")
    parser.add_argument(
        "--delegation", metavar="ID", action="append", default=[], help="only what is about it; or more"
    )
    parser.add_argument("--redact", action="store_true", help="put pseudonyms of the same length for all free texts")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON instead")
    parser.set_defaults(command=record)


def record(settings: Settings, arguments: argparse.Namespace) -> int:
    """Write the recording and print what is in it."""
    began = time.monotonic()
    first, end = _bound("from", arguments), _bound("to", arguments)
    if first.time is not None and end.time is not None and first.time > end.time:
        raise Misconfigured("--from-time is after --to-time: exchange them")
    selection = _selection(arguments)
    require_writable(arguments.out, replace=arguments.force)
    with open_topic(settings) as topic, progress_bar() as progress:
        within = ranges(topic, first, end)
        recorder = Recorder(topic, selection, _redaction(settings) if arguments.redact else None)
        task = progress.add_task(
            "recording", total=sum(span.end - span.beginning for span in within.values()), records=0
        )
        recorder.record(
            within,
            arguments.out,
            replace=arguments.force,
            progress=lambda offsets: progress.update(task, advance=offsets, records=recorder.read),
        )
    if arguments.json:
        print(json.dumps(_as_json(settings.topic, arguments, within, recorder, round(time.monotonic() - began, 3))))
    else:
        print(_sentence(settings.topic, arguments.out, recorder))
    return 0


def _redaction(settings: Settings) -> Redaction:
    """Without a key of one's own, one for this run alone: a known one would let anybody try out likely texts."""
    key = settings.redact_key
    return Redaction(secrets.token_bytes(32) if key is None else key.get_secret_value().encode())


def _bound(side: str, arguments: argparse.Namespace) -> Boundary:
    at = getattr(arguments, f"{side}_time")
    if at is None:
        return Boundary(_offsets(f"--{side}-offset", getattr(arguments, f"{side}_offset")))
    return Boundary(time=_milliseconds(f"--{side}-time", at))


def _offsets(flag: str, places: Sequence[str]) -> dict[int | None, int]:
    found: dict[int | None, int] = {}
    for place in places:
        partition, colon, offset = place.rpartition(":")
        if not _is_number(offset) or (colon and not _is_number(partition)):
            raise Misconfigured(f"{flag} must be OFFSET or PARTITION:OFFSET, as 1041 or 3:1041: found {place!r}")
        if found.setdefault(int(partition) if colon else None, int(offset)) != int(offset):
            raise Misconfigured(f"{flag} names two offsets of one partition: leave one of them out")
    return found


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) < 19


def _milliseconds(flag: str, at: str) -> int:
    """A time in ms since 1970, rounded up: a record is of this time or later if its timestamp is."""
    instant: datetime = _argument(fields.time, at, flag)
    return max(0, -((_EPOCH - instant) // timedelta(milliseconds=1)))


def _selection(arguments: argparse.Namespace) -> Selection:
    caller = None if arguments.caller is None else _argument(fields.uuid, arguments.caller, "--caller")
    return Selection(
        caller, frozenset(_argument(fields.identifier, each, "--delegation") for each in arguments.delegation)
    )


def _argument(rule: Any, value: str, flag: str) -> Any:
    """A value as the rule of an event's field reads it."""
    try:
        return fields.required(rule(value, flag), flag)
    except Unreadable as error:
        raise Misconfigured(error.reason) from None


def _sentence(topic: str, out: Path, recorder: Recorder) -> str:
    if not recorder.read:
        return f"{topic} holds no record there: {out} is an empty recording"
    of = ", ".join(f"{count:,} of partition {partition}" for partition, count in sorted(recorder.records.items()))
    return f"recorded {recorder.records.total():,} of {recorder.read:,} records of {topic} in {out}" + (
        of and f": {of}"
    )


def _as_json(
    topic: str, arguments: argparse.Namespace, within: dict[int, LogRange], recorder: Recorder, seconds: float
) -> dict[str, object]:
    partitions = [
        {"partition": partition, "from": span.beginning, "to": span.end, "records": recorder.records[partition]}
        for partition, span in within.items()
    ]
    return {
        "topic": topic,
        "out": str(arguments.out),
        "redacted": arguments.redact,
        "read": recorder.read,
        "records": recorder.records.total(),
        "partitions": partitions,
        "seconds": seconds,
    }
