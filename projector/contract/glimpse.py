"""Recognise unrelated records without parsing them whole: half of the traffic, in any envelope of JSON objects.

The types below name only the markers of events/README.md, section 1, in their ordinary types. Anything else raises, and
`open_value` decides. It also decides whatever this module does not claim.

msgspec checks all of JSON in the fields that it skips, NaN and bad numbers too, apart from two things: that texts are
UTF-8, and how deep values are nested. `is_sound` checks those. Of equal keys, the last one counts, as everywhere.
"""

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType, field

from projector.contract import strict_json, wrappings
from projector.contract.envelope import TABLE

_HEAD_BYTES = 256
"""The activity type of most rows is within these first bytes."""
_DELEGATION = "delegation"
_DELEGATION_TEXT = b'"delegation"'
SCHEMA = b'{"schema":'
"""How a change event with its schema begins. The row is far behind."""


class _Row(Struct, gc=False):
    activity_type: str | UnsetType = UNSET


class _Source(Struct, gc=False):
    table: str | None = None


class _Value(Struct, gc=False):
    """The markers of a value. A bare row may have columns with these names: a text there is no envelope."""

    activity_type: str | UnsetType = UNSET
    deleted: str | bool | None = field(default=None, name="__deleted")
    op: str | None = None
    after: _Row | str | None = None
    source: _Source | str | None = None
    specversion: str | None = None
    data: _Row | str | None = None


class _WithSchema(_Value, gc=False):
    schema: Raw | UnsetType = UNSET
    payload: _Value | str | None = None


_decode = msgspec.json.Decoder(_WithSchema).decode


def is_unrelated(value: bytes) -> bool:
    """Whether a value is certainly unrelated. False means "not certain": `open_value` decides then."""
    if value.find(_DELEGATION_TEXT, 0, len(value) if value.startswith(SCHEMA) else _HEAD_BYTES) >= 0:
        return False
    if value.startswith(b"\0") and wrappings.has_head(value):
        value = value[wrappings.HEAD_BYTES :]
    try:
        seen = _decode(value)
    except strict_json.REFUSALS:
        return False
    if seen.schema is not UNSET and _has_no_marker(seen):
        return type(seen.payload) is _Value and _is_other_activity(seen.payload) and strict_json.is_sound(value)
    return _is_other_activity(seen) and strict_json.is_sound(value)


def _has_no_marker(seen: _Value) -> bool:
    return seen.activity_type is UNSET and seen.op is None and seen.specversion is None


def _is_other_activity(seen: _Value) -> bool:
    if seen.activity_type is not UNSET:
        return seen.activity_type != _DELEGATION and seen.deleted != "true" and seen.deleted is not True
    if seen.op is not None:
        return seen.op in ("c", "r", "u") and _is_other_change(seen)
    if seen.specversion is not None:
        return type(seen.data) is _Row and seen.data.activity_type not in (UNSET, _DELEGATION)
    return False


def _is_other_change(seen: _Value) -> bool:
    after, source = seen.after, seen.source
    if type(after) is not _Row or type(source) is str:
        return False
    if after.activity_type is not UNSET:
        return after.activity_type != _DELEGATION
    return type(source) is _Source and source.table not in (None, TABLE)
