"""The relay and the forms in which a platform stores bodies and times: whole texts, and no second reply."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from activity_table import insert_activities
from builders import record
from pushing import pushing
from relaying import OTHER_CALLER, Relaying, ago, passed, push
from rows import CALLER, Columns, answer, delegate

from projector.postgres import activity_bodies
from projector.postgres.connection import Connection
from projector.projection.transaction import project

LONG = "longer than a preview, with {brackets} and “quotes”. " * 500


@pytest.fixture
def member(inbox_url: str) -> Iterator[Connection]:
    """A session whose batches push, since three hours ago."""
    with pushing(inbox_url, since=ago(3 * 3600)) as conn:
        yield conn


def as_texts(row: Columns) -> Columns:
    """The row of a writer that encodes its bodies twice."""
    return {name: json.dumps(value) if name.endswith("_body") else value for name, value in row.items()}


def read(member: Connection, *rows: Columns) -> None:
    """Insert the rows in the platform's table, and project their records."""
    for offset, row in enumerate(rows):
        stored = {"id": str(uuid4()), "workspace_id": CALLER} | row | {"created_at": ago(60).isoformat()}
        insert_activities(member, stored)
        project(member, [record(stored, offset)], push=True)


def to_columns(relaying: Relaying, columns: str) -> None:
    relaying.conn.execute(
        f"ALTER TABLE activity_logs ALTER request_body TYPE {columns}, ALTER response_body TYPE {columns}".encode()
    )


def body(relaying: Relaying, column: str = "response_body") -> Any:
    """The body of the only row in an inbox."""
    statement = f"SELECT to_jsonb({column}) #>> '{{}}' FROM activity_logs WHERE activity_type = 'a2a_receive'"
    [(text,)] = relaying.conn.execute(statement.encode()).fetchall()
    return json.loads(text)


@pytest.mark.parametrize("columns", ["jsonb", "json", "text"])
@pytest.mark.parametrize(("status", "field"), [("completed", "text"), ("failed", "error")])
def test_text_of_a_body_that_is_a_json_text_arrives_whole(
    member: Connection, inbox_url: str, relaying: Relaying, columns: str, status: str, field: str
) -> None:
    to_columns(relaying, columns)
    read(member, as_texts(delegate(0)), as_texts(answer(0, status, **{field: LONG})))
    assert push(inbox_url) == passed(sent=1)
    assert body(relaying) == {"text": LONG, "delegation_id": "d-1"}
    assert body(relaying, "request_body") == {"delegation_id": "d-1"}


def test_text_with_what_jsonb_cannot_hold_arrives(member: Connection, inbox_url: str, relaying: Relaying) -> None:
    read(member, as_texts(delegate(0)), as_texts(answer(0, "completed", text=f"{LONG}\0 \ud800")))
    assert push(inbox_url) == passed(sent=1)
    assert body(relaying)["text"] == f"{LONG}\N{REPLACEMENT CHARACTER} \N{REPLACEMENT CHARACTER}"


@pytest.mark.parametrize("levels", [900, 30_000])
def test_text_that_is_too_deep_is_cut_and_delays_nobody(
    member: Connection, inbox_url: str, relaying: Relaying, levels: int
) -> None:
    """As many levels of JSON as the stack of Postgres may not hold."""
    relaying.answered("d-2", caller=OTHER_CALLER)
    read(member, as_texts(delegate(0)), as_texts(answer(0, "completed", text=LONG)))
    deep = json.dumps({"delegation_id": "d-1", "text": LONG, "of": 0}).replace('"of": 0', '"of": ' + "[" * levels)
    text = json.dumps(deep + "]" * levels)
    relaying.conn.execute("UPDATE activity_logs SET response_body = %s WHERE method = 'delegate_result'", [text])
    relaying.conn.execute('UPDATE activity_logs SET request_body = \'{"delegation_id": "d-1"}\'')
    found = push(inbox_url)
    assert (found.sent, found.given_up, found.retried_later) == (2, 0, 0)


def test_server_before_16_sends_the_preview(
    member: Connection, inbox_url: str, relaying: Relaying, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_bodies, "_SOFT_ERRORS_SINCE", 10**9)
    read(member, as_texts(delegate(0)), as_texts(answer(0, "completed", text=LONG)))
    assert push(inbox_url) == passed(sent=1)
    assert body(relaying)["truncated"] is True
    assert LONG.startswith(body(relaying)["text"])


@pytest.mark.parametrize("columns", ["jsonb", "json", "text"])
@pytest.mark.parametrize("body_column", ["request_body", "response_body"])
def test_reply_of_the_platform_is_found_in_a_json_text(
    inbox_url: str, relaying: Relaying, columns: str, body_column: str
) -> None:
    relaying.answered("d-1")
    row = {"activity_type": "a2a_receive", "method": "delegate_result", body_column: {"delegation_id": "d-1"}}
    to_columns(relaying, columns)
    insert_activities(relaying.conn, as_texts(row) | {"created_at": ago(1).isoformat()})
    assert push(inbox_url) == passed(told_by_platform=1)


def test_reply_of_a_platform_whose_clock_is_behind_is_found(inbox_url: str, relaying: Relaying) -> None:
    """It is dated before the request, whose time is that of another clock."""
    relaying.answered("d-1")
    row = {"activity_type": "a2a_receive", "method": "delegate_result", "request_body": {"delegation_id": "d-1"}}
    insert_activities(relaying.conn, row | {"created_at": ago(3600 + 290).isoformat()})
    assert push(inbox_url) == passed(told_by_platform=1)


def test_locked_inbox_waits(inbox_url: str, relaying: Relaying) -> None:
    """The whole table is locked, as by ALTER TABLE. That is no try of any reply."""
    relaying.answered("d-1")
    relaying.answered("d-2", caller=OTHER_CALLER)
    with psycopg.connect(inbox_url) as other:
        other.execute("LOCK TABLE activity_logs")
        with pytest.raises(Exception, match="lock timeout"):
            push(inbox_url, lock_timeout_ms=100)
    assert {relaying.reply(name)["attempts"] for name in ("d-1", "d-2")} == {0}
    assert push(inbox_url) == passed(sent=2)
