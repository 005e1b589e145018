"""Take off what is wrapped around JSON: the head of a schema registry, a JSON text, the data of a CloudEvent.

Each wrapping is taken off at most once, in this order (events/README.md, section 1).
"""

import base64
import binascii

from projector.contract import strict_json
from projector.contract.unreadable import Unreadable, quoted

HEAD_BYTES = 5
"""The head of a schema registry: a zero byte, and a schema id of four bytes."""


def has_head(value: bytes) -> bool:
    """Whether the head of a schema registry is in front of an object."""
    return value[:1] == b"\0" and value[HEAD_BYTES : HEAD_BYTES + 1] == b"{"


def parse(value: bytes) -> dict[str, object] | None:
    """The object in a record's value; None for JSON null. Raises Unreadable if it is not JSON, or another type."""
    if value.startswith(b"\0") and has_head(value):
        value = value[HEAD_BYTES:]
    parsed = strict_json.loads(value)
    if isinstance(parsed, dict):
        return parsed
    if isinstance(parsed, str):
        parsed = strict_json.loads(parsed)
    if parsed is None or isinstance(parsed, dict):
        return parsed
    raise Unreadable("a JSON text in a JSON text" if isinstance(parsed, str) else "not a JSON object")


def cloud_event_data(event: dict[str, object]) -> object:
    """The data of a CloudEvent: JSON, a JSON text, or in base64. Raises Unreadable if it is none of them."""
    data = event.get("data")
    if isinstance(data, str):
        return strict_json.loads(data, "data")
    encoded = event.get("data_base64")
    if data is not None or encoded is None:
        return data
    if not isinstance(encoded, str):
        raise Unreadable(f"data_base64 must be a text: found {quoted(encoded)}", "data_base64")
    try:
        return strict_json.loads(base64.b64decode(encoded, validate=True), "data_base64")
    except (binascii.Error, ValueError) as error:
        raise Unreadable(f"data_base64 is not base64: {error}", "data_base64") from None
