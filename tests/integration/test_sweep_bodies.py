"""Bodies in each form that the translation of records accepts: the sweeper's statements find the same delegation."""

import json
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CALLEE, CALLER
from sweeping import ADVANCED, Platform, counts

from projector.contract.facts import Status, Translation
from projector.contract.translate import translate
from projector.contract.unreadable import Unreadable
from projector.domain.overdue import InFlight, Rule, Verdict
from projector.postgres import activity_bodies, queries
from projector.postgres.sweep_truth import Found
from projector.recordings.file import RecordedRecord
from projector.sweep.sink import ActivityLogs

DEEP = 30_000
"""So many levels of JSON are more than the stack of Postgres allows."""


def as_text(body: dict[str, Any]) -> str:
    """A JSON text, which is a text inside jsonb too: some writers encode a body twice."""
    return json.dumps(body)


def to_text_columns(it: Platform) -> None:
    it.conn.execute("ALTER TABLE activity_logs ALTER request_body TYPE text, ALTER response_body TYPE text")


def double(row: dict[str, Any]) -> dict[str, Any]:
    return {name: as_text(value) if name.endswith("_body") else value for name, value in row.items()}


@pytest.mark.parametrize("columns", ["jsonb", "json", "text"])
@pytest.mark.parametrize("has_soft_errors", [True, False], ids=["since 16", "before 16"])
def test_bodies_that_are_json_texts_are_searched(
    it: Platform, columns: str, has_soft_errors: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not has_soft_errors:
        monkeypatch.setattr(activity_bodies, "_SOFT_ERRORS_SINCE", 10**9)
    it.conn.execute(
        f"ALTER TABLE activity_logs ALTER request_body TYPE {columns}, ALTER response_body TYPE {columns}".encode()
    )
    it.is_alive()
    for name in ("silent", "beats", "ends"):
        it.both(double(it.request(name)), double(it.beat(name)))
    it.write(double(it.beat("beats", 2)), double(it.answer("ends")))
    assert counts(it.sweep()) == {"candidates": 3, "stuck": 1, "spared": 2}
    [row] = it.verdicts()
    assert (row["workspace_id"], row["target_id"]) == (CALLER, CALLEE)
    assert it.feed_verdicts() == {ADVANCED: 1}
    assert it.statuses()["silent"] == "stuck"


def test_answer_with_many_brackets_is_found(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat())
    it.write(it.answer(response_body=as_text({"delegation_id": "d-1", "text": "{[" * 600})))
    assert counts(it.sweep()) == {"candidates": 1, "spared": 1}


@pytest.mark.parametrize("body", ["[" * DEEP, '{"delegation_id": "d-1"', "", "null", '"d-1"', '["d-1"]'])
def test_text_that_is_no_object_stops_nothing(it: Platform, body: str) -> None:
    it.is_alive().both(it.request(), it.beat())
    it.write(it.beat(minutes=2, request_body=body), it.answer(response_body=body))
    assert it.sweep().candidates == 1


def test_text_that_only_mentions_a_delegation_is_no_sign_of_it(it: Platform) -> None:
    it.is_alive().both(it.request(), it.beat())
    told = {"delegation_id": "d-2", "text": '"delegation_id": "d-1"', "of": {"delegation_id": "d-1"}}
    it.write(it.answer(response_body=as_text(told)))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}


# --- whatever the translation accepts

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1, max_size=12)
ANY_TEXT = st.text(max_size=12) | st.sampled_from(["\0", "\ud800", '"delegation_id": "d-9"', "\\u0000"])
OTHERS = st.dictionaries(
    st.sampled_from(["task", "text", "note", "nested", "size"]),
    ANY_TEXT | st.integers() | st.just({"delegation_id": "d-8"}) | st.just(10**400),
    max_size=3,
)


@st.composite
def bodies(draw: st.DrawFn) -> tuple[str, str]:
    """A delegation id, and a JSON text of a body that names it."""
    name = draw(TEXTS)
    fields = [("delegation_id", name), *draw(OTHERS).items()]
    body = dict(draw(st.permutations(fields)))
    is_storable = all(not "\ud800" <= char <= "\udfff" for value in body.values() for char in str(value))
    text = json.dumps(body, ensure_ascii=not is_storable or draw(st.booleans()), indent=draw(st.none() | st.just(2)))
    return name, draw(st.sampled_from(["", " ", "\n"])) + text


ROWS = st.tuples(bodies(), st.sampled_from(["request", "beat", "answer", "answer by request"]), st.booleans())


def row_of(it: Platform, method: str, body: Any) -> dict[str, Any]:
    if method == "request":
        return it.request(request_body=body)
    if method == "beat":
        return it.beat(minutes=2, request_body=body)
    if method == "answer":
        return it.answer(response_body=body, status="in_progress", minutes=2)
    return it.answer(response_body=None, request_body=body, status="in_progress", minutes=2)


def found_by_translation(it: Platform, row_id: str) -> str | None:
    """The delegation of a row, as a rebuild from the table reads it."""
    [(value,)] = it.conn.execute("SELECT row_to_json(a)::text FROM activity_logs a WHERE id = %s", [row_id]).fetchall()
    try:
        found = translate(RecordedRecord("t", 0, 0, None, None, value.encode()))
    except Unreadable:
        return None
    return found.delegation_id if isinstance(found, Translation) else None


@pytest.mark.parametrize("columns", ["jsonb", "text"])
def test_what_the_translation_accepts_is_found(it: Platform, columns: str) -> None:
    if columns == "text":
        to_text_columns(it)
    now = queries.clock(it.conn)

    def found(name: str) -> Found:
        silent = InFlight(name, CALLER, CALLEE, it.start, None, it.start, it.start)
        evidence = now.fromisoformat(it.at(20))
        silent = silent._replace(created_at=now.fromisoformat(it.at(30)))
        due = Verdict(uuid4(), silent, Rule.SILENCE, Status.STUCK, evidence, "{}", "")
        [checked] = ActivityLogs(it.sweeper).check([due])
        return checked.found

    @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
    @given(ROWS)
    def check(given_row: tuple[tuple[str, str], str, bool]) -> None:
        (name, text), method, as_object = given_row
        it.conn.execute("DELETE FROM activity_logs")
        body: Any = text
        if as_object and columns == "jsonb":
            body = {"delegation_id": name}
        row = row_of(it, method, body)
        if method != "request":
            it.write(it.request(name))
        it.write(row)
        if found_by_translation(it, row["id"]) == name:
            assert found(name) is (Found.DUE if method == "request" else Found.ALIVE)

    check()
