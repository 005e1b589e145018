"""The search: which records belong to a delegation, in all spellings of its id and with unavailable bodies."""

import json
from base64 import b64encode
from typing import Any

import pytest
from builders import record
from rows import CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated

from projector.contract.facts import Reported, Translation
from projector.domain.fold import DeadLetter
from projector.domain.outcomes import Outcome
from projector.explain.search import Search, spellings

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
LONG = "x" * 2000


def scan(search: Search, *values: object) -> list[tuple[int, object]]:
    """The offset and the meaning of each match; for a translation, the id of the delegation."""
    search.scan([record(value, offset) for offset, value in enumerate(values)])
    return [
        (match.record.offset, match.meaning.delegation_id if isinstance(match.meaning, Translation) else match.meaning)
        for match in search.matches
    ]


def request(delegation_id: str, **columns: Any) -> dict[str, Any]:
    return delegate(0, request_body={"delegation_id": delegation_id, "task": "t"}, **columns)


def test_records_of_other_delegations_are_skipped() -> None:
    search = Search("d-1")
    assert scan(
        search, request("d-1"), request("d-10"), request("d-2"), heartbeat(1), answer(2, "failed", of="d-10")
    ) == [
        (0, "d-1"),
        (3, "d-1"),
    ]
    assert search.records == 5


