"""The values of columns: times, uuids, identifiers, texts, and bodies as objects or as JSON texts.

events/README.md, section 3, has the rules.
"""

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from projector.contract import fields
from projector.contract.envelope import read_body
from projector.contract.unreadable import Unreadable

UUID = "c1c1c1c1-0000-4000-8000-00000000000A"
NEW_YEAR = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01T00:00:00Z", NEW_YEAR),
        ("2026-01-01T00:00:00.000000Z", NEW_YEAR),
        ("2026-01-01T00:00:00", NEW_YEAR),
        ("2026-01-01", NEW_YEAR),
        ("2026-01-01 00:00:00+00", NEW_YEAR),
        ("2026-01-01T02:00:00+02:00", NEW_YEAR),
        ("2025-12-31T14:30:00-09:30", NEW_YEAR),
        ("20260101T000000Z", NEW_YEAR),
        ("2026-W01-4", NEW_YEAR),
        ("2026-W01-4T00:00Z", NEW_YEAR),
        ("2026-01-01T00:00:00.25Z", NEW_YEAR + timedelta(milliseconds=250)),
        ("2026-01-01T00:00:00,25Z", NEW_YEAR + timedelta(milliseconds=250)),
        ("2026-01-01T00:00:00.1234569Z", NEW_YEAR + timedelta(microseconds=123456)),
        ("2026-01-01T00:00:00+23:59", NEW_YEAR - timedelta(hours=23, minutes=59)),
        ("0001-01-01T00:00:00Z", datetime(1, 1, 1, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ],
)
def test_time_becomes_an_instant_in_utc(text: str, instant: datetime) -> None:
    read = fields.time(text, "created_at")
    assert read == instant
    assert read is not None
    assert read.tzinfo is UTC


@pytest.fixture
def _clock_of_tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_clock_of_tokyo")
@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "2026-01-01 00:00", "2026-01-01"])
def test_time_without_an_offset_is_utc_wherever_the_projector_runs(text: str) -> None:
    assert fields.time(text, "created_at") == NEW_YEAR


@pytest.mark.parametrize(
    "wrong",
    [
        *("infinity", "-infinity", "+12345-06-07T08:09:10.123456Z", "-0043-03-15T12:00:00Z", "0000-01-01T00:00:00Z"),
        *("10000-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:00-00:01"),
        *("", " ", "now", "yesterday", "12:00", "2026", "2026-13-01", "2026-02-30", "2025-W53-1", "2026-001"),
        *("2026-01-01T24:00:01Z", "2026-01-01T25:00Z", "2026-01-01T00:60Z", "2026-01-01T00:00:61Z"),
        *("2026-01-01T00:00:00+24:00", "2026-01-01T00:00:00 UTC", "2026-01-01T00:00:00Z "),
        *("2026-01-01x00:00:00Z", "2026-01-01\ud80000:00:00Z", "2026-01-01t00:00:00Z", "2026-01-01T00:00:00Z\x00"),
        *("2026-01-01T00:00:00 +00:00", "2026-01-01T", "2026-0101", " 2026-01-01T00:00:00Z"),
        *("\ud800", "2026-01-01T00:00:00\x00", "٢٠٢٦-٠١-٠١", "1" * 100_000, "1777975200123"),
        *("2026-01-01T24:00:00Z", "2026-12-31T23:59:60Z", "2026-01-01T10:00:005Z", "2026-01-01T10:00:00.Z"),
        *("2026-01-01T10:00:00+01:60", "20260101T10111Z", "2026-01-01T10:00:-00.123459", "2026-01-01T10:00:00+1"),
        *(10**11 - 1, 10**20, -(10**12), 10**400, 1777975200123.0, 1.5, True, False, 0, [], {}, ["2026-01-01"]),
    ],
)
def test_malformed_time_is_unreadable(wrong: object) -> None:
    with pytest.raises(Unreadable, match=r"^request_body\.deadline must be an ISO 8601 time") as error:
        fields.time(wrong, "request_body.deadline")
    assert error.value.field == "request_body.deadline"


