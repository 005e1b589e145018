"""The types of the columns in `models`: each validates strictly, and describes itself in the JSON Schema."""

import re
import uuid
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BeforeValidator,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import CoreSchema, core_schema, to_json

from projector.contract import strict_json
from projector.contract.envelope import UNAVAILABLE_VALUE
from projector.contract.fields import ID_BYTES, storable
from projector.contract.unreadable import Unreadable

_UUID = r"^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
_SECOND, _OFFSET = "[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}", "(Z|[+-][0-9]{2}:[0-9]{2})"
_RFC_3339 = rf"^{_SECOND}(\.[0-9]+)?{_OFFSET}$"
_SIX_DECIMALS = rf"^{_SECOND}\.[0-9]{{6}}{_OFFSET}$"


def _checked_identifier(value: str) -> str:
    if value != storable(value):
        raise ValueError("must not contain U+0000 or a lone surrogate")
    if (size := len(value.encode())) > ID_BYTES:
        raise ValueError(f"has {size} bytes of UTF-8: the maximum is {ID_BYTES}")
    return value


def _complete(value: str) -> str:
    if value == UNAVAILABLE_VALUE:
        raise ValueError("a change feed left out this column")
    return value


def _uuid_text(value: object) -> object:
    return str(value) if isinstance(value, uuid.UUID) else value


def _time_of_text(value: object) -> object:
    """Read a text here: pydantic would also accept digits, as seconds since 1970."""
    if not isinstance(value, str):
        return value
    if not re.fullmatch(_RFC_3339[1:-1], value):
        raise ValueError("must be an RFC 3339 time with an offset, like 2026-01-05T10:00:00.000000Z")
    return datetime.fromisoformat(value)


def _with_six_decimals(value: object) -> object:
    if isinstance(value, str) and not re.fullmatch(_SIX_DECIMALS[1:-1], value):
        raise ValueError("must have exactly six decimals and an offset, like 2026-01-05T10:00:00.000000Z")
    return value


def _six_decimals_of(value: datetime) -> str:
    return value.replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _in_utc(value: datetime) -> datetime:
    """Without this, pydantic would dump an offset of seconds without the seconds."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("must be within the years 1 to 9999 in UTC") from None


def _checked_json(value: JsonValue) -> JsonValue:
    to_json(value)  # raises a ValueError for a lone surrogate, which has no UTF-8 form
    return value


def _parsed(value: object) -> object:
    try:
        return strict_json.loads(value) if isinstance(value, str) else value
    except Unreadable as error:
        raise ValueError(error.reason) from None


class OrJsonText:
    """An annotation: the body may also be a JSON text, as a change feed writes a jsonb column. It is dumped as JSON."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_before_validator_function(_parsed, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"anyOf": [handler(schema), {"type": "string", "contentMediaType": "application/json"}]}


Identifier: TypeAlias = Annotated[str, Field(min_length=1, max_length=ID_BYTES), AfterValidator(_checked_identifier)]
"""A text of 1 to 512 bytes of UTF-8, without U+0000 and lone surrogates. The schema limits its characters only."""

ColumnIdentifier: TypeAlias = Annotated[Identifier, AfterValidator(_complete)]
"""An `Identifier` in a column of its own, where the reader takes Debezium's unavailable value for an absent text."""

Uuid: TypeAlias = Annotated[str, Field(pattern=_UUID), BeforeValidator(_uuid_text)]
"""A uuid as text of 36 characters, or a `uuid.UUID`."""

Time: TypeAlias = Annotated[
    AwareDatetime,
    BeforeValidator(_time_of_text),
    AfterValidator(_in_utc),
    Field(json_schema_extra={"pattern": _RFC_3339}),
]
"""An aware datetime, or an RFC 3339 text with an offset; kept and dumped in UTC, with up to six decimals."""

TimeOfEvidence: TypeAlias = Annotated[
    Time,
    BeforeValidator(_with_six_decimals),
    PlainSerializer(_six_decimals_of, when_used="json"),
    Field(json_schema_extra={"pattern": _SIX_DECIMALS}),
]
"""A `Time` whose text has exactly six decimals. A time that was cut is older than the sign of life it stands for."""

Text: TypeAlias = Annotated[str, AfterValidator(storable)]
"""Any text. U+0000 and lone surrogates become U+FFFD, as the reader replaces them."""

ColumnText: TypeAlias = Annotated[Text, AfterValidator(_complete)]
"""A `Text` in a column of its own, where the reader takes Debezium's unavailable value for an absent text."""

Json: TypeAlias = Annotated[JsonValue, AfterValidator(_checked_json), WithJsonSchema({})]
"""Any JSON value without lone surrogates."""

RowStatus: TypeAlias = Literal[
    "pending",
    "queued",
    "dispatched",
    "received",
    "delivered",
    "in_progress",
    "completed",
    "failed",
    "error",
    "timeout",
    "stuck",
]
"""The statuses of activity rows. events/README.md, section 3, maps them to statuses of delegations."""