@pytest.mark.parametrize("delegation_id", ["ärger", "a/b", 'say "hi"', "back\\slash", "\t", "😀", "d-1"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_id_is_found_in_each_json_spelling(delegation_id: str, ascii_only: bool) -> None:
    plain = json.dumps(request(delegation_id), ensure_ascii=ascii_only).encode()
    as_text = request(delegation_id) | {"request_body": json.dumps({"delegation_id": delegation_id, "task": "t"})}
    nested = json.dumps(as_text, ensure_ascii=ascii_only).encode()
    slashed = plain.replace(b"/", rb"\/")
    assert scan(Search(delegation_id), plain, nested, slashed) == [(n, delegation_id) for n in range(3)]


def test_needlessly_escaped_id_is_found() -> None:
    escaped = json.dumps(request("d-1")).replace("d-1", r"\u0064-1").encode()
    assert scan(Search("d-1"), escaped) == [(0, "d-1")]


@pytest.mark.parametrize("letter", ["-", "?", "A", "_", "a", "~"])
def test_each_printable_character_can_be_escaped(letter: str) -> None:
    escaped = json.dumps(request(letter * 3)).replace(letter * 3, f"\\u{ord(letter):04X}" * 3).encode()
    assert scan(Search(letter * 3), escaped) == [(0, letter * 3)]


def test_id_that_postgres_cannot_store_is_no_other_id() -> None:
    assert scan(Search("d\ufffd"), request("d\0"), request("d\ud800"), request("d"), request("d\ufffd")) == [
        (3, "d\ufffd")
    ]


@pytest.mark.parametrize("word", ["42", "a", "none"])
def test_common_word_counts_as_a_whole_text_only(word: str) -> None:
    unrelated = {"activity_type": "other", "created_at": "2025-05-05T10:42:00Z", "summary": f"a {word} in none"}
    named = {"activity_type": "other", "response_body": json.dumps({"delegation_id": word})}
    assert [offset for offset, _ in scan(Search(word), unrelated, named, json.dumps(named))] == [1, 2]
    assert spellings(word) == [f'"{word}"'.encode(), f'\\"{word}\\"'.encode()]


def test_id_is_found_in_base64() -> None:
    event = {"specversion": "1.0", "data_base64": b64encode(json.dumps(request("d-1")).encode()).decode()}
    wrong = event | {"data_base64": b64encode(b'{"half": "d-1"').decode()}
    search = Search("d-1")
    search.scan([record(event, 0), record(wrong, 1), record(event | {"data_base64": "ZA"}, 2)])
    assert [match.record.offset for match in search.matches] == [0, 1]


def test_unavailable_body_is_matched_by_the_row_id() -> None:
    whole = delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": LONG})
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": UNAVAILABLE_VALUE}, 1)
    another = updated({**delegate(1, "completed", id=ROW[:-1] + "2"), "request_body": UNAVAILABLE_VALUE}, 1)
    search = Search("d-1")
    assert scan(search, whole, bare, another) == [(0, "d-1"), (1, "d-1")]
    meaning = search.matches[1].meaning
    assert isinstance(meaning, Translation)
    assert isinstance(meaning.report, Reported)
    assert meaning.report.delegation_id == "d-1"


def test_stored_large_row_resolves_an_unavailable_body() -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": UNAVAILABLE_VALUE}, 1)
    assert scan(Search("d-1", large_rows={ROW: "d-1"}), bare) == [(0, "d-1")]
    assert scan(Search("d-1", large_rows={ROW: "d-2"}), bare) == []


def test_updates_before_the_whole_row_are_dead_letters() -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": UNAVAILABLE_VALUE}, 1)
    whole = delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": LONG})
    search = Search("d-1", large_rows={ROW: "d-1"})
    search.scan([record(value, offset) for offset, value in enumerate([bare, bare, whole, bare])])
    assert [isinstance(match.meaning, DeadLetter) for match in search.matches] == [True, True, False, False]


def test_unavailable_body_of_a_small_row_is_a_dead_letter() -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": UNAVAILABLE_VALUE}, 1)
    search = Search("d-1")
    search.scan([record(delegate(0, id=ROW), 0), record(bare, 1)])
    assert isinstance(search.matches[1].meaning, DeadLetter)
    assert "REPLICA IDENTITY FULL" in search.matches[1].meaning.reason


def test_records_that_only_mention_the_id_are_found() -> None:
    copy = {"activity_type": "a2a_receive", "method": "delegate_result", "response_body": {"delegation_id": "d-1"}}
    deleted = {"op": "d", "before": delegate(0), "after": None}
    nameless = {**heartbeat(1), "request_body": {}, "summary": "no answer for d-1"}
    other = {**copy, "response_body": {"delegation_id": "d-10"}}
    assert scan(Search("d-1"), copy, deleted, nameless, other, None) == [
        (0, Outcome.UNRELATED),
        (1, Outcome.TOMBSTONE),
        (2, Outcome.UNCORRELATED),
    ]


def test_dead_letters_are_matched_by_whole_id() -> None:
    search = Search("dä-1")
    search.scan(
        [
            record(b'{"activity_type": "delegation", "method": "none", "x": "d\\u00e4-1"}', 0),
            record('{"half": "dä-1'.encode(), 1),
            record('{"half": "dä-10'.encode(), 2),
            record(b"\\u0064 no json", 3),
        ]
    )
    assert [match.record.offset for match in search.matches] == [0, 1]
    assert all(isinstance(match.meaning, DeadLetter) for match in search.matches)


def test_competing_requests_are_found_once_the_key_is_known() -> None:
    values = [
        request("d-2", idempotency_key="k"),
        request("d-1", idempotency_key="k"),
        request("d-3", idempotency_key="m"),
    ]
    first = Search("d-1")
    assert scan(first, *values) == [(1, "d-1")]
    assert first.unknown_keys() == {(CALLER, "k")}
    second = Search("d-1", keys=first.unknown_keys())
    assert scan(second, *values, {**values[0], "source_id": ROW}) == [(0, "d-2"), (1, "d-1")]
    assert second.unknown_keys() == frozenset()


def test_competing_requests_are_not_requests_of_the_delegation() -> None:
    search = Search("d-1", keys=[(CALLER, "k")])
    scan(search, request("d-2", idempotency_key="k"), request("d-1", idempotency_key="k"), heartbeat(1))
    assert [found.record.offset for found in search.requests()] == [1]


def test_spellings_are_those_of_common_serializers() -> None:
    assert spellings("d-1") == [b"d-1"]
    assert spellings("né") == ["né".encode(), rb"n\u00e9", rb"n\u00E9"]