@pytest.mark.parametrize(
    ("number", "instant"),
    [
        (1_777_975_200_123, datetime(2026, 5, 5, 10, 0, 0, 123_000, tzinfo=UTC)),
        (1_777_975_200_123_456, datetime(2026, 5, 5, 10, 0, 0, 123_456, tzinfo=UTC)),
        (1_777_975_200_123_456_789, datetime(2026, 5, 5, 10, 0, 0, 123_456, tzinfo=UTC)),
        (10**11, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (10**14 - 1, datetime(5138, 11, 16, 9, 46, 39, 999_000, tzinfo=UTC)),
        (10**14, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (10**17 - 1, datetime(5138, 11, 16, 9, 46, 39, 999_999, tzinfo=UTC)),
        (10**17, datetime(1973, 3, 3, 9, 46, 40, tzinfo=UTC)),
        (10**20 - 1, datetime(5138, 11, 16, 9, 46, 39, 999_999, tzinfo=UTC)),
    ],
)
def test_size_of_a_number_tells_its_unit(number: int, instant: datetime) -> None:
    assert fields.time(number, "created_at") == instant


@pytest.mark.parametrize(
    ("ms", "instant"),
    [
        (0, datetime(1970, 1, 1, tzinfo=UTC)),
        (-1, datetime(1969, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        (253_402_300_799_999, datetime(9999, 12, 31, 23, 59, 59, 999000, tzinfo=UTC)),
        (-62_135_596_800_000, datetime(1, 1, 1, tzinfo=UTC)),
        (None, None),
    ],
)
def test_milliseconds_become_an_instant_in_utc(ms: int | None, instant: datetime | None) -> None:
    assert fields.epoch_ms(ms, "source.ts_ms") == instant


@pytest.mark.parametrize(
    "wrong",
    [*(253_402_300_800_000, -62_135_596_800_001, 10**17, -(10**400), 1.0, float("inf")), *("0", True, [], {}, "")],
)
def test_malformed_milliseconds_are_unreadable(wrong: object) -> None:
    with pytest.raises(Unreadable, match=r"^source.ts_ms must be"):
        fields.epoch_ms(wrong, "source.ts_ms")


@pytest.mark.parametrize("timestamp", [None, -1, -(10**20), 253_402_300_800_000, 10**400])
def test_record_timestamp_out_of_range_is_none(timestamp: int | None) -> None:
    assert fields.recorded_at(timestamp) is None


def test_uuid_becomes_lower_case() -> None:
    assert fields.uuid(UUID, "id") == UUID.lower()
    assert fields.uuid(None, "id") is None


@pytest.mark.parametrize(
    "wrong",
    [
        *("", "x", "{" + UUID + "}", f"urn:uuid:{UUID}", UUID.replace("-", ""), UUID + "\n", " " + UUID, UUID[:-1]),
        *(UUID[:-1] + "\u0661", UUID.replace("-", "_"), UUID[:-1] + "g", "\ud800", UUID * 2, 7, True, [UUID], {}),
    ],
)
def test_malformed_uuid_is_unreadable(wrong: object) -> None:
    with pytest.raises(Unreadable, match=r"^target_id must be a uuid: found "):
        fields.uuid(wrong, "target_id")


@pytest.mark.parametrize("identifier", ["d" * 512, "é" * 256, "日" * 170 + "ab", "\ufffd" * 170 + "ab", "𝄞" * 128])
def test_identifier_of_512_bytes_is_accepted(identifier: str) -> None:
    read = fields.identifier(identifier, "idempotency_key")
    assert read is not None
    assert len(read.encode()) in (510, 512)


@pytest.mark.parametrize("long", ["d" * 513, "é" * 257, "日" * 171, "d" * 100_000])
def test_identifier_of_513_bytes_is_unreadable(long: str) -> None:
    with pytest.raises(Unreadable, match=r"^idempotency_key has 51[34] bytes: the maximum is 512|has 100000 bytes"):
        fields.identifier(long, "idempotency_key")


@pytest.mark.parametrize("identifier", ["\x00", "d\x00", "\ud800", "d\udfffd", "é" * 200 + "\x00"])
def test_identifier_that_postgres_cannot_hold_is_unreadable(identifier: str) -> None:
    with pytest.raises(Unreadable, match=r"^idempotency_key must not contain U\+0000 or a lone surrogate: found "):
        fields.identifier(identifier, "idempotency_key")


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        *[("plain", "plain"), ("a\x00b", "a\ufffdb"), ("\ud83d", "\ufffd"), ("\udc00\ud800", "\ufffd\ufffd")],
        *[("🙂 \u202e \x01\x7f", "🙂 \u202e \x01\x7f"), ("\uffff\ufffe", "\uffff\ufffe"), ("", None), (None, None)],
    ],
)
def test_text_becomes_storable(text: str | None, stored: str | None) -> None:
    assert fields.text(text, "response_body.text") == stored


@pytest.mark.parametrize("wrong", [0, 1, False, True, 1.5, [], {}, ["a"], {"text": "a"}])
def test_text_of_another_type_is_unreadable(wrong: object) -> None:
    with pytest.raises(Unreadable, match=r"^error_detail must be a text: found "):
        fields.text(wrong, "error_detail")


@pytest.mark.parametrize("character", ["a", "é", "日", "𝄞"])
@pytest.mark.parametrize("shift", range(4))
def test_preview_ends_between_characters_within_4096_bytes(character: str, shift: int) -> None:
    text = "x" * shift + character * 4097
    preview = fields.preview(text, "task") or ""
    assert text.startswith(preview)
    assert 4096 - len(character.encode()) < len(preview.encode()) <= 4096


def test_short_preview_is_the_whole_text() -> None:
    for text in ("x" * 1024, "x" * 4096, "é" * 2048, "𝄞" * 1024):
        assert fields.preview(text, "task") == text


@pytest.mark.parametrize("cut", [0, 1364, 1365, 4095, 4096, 9000])
@pytest.mark.parametrize("odd", ["\0", "\ud83d", "\udead\0"])
def test_preview_is_cut_from_the_storable_text(odd: str, cut: int) -> None:
    text = "x" * cut + odd * 3000
    whole = fields.storable(text)
    assert fields.preview(text, "task") == whole.encode()[:4096].decode(errors="ignore")


def test_preview_of_an_empty_text_is_none() -> None:
    assert fields.preview(None, "task") is None
    assert fields.preview("", "task") is None
    with pytest.raises(Unreadable, match=r"^task must be a text: found 1"):
        fields.preview(1, "task")


@pytest.mark.parametrize("column", ["null", '"{}"', "[]", "17", "true", " [1] ", [], 17, True, 1.5, "\t{}\n"])
def test_body_that_is_no_object_is_empty(column: object) -> None:
    assert read_body(column, "request_body") == {}


@pytest.mark.parametrize("text", ["", " ", "{", "{'task': 1}", "1],[2", '{"a":1},{"b":2}', "NaN", '{"a": Infinity}'])
def test_body_as_text_that_is_not_json_is_unreadable(text: str) -> None:
    with pytest.raises(Unreadable) as error:
        read_body(text, "response_body")
    assert error.value.field == "response_body"


@pytest.mark.parametrize("note", ["", "NaN", "\ud800", "\\ud800", "é\x01"])
def test_body_as_json_text_is_read_by_both_parsers(note: str) -> None:
    for ascii_only in (True, False):
        body = read_body(json.dumps({"delegation_id": "d-1", "note": note}, ensure_ascii=ascii_only), "request_body")
        assert body["delegation_id"] == "d-1"
