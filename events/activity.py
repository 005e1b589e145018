"""An activity row as it stands in an event.

The models say what a column is called, not what it holds: that is checked by the rule that uses it (CONTRACT §3: only
what a rule uses is validated), so every leaf is an `object` here, and columns without a rule are not named.
"""

from typing import TypedDict, cast

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
        "request_body": object,
        "response_body": object,
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


def read_body(column: object, field: str) -> Body:
    """The body in a column: an object, or a text of JSON as a change feed writes it; JSON of another kind is empty.

    Raises Unreadable where a text is not JSON. A body that was left out is the caller's business.
    """
    if isinstance(column, str):
        column = strict_json.loads(column, field)
    return cast(Body, column) if isinstance(column, dict) else {}
