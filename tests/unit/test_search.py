"""Which records a delegation's story is told from: its own, however its id is written, and those that bear on it."""

import json
from typing import Any

import pytest
from builders import record
from rows import CALLER, LEFT_OUT, answer, beat, delegate, updated

from projector.contract.facts import Reported
from projector.contract.translate import Translation
from projector.domain.fold import DeadLetter
from projector.domain.outcomes import Outcome
from projector.explain.search import Search, spellings

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
LONG = "x" * 2000


def looked(search: Search, *values: object) -> list[tuple[int, object]]:
    """The offsets of what was found, and what each means: of a translation, the delegation's id."""
    search.see([record(value, offset) for offset, value in enumerate(values)])
    return [
        (each.record.offset, each.meaning.delegation_id if isinstance(each.meaning, Translation) else each.meaning)
        for each in search.found
    ]


def asked(delegation_id: str, **columns: Any) -> dict[str, Any]:
    return delegate(0, request_body={"delegation_id": delegation_id, "task": "t"}, **columns)


def test_records_of_other_delegations_are_passed_over() -> None:
    search = Search("d-1")
    assert looked(search, asked("d-1"), asked("d-10"), asked("d-2"), beat(1), answer(2, "failed", of="d-10")) == [
        (0, "d-1"),
        (3, "d-1"),
    ]
    assert search.records == 5


@pytest.mark.parametrize("delegation_id", ["ärger", "a/b", 'say "hi"', "back\\slash", "\t", "😀", "d-1"])
@pytest.mark.parametrize("ascii_only", [True, False])
def test_id_is_found_however_json_writes_it(delegation_id: str, ascii_only: bool) -> None:
    plain = json.dumps(asked(delegation_id), ensure_ascii=ascii_only).encode()
    as_text = asked(delegation_id) | {"request_body": json.dumps({"delegation_id": delegation_id, "task": "t"})}
    nested = json.dumps(as_text, ensure_ascii=ascii_only).encode()
    slashed = plain.replace(b"/", rb"\/")
    assert looked(Search(delegation_id), plain, nested, slashed) == [(n, delegation_id) for n in range(3)]


def test_id_that_is_escaped_without_need_is_found() -> None:
    escaped = json.dumps(asked("d-1")).replace("d-1", r"\u0064-1").encode()
    assert looked(Search("d-1"), escaped) == [(0, "d-1")]


@pytest.mark.parametrize("letter", ["-", "?", "A", "_", "a", "~"])
def test_every_printable_letter_may_be_escaped(letter: str) -> None:
    escaped = json.dumps(asked(letter * 3)).replace(letter * 3, f"\\u{ord(letter):04X}" * 3).encode()
    assert looked(Search(letter * 3), escaped) == [(0, letter * 3)]


def test_id_with_what_postgres_cannot_store_is_found_by_the_id_in_the_table() -> None:
    assert looked(Search("d\ufffd"), asked("d\0"), asked("d\ud800"), asked("d")) == [(0, "d\ufffd"), (1, "d\ufffd")]
    assert looked(Search("d\0"), asked("d\0")) == [(0, "d\ufffd")]


def test_update_without_its_body_is_matched_by_its_row() -> None:
    whole = delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": LONG})
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": LEFT_OUT}, 1)
    another = updated({**delegate(1, "completed", id=ROW[:-1] + "2"), "request_body": LEFT_OUT}, 1)
    search = Search("d-1")
    assert looked(search, whole, bare, another) == [(0, "d-1"), (1, "d-1")]
    meaning = search.found[1].meaning
    assert isinstance(meaning, Translation)
    assert isinstance(meaning.report, Reported)
    assert meaning.report.delegation_id == "d-1"


def test_row_that_the_projector_remembers_needs_no_whole_image() -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": LEFT_OUT}, 1)
    assert looked(Search("d-1", remembered={ROW: "d-1"}), bare) == [(0, "d-1")]
    assert looked(Search("d-1", remembered={ROW: "d-2"}), bare) == []


def test_row_that_comes_whole_only_later_was_not_known_before() -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": LEFT_OUT}, 1)
    whole = delegate(0, id=ROW, request_body={"delegation_id": "d-1", "task": LONG})
    search = Search("d-1", remembered={ROW: "d-1"})
    search.see([record(value, offset) for offset, value in enumerate([bare, bare, whole, bare])])
    assert [isinstance(each.meaning, DeadLetter) for each in search.found] == [True, True, False, False]


def test_update_whose_row_was_too_small_to_be_remembered_is_a_dead_letter_of_it() -> None:
    bare = updated({**delegate(1, "completed", id=ROW), "request_body": LEFT_OUT}, 1)
    search = Search("d-1")
    search.see([record(delegate(0, id=ROW), 0), record(bare, 1)])
    assert isinstance(search.found[1].meaning, DeadLetter)
    assert "REPLICA IDENTITY FULL" in search.found[1].meaning.reason


def test_what_mentions_it_and_says_nothing_is_there_too() -> None:
    copy = {"activity_type": "a2a_receive", "method": "delegate_result", "response_body": {"delegation_id": "d-1"}}
    deleted = {"op": "d", "before": delegate(0), "after": None}
    nameless = {**beat(1), "request_body": {}, "summary": "no answer for d-1"}
    other = {**copy, "response_body": {"delegation_id": "d-10"}}
    assert looked(Search("d-1"), copy, deleted, nameless, other, None) == [
        (0, Outcome.UNRELATED),
        (1, Outcome.TOMBSTONE),
        (2, Outcome.UNCORRELATED),
    ]


def test_dead_letter_that_mentions_it_is_found_and_another_is_not() -> None:
    search = Search("dä-1")
    search.see(
        [
            record(b'{"activity_type": "delegation", "method": "none", "x": "d\\u00e4-1"}', 0),
            record('{"half": "dä-1'.encode(), 1),
            record('{"half": "dä-10'.encode(), 2),
            record(b"\\u0064 no json", 3),
        ]
    )
    assert [each.record.offset for each in search.found] == [0, 1]
    assert all(isinstance(each.meaning, DeadLetter) for each in search.found)


def test_request_of_another_with_the_same_key_counts_once_the_key_is_known() -> None:
    values = [asked("d-2", idempotency_key="k"), asked("d-1", idempotency_key="k"), asked("d-3", idempotency_key="m")]
    first = Search("d-1")
    assert looked(first, *values) == [(1, "d-1")]
    assert first.unknown_keys() == {(CALLER, "k")}
    second = Search("d-1", keys=first.unknown_keys())
    assert looked(second, *values, {**values[0], "source_id": ROW}) == [(0, "d-2"), (1, "d-1")]
    assert second.unknown_keys() == frozenset()


def test_only_requests_of_its_own_count_as_requests() -> None:
    search = Search("d-1", keys=[(CALLER, "k")])
    looked(search, asked("d-2", idempotency_key="k"), asked("d-1", idempotency_key="k"), beat(1))
    assert [said.record.offset for said in search.requests()] == [1]


def test_spellings_are_those_that_serializers_write() -> None:
    assert spellings("d-1") == [b"d-1"]
    assert spellings("né") == ["né".encode(), rb"n\u00e9", rb"n\u00E9"]
