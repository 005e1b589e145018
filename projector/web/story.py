"""The story of one delegation: from the topic within a few seconds, else from `activity_logs`, else none."""

import threading
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TypeVar

from projector.contract.unreadable import quoted
from projector.errors import ProjectorError
from projector.explain.report import Explanation, from_rows, from_topic
from projector.explain.scope import ScopeOptions
from projector.explain.timeline import Entry
from projector.kafka.reader import open_topic
from projector.postgres import views_activity
from projector.postgres.views_delegations import DelegationRow
from projector.process.patience import within
from projector.recordings.file import RecordedRecord
from projector.web.detail import Detail, Letter, Step, Story, asked_id, stored
from projector.web.hiding import without_key
from projector.web.parameters import Parameters
from projector.web.reader import Reader

_SEARCH_SECONDS = 3.0
_STOP_SECONDS = 1.0
_TWO = threading.BoundedSemaphore(2)
_TABLE = "activity_logs"
_MAX_VALUE = 16_384
_FIRST, _LATEST = 100, 400
"""Of a delegation with many records, the first 100 and the latest 400 are shown."""

ResultT = TypeVar("ResultT")


class _TimeUp(ProjectorError):
    """The search of the topic takes too long: show what Postgres has."""


def detail(reader: Reader, given: Parameters) -> Detail:
    """Read one delegation, and search its records for a few seconds. Raises BadParameter without an id."""
    delegation_id = asked_id(given)
    found = stored(reader, delegation_id)
    return Detail(
        found.now, delegation_id, found.row, _story(reader, delegation_id, found.row), found.reply, found.parked
    )


def _story(reader: Reader, delegation_id: str, row: DelegationRow | None) -> Story:
    try:
        return _told("topic", _in_time(lambda until: _from_topic(reader, delegation_id, until)))
    except ProjectorError as error:
        reason = str(error)
    try:
        if row is not None and (explained := _from_table(reader, row)):
            return _told(_TABLE, explained)._replace(sentence=None, advice=None, agreement=None, reason=reason)
    except ProjectorError as error:
        reason = f"{reason}; {_TABLE}: {error}"
    return Story("row", None, None, None, 0, [], 0, [], reason)


def _from_topic(reader: Reader, delegation_id: str, until: float) -> Explanation:
    def limit(records: int) -> None:
        if time.monotonic() > until:
            raise _TimeUp(f"the search was ended after {records:,} records and {_SEARCH_SECONDS:.0f} s")

    if (topic := reader.topic.snapshot.value) and topic.kafka_error:
        raise _TimeUp(topic.kafka_error)
    with open_topic(reader.settings) as source:
        return from_topic(reader.connection, source, delegation_id, ScopeOptions(), limit)


def _in_time(search: Callable[[float], ResultT]) -> ResultT:
    """Run it in a thread, at most two at once: a Kafka that is frozen keeps its client waiting for half a minute."""
    if not _TWO.acquire(timeout=1.0):
        raise _TimeUp("two other searches of the topic are running: load the page again in a few seconds")

    def work() -> ResultT:
        try:
            return search(time.monotonic() + _SEARCH_SECONDS)
        finally:
            _TWO.release()

    try:
        return within(_SEARCH_SECONDS + _STOP_SECONDS, work)
    except TimeoutError:
        raise _TimeUp(f"Kafka did not answer within {_SEARCH_SECONDS + _STOP_SECONDS:.0f} s") from None


def _from_table(reader: Reader, row: DelegationRow) -> Explanation | None:
    """The rows of the platform's table, folded as records; None if it has none of this delegation."""
    with reader.activity() as conn:
        texts = views_activity.rows_of(conn, row)
    if not texts:
        return None
    rows = [RecordedRecord(_TABLE, 0, number, None, None, text.encode()) for number, text in enumerate(texts)]
    with reader.connection() as conn:
        return from_rows(conn, reader.settings.topic, row.delegation_id, rows, f"table {_TABLE}")


def _told(source: str, explained: Explanation) -> Story:
    verdict, steps = explained.verdict, _steps(explained)
    letters = [
        Letter(each.topic, each.partition, each.offset, each.died_at, each.reason) for each in explained.dead_letters
    ]
    key = explained.repeated and explained.repeated.idempotency_key
    return Story(
        source,
        verdict.sentence if key is None else verdict.sentence.replace(f" {quoted(key)}", ""),
        verdict.advice,
        str(verdict.kind),
        explained.scope.records,
        steps,
        len(explained.entries) - len(steps),
        letters,
        None,
    )


def _steps(explained: Explanation) -> list[Step]:
    """The first and the latest: a delegation that beats every second has tens of thousands of records."""
    entries, count = explained.entries, len(explained.entries)
    shown = (*range(min(_FIRST, count)), *range(max(_FIRST, count - _LATEST), count))
    return [_step(entries, place, explained.values[place]) for place in shown]


def _step(entries: Sequence[Entry], place: int, value: bytes | None) -> Step:
    entry = entries[place]
    changes = [each for each in entry.changes if each.column != "idempotency_key"]
    text = None if value is None else without_key(value[:_MAX_VALUE].decode(errors="replace"))
    at, before = _at(entry), next((at for i in range(place - 1, -1, -1) if (at := _at(entries[i]))), None)
    gap = None if at is None or before is None else (at - before).total_seconds()
    return Step(entry._replace(changes=changes), gap, text)


def _at(entry: Entry) -> datetime | None:
    return entry.recorded_at or entry.happened_at
