"""What is odd about a record although it can be read: it is probably not what its producer meant."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches

from projector.contract.envelope import Activity, JsonObject, read_body
from projector.contract.facts import FAILED, NoEvent, Reported, Status, Translation
from projector.contract.unreadable import Unreadable, quoted
from projector.explain.search import Meaning

_AHEAD = timedelta(days=1)
"""How far the time of an event may be after that of its record. It covers clocks that differ, and time zones."""


def hints(activity: Activity | None, meaning: Meaning, recorded: datetime | None) -> list[str]:
    """The sentences about one record. None is about what a rule of the contract allows for."""
    if activity is None:
        return []
    if meaning is NoEvent.UNRELATED:
        return list(_type(activity.row))
    if not isinstance(meaning, Translation):
        return []
    return [*_body(activity.row, meaning), *_times(meaning, recorded)]


def _type(row: JsonObject) -> Iterator[str]:
    found = row.get("activity_type")
    if isinstance(found, str) and get_close_matches(found.lower(), ["delegation"], cutoff=0.8):
        yield f'activity_type is {quoted(found)}, so this is no event: only "delegation" is one'


def _body(row: JsonObject, meaning: Translation) -> Iterator[str]:
    """A response with other fields, but without the text that becomes the result, or without the error."""
    report = meaning.report
    if not isinstance(report, Reported) or report.result_preview is not None or report.error_detail is not None:
        return
    field = "text" if report.status is Status.COMPLETED else "error" if report.status in FAILED else None
    column = row.get("response_body")
    if field is None or column is None:
        return
    try:
        body = read_body(column, "response_body")
    except Unreadable:  # also a body that the change feed left out
        return
    others = sorted(body.keys() - {"delegation_id", "text", "error"})
    if others and field not in body:
        has = ", ".join(quoted(each, 30) for each in others[:3])
        what = "result" if field == "text" else "error"
        yield f'response_body has no "{field}", so the {what} stays empty (it has {has})'


def _times(meaning: Translation, recorded: datetime | None) -> Iterator[str]:
    at = meaning.report.at
    if recorded is not None and at - recorded > _AHEAD:
        yield f"its time {at:%Y-%m-%d %H:%M:%S} is in the future: updated_at does not move until then"
