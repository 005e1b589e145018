"""Translate a record that is entirely ordinary, faster than the complete translation.

`translate` returns None for a value that is unusual in any way; `projector.contract.translate` decides then. It accepts
bare rows, change events and unwrapped change events of these rows: `delegate` and `delegate_result` with a known
status, and `heartbeat`, with every field that the rule requires. An update may leave out `request_body`.

What makes it right: msgspec read the whole row and its bodies. So no text has a lone surrogate, and a text has no more
bytes than the value. A column of another type than the expected one is refused. Times, uuids, long texts and large
rows are judged by the functions of the complete translation. tests/unit/test_fast_path.py compares both.
"""

from datetime import datetime
from typing import Any, TypeVar

from msgspec import Raw, Struct
from msgspec.json import Decoder

from projector.contract import fields, strict_json
from projector.contract.envelope import LARGE_ROW_BYTES, UNAVAILABLE_VALUE, JsonObject, is_large
from projector.contract.facts import (
    DEFAULT_DEADLINE,
    FAILED,
    TERMINAL,
    Heartbeat,
    NoEvent,
    Reported,
    Requested,
    Status,
    Translation,
    make,
)
from projector.contract.glimpse import SCHEMA
from projector.contract.row_status import STATUS_OF_ROW
from projector.contract.unreadable import Unreadable

_T = TypeVar("_T")
_NOTHING: JsonObject = {}
_OPS = ("c", "r", "u")
_ID_BYTES = fields.ID_BYTES
_is_usual_time = fields.USUAL_TIME.fullmatch
_read_time = datetime.fromisoformat


class _Pair(Struct, forbid_unknown_fields=True, gc=False):
    schema: Raw
    payload: Raw


_decode_pair = Decoder(_Pair).decode


class _Unusual(Exception):
    """The complete translation decides."""


_REFUSALS = (_Unusual, Unreadable, OverflowError, *strict_json.REFUSALS)


def translate(value: bytes) -> Translation | NoEvent | None:
    """What the complete translation makes of the value, or None."""
    try:
        content = _payload(value) if value.startswith(SCHEMA) else _decoded(value)
        row, updated_at = _opened_row(content) if "activity_type" in content else _opened_change(content)
        if row.get("activity_type") != "delegation":
            _text(row.get("activity_type"))
            return NoEvent.UNRELATED
        translation = _translated(row, updated_at, len(value) <= fields.PREVIEW_BYTES)
        if len(value) > LARGE_ROW_BYTES and is_large(row):
            return make(Translation, (*translation[:-1], _uuid(row.get("id"))))
        return translation
    except _REFUSALS:
        return None


def _decoded(text: bytes) -> JsonObject:
    content: Any = strict_json.decode(text)
    if type(content) is not dict or strict_json.may_be_too_deep(text):
        raise _Unusual
    return content


def _payload(value: bytes) -> JsonObject:
    """The payload beside a schema. To make objects of the schema would take longer than everything else."""
    payload: Any = strict_json.decode(_decode_pair(value).payload)
    if type(payload) is not dict or not strict_json.is_sound(value):
        raise _Unusual
    return payload


def _opened_row(row: JsonObject) -> tuple[JsonObject, datetime | None]:
    """The row, and the time of the update if it is one."""
    op, deleted = row.get("__op"), row.get("__deleted")
    if op is None and deleted is None:
        return row, None
    if op not in _OPS or deleted not in (None, "false"):
        raise _Unusual
    return row, _ms(row.get("__source_ts_ms")) if op == "u" else None


def _opened_change(change: JsonObject) -> tuple[JsonObject, datetime | None]:
    """The row, and the time of the update if it is one."""
    op, row, source = change.get("op"), change.get("after"), change.get("source")
    if op not in _OPS or type(row) is not dict or type(source) is not dict:
        raise _Unusual
    return row, _ms(source.get("ts_ms")) if op == "u" else None


