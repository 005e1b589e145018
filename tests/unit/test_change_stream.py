"""Messages of pgoutput as changes, and changes as the values of records."""

import json
import struct
from typing import Any

import pytest

from testbed.change_stream import Form, iso_time, to_record
from testbed.oracle.reading import Event, Reader
from testbed.workload.feeds import UNAVAILABLE_VALUE
from testbed.workload.pgoutput import RowChange, Transaction, transactions
from testbed.workload.table import COLUMNS

RELATION = b"R" + struct.pack(">I", 7) + b"public\0activity_logs\0d" + struct.pack(">H", 2)
RELATION += b"\x01id\0" + struct.pack(">Ii", 2950, -1) + b"\0status\0" + struct.pack(">Ii", 25, -1)
BEGIN = b"B" + struct.pack(">qqI", 90, 1_000_000, 5)
COMMIT = b"C" + struct.pack(">bqqq", 0, 90, 95, 2_000_000)
AT = 946_684_802_000


def cells(*values: bytes | str | None) -> bytes:
    """A tuple: a text, a null, or b"u" for a value that the plugin left out."""
    parts = [b"n" if each is None else each if isinstance(each, bytes) else _text(each) for each in values]
    return struct.pack(">H", len(values)) + b"".join(parts)


def _text(value: str) -> bytes:
    return b"t" + struct.pack(">I", len(value.encode())) + value.encode()


def change(kind: bytes, *parts: bytes) -> bytes:
    return kind + struct.pack(">I", 7) + b"".join(parts)


def test_transaction_has_its_changes_and_the_time_of_its_commit() -> None:
    insert = change(b"I", b"N", cells("a", "päd"))
    update = change(b"U", b"N", cells("a", None))
    delete = change(b"D", b"K", cells("a", None))
    [found] = transactions([BEGIN, RELATION, insert, update, delete, COMMIT])
    changes = [("c", "päd"), ("u", None), ("d", None)]
    assert found == Transaction(95, AT, [RowChange(op, "activity_logs", {"id": "a", "status": s}) for op, s in changes])


def test_value_that_was_left_out_is_marked_or_taken_from_the_row_before() -> None:
    default = change(b"U", b"N", cells("a", b"u"))
    full = change(b"U", b"O", cells("a", "long"), b"N", cells("b", b"u"))
    [found] = transactions([BEGIN, RELATION, default, full, COMMIT])
    assert [each.row["status"] for each in found.changes] == [UNAVAILABLE_VALUE, "long"]


ROW: dict[str, Any] = dict.fromkeys(COLUMNS) | {
    "id": "00000000-0000-4000-8000-000000000001",
    "workspace_id": "c1c1c1c1-0000-4000-8000-000000000001",
    "target_id": "c2c2c2c2-0000-4000-8000-000000000002",
    "activity_type": "delegation",
    "method": "delegate",
    "status": "completed",
    "request_body": '{"task": "count", "delegation_id": "d-1"}',
    "response_body": '{"text": "three"}',
    "duration_ms": "12",
    "created_at": "2025-05-05 12:00:00.5+02",
    "written_snapshot": "5:5:",
}


@pytest.mark.parametrize("form", ["debezium", "bare"])
def test_oracle_reads_the_record_of_a_change(form: Form) -> None:
    record = to_record(RowChange("u", "activity_logs", ROW), AT, form)
    assert record is not None
    assert (record.key, record.timestamp) == (ROW["workspace_id"].encode(), AT)
    event = Reader().read(record.value, record.timestamp)
    assert isinstance(event, Event)
    assert event.request is not None
    assert (event.delegation_id, event.status, event.text, event.request.task) == ("d-1", "completed", "three", "count")
    assert event.request.created_at.isoformat() == "2025-05-05T10:00:00.500000+00:00"
    assert (int(event.at.timestamp() * 1000) == AT) == (form == "debezium"), "a bare row has the time of its request"
    assert isinstance(json.loads(record.value or b"").get("request_body", {}), dict), "a bare row has objects"
    assert b"written_snapshot" not in (record.value or b"")


def test_bodies_of_a_change_event_are_texts_and_may_be_left_out() -> None:
    record = to_record(RowChange("u", "activity_logs", ROW | {"request_body": UNAVAILABLE_VALUE}), AT, "debezium")
    assert record is not None
    after = json.loads(record.value or b"")["after"]
    assert (after["request_body"], after["response_body"]) == (UNAVAILABLE_VALUE, '{"text": "three"}')
    assert after["duration_ms"] == 12


def test_delete_means_nothing_to_a_reader() -> None:
    delete = RowChange("d", "activity_logs", {"id": ROW["id"]})
    record = to_record(delete, AT, "debezium")
    assert record is not None
    assert getattr(Reader().read(record.value, AT), "outcome", None) == "tombstone"
    assert to_record(delete, AT, "bare") is None


def test_times_are_utc_with_six_decimals() -> None:
    assert iso_time("2025-05-05 10:00:00+00") == "2025-05-05T10:00:00.000000Z"
