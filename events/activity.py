"""An activity row as it stands in an event: the columns that a rule uses, and nothing of the others.

The models choose what is read, at a third of the price of reading all; what a column may hold is checked by the rule
that uses it (CONTRACT §3: only what a rule uses is validated), so every leaf is an `object` here.
"""

from typing import Annotated, TypeAlias

from pydantic import Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from events import strict_json

LEFT_OUT = "__debezium_unavailable_value"
"""What Debezium writes for a large column that an update did not change."""


class Body(TypedDict, total=False):
    """The keys of `request_body` and `response_body` that a rule uses."""

    delegation_id: object
    task: object
    deadline: object
    text: object
    error: object


# The usual kinds first: each one tried in vain costs a third of a microsecond.
_BodyColumn: TypeAlias = Annotated[None | str | Body | object, Field(union_mode="left_to_right")]  # noqa: RUF036 - in order of trial

Row = TypedDict(
    "Row",
    {
        "activity_type": object,
        "id": object,
        "workspace_id": object,
        "source_id": object,
        "target_id": object,
        "method": object,
        "status": object,
        "request_body": _BodyColumn,
        "response_body": _BodyColumn,
        "error_detail": object,
        "idempotency_key": object,
        "created_at": object,
        # What ExtractNewRecordState adds to an unwrapped change event.
        "__deleted": object,
        "__op": object,
        "__source_ts_ms": object,
    },
    total=False,
)

_BODY = TypeAdapter[Body](Body)


def read_body(column: object, field: str) -> Body:
    """The body in a column: an object, or a text of JSON as a change feed writes it; JSON of another kind is empty.

    Raises Unreadable where a text is not JSON. A body that was left out is the caller's business.
    """
    if isinstance(column, str):
        column = _parse(column, field)
    return column if isinstance(column, dict) else {}  # type: ignore[return-value]  # narrowed to the model's keys


def _parse(text: str, field: str) -> object:
    if "NaN" not in text and "Infinity" not in text:  # the fast parser would take them
        try:
            return _BODY.validate_json(text)
        except (ValidationError, UnicodeEncodeError):
            pass
    return strict_json.loads(text, field)