def _translated(row: JsonObject, updated_at: datetime | None, is_short: bool) -> Translation:
    method = row.get("method")
    if method == "delegate":
        return _delegate(row, updated_at, is_short)
    at = updated_at or _time(row.get("created_at"))
    if method == "heartbeat":
        delegation_id = _present(_requested_id(row))
        return make(Translation, (delegation_id, None, make(Heartbeat, (delegation_id, at)), None, None, None))
    if method != "delegate_result":
        raise _Unusual
    response = _body(row.get("response_body"))
    delegation_id = _identifier(response.get("delegation_id")) or _present(_requested_id(row))
    report = _report(row, delegation_id, at, response, is_short)
    return make(Translation, (delegation_id, None, report, None, _ended_row_id(row, report), None))


def _requested_id(row: JsonObject) -> str | None:
    return _identifier(_body(row.get("request_body")).get("delegation_id"))


def _delegate(row: JsonObject, updated_at: datetime | None, is_short: bool) -> Translation:
    is_left_out = row.get("request_body") == UNAVAILABLE_VALUE
    body = _NOTHING if is_left_out else _body(row.get("request_body"))
    delegation_id = "" if is_left_out else _present(_identifier(body.get("delegation_id")))
    created_at = _time(row.get("created_at"))
    caller = row.get("source_id")
    deadline = body.get("deadline")
    request = make(
        Requested,
        (
            delegation_id,
            _uuid(row.get("workspace_id") if caller is None else caller),
            _uuid(row.get("target_id")),
            _preview(body.get("task"), is_short) or "",
            _identifier(row.get("idempotency_key")),
            created_at + DEFAULT_DEADLINE if deadline is None else _time(deadline),
            created_at,
        ),
    )
    report = _report(row, delegation_id, updated_at or created_at, None, is_short)
    left_out_row_id = _uuid(row.get("id")) if is_left_out else None
    return make(Translation, (delegation_id, request, report, left_out_row_id, _ended_row_id(row, report), None))


def _ended_row_id(row: JsonObject, report: Reported) -> object:
    return row.get("id") if report.status in TERMINAL else None


def _report(row: JsonObject, delegation_id: str, at: datetime, response: JsonObject | None, is_short: bool) -> Reported:
    """`response` is None if the body was not read yet: few statuses use it."""
    column = row.get("status")
    status = STATUS_OF_ROW.get(column) if type(column) is str else None
    if status is None:
        raise _Unusual
    result = error = None
    if status is Status.COMPLETED:
        body = _body(row.get("response_body")) if response is None else response
        result = _preview(body.get("text"), is_short)
    elif status in FAILED:
        error = _preview(row.get("error_detail"), is_short)
        if error is None:
            body = _body(row.get("response_body")) if response is None else response
            error = _preview(body.get("error"), is_short)
    return make(Reported, (delegation_id, status, at, result, error))


def _body(column: object) -> JsonObject:
    if type(column) is dict:
        return column
    if column is None:
        return _NOTHING
    return _decoded(_text(column).encode())


def _identifier(value: object) -> str | None:
    """A text that needs no check beyond these; None for null and the empty text."""
    if value is None:
        return None
    # The checks of `_text` are written out here and in `_preview`: a call takes longer than they do.
    if type(value) is not str or value == UNAVAILABLE_VALUE:
        raise _Unusual
    if len(value) > _ID_BYTES or not value.isascii() or "\0" in value:
        raise _Unusual
    return value or None


def _preview(value: object, is_short: bool) -> str | None:
    if is_short and type(value) is str and "\0" not in value and value != UNAVAILABLE_VALUE:
        return value or None
    return None if value is None else fields.preview(_text(value), "")


def _text(value: object) -> str:
    if type(value) is str and value != UNAVAILABLE_VALUE:
        return value
    raise _Unusual


def _uuid(value: object) -> str:
    if type(value) is str and (found := fields.lower_uuid(value)) is not None:
        return found
    raise _Unusual


def _time(value: object) -> datetime:
    if type(value) is str and _is_usual_time(value):
        return _read_time(value)
    return _present(fields.time(value, ""))


def _ms(value: object) -> datetime:
    return _present(fields.epoch_ms(value, ""))


def _present(value: _T | None) -> _T:
    if not value:
        raise _Unusual
    return value
