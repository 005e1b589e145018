"""Records that are projected, and a relay that sends their replies, on a real Postgres: one reply each."""

from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest
from activity_table import insert_activities
from builders import log, record
from pushing import pushing
from relaying import Relaying, ago, passed, push
from rows import CALLER, Columns, answer, delegate, verdict

from projector import ledger
from projector.contract.facts import Status
from projector.postgres.connection import Connection
from projector.projection.transaction import project

NOW = 0
"""The minute of the rows, which does not matter: each gets its time from `read`."""


@pytest.fixture
def member(inbox_url: str) -> Iterator[Connection]:
    """A session whose batches push, since three hours ago."""
    with pushing(inbox_url, since=ago(3 * 3600)) as conn:
        yield conn


def read(member: Connection, offset: int, row: Columns, *, seconds_ago: float) -> None:
    """Insert the row in the platform's table, and project its record."""
    row = {"id": str(uuid4()), "workspace_id": CALLER} | row | {"created_at": ago(seconds_ago).isoformat()}
    insert_activities(member, row)
    project(member, [record(row, offset)], push=True)


def test_ledger_before_its_event_tells_once(member: Connection, inbox_url: str, relaying: Relaying) -> None:
    """Acceptance 4. The event is a duplicate in the view, and queues the reply."""
    read(member, 0, delegate(NOW), seconds_ago=100)
    ledger.set_status(member, "d-1", Status.COMPLETED, result="by the service")
    assert push(inbox_url) == passed()
    read(member, 1, answer(NOW, "completed", text="by the event"), seconds_ago=50)
    read(member, 2, answer(NOW, "completed", text="once more"), seconds_ago=40)
    assert push(inbox_url) == passed(sent=1)
    read(member, 3, answer(NOW, "completed", text="and again"), seconds_ago=30)
    assert push(inbox_url) == passed()
    assert relaying.texts() == {"d-1": "by the event"}


def test_status_before_its_text_tells_the_text(member: Connection, inbox_url: str, relaying: Relaying) -> None:
    """Acceptance 9."""
    read(member, 0, delegate(NOW), seconds_ago=100)
    read(member, 1, answer(NOW, "completed"), seconds_ago=10)
    assert push(inbox_url) == passed(due_later=1)
    read(member, 2, answer(NOW, "completed", text="the text"), seconds_ago=5)
    assert push(inbox_url) == passed(sent=1)
    read(member, 3, answer(NOW, "completed", text="another text"), seconds_ago=0)
    assert push(inbox_url) == passed()
    assert relaying.texts() == {"d-1": "the text"}


def test_answer_after_a_verdict_is_told_instead(member: Connection, inbox_url: str, relaying: Relaying) -> None:
    """The view refuses the answer, since stuck is terminal. The caller was not told yet, and gets it."""
    read(member, 0, delegate(NOW), seconds_ago=1000)
    silent = verdict(NOW)
    silent["request_body"] = silent["request_body"] | {"silent_since": ago(900).isoformat()}
    read(member, 1, silent, seconds_ago=100)
    assert push(inbox_url) == passed(due_later=1)  # until the deadline
    read(member, 2, answer(NOW, "completed", text="late, and whole"), seconds_ago=20)
    assert push(inbox_url) == passed(sent=1)
    assert relaying.texts() == {"d-1": "late, and whole"}
    assert member.execute("SELECT status FROM delegations").fetchall() == [("stuck",)]


@pytest.mark.parametrize("backup", ["before the pass", "before the record"])
def test_restored_backup_tells_nobody_again(
    member: Connection, inbox_url: str, relaying: Relaying, backup: str
) -> None:
    """The outbox is older than the inboxes: the same id is made again, and its row is found."""
    created: dict[str, Any] = {"created_at": ago(60).isoformat()}
    rows = [delegate(NOW, **created), answer(NOW, "completed", text="once", **created)]
    project(member, log(*rows), push=True)
    assert push(inbox_url) == passed(sent=1)
    [told] = relaying.inbox().values()
    if backup == "before the pass":
        member.execute("UPDATE outbox SET ended_as = NULL, sent_at = NULL, sent_to = NULL, attempts = 0")
    else:
        member.execute("TRUNCATE outbox, ends, delegations")
        project(member, log(*rows), push=True)
    assert relaying.states() == {"d-1": None}
    assert push(inbox_url) == passed(sent=1)
    assert list(relaying.inbox().values()) == [told]


@pytest.mark.parametrize(("seconds_ago", "sent"), [(3600, 0), (60, 1)])
def test_wiped_database_tells_nobody_again(
    member: Connection, inbox_url: str, relaying: Relaying, seconds_ago: float, sent: int
) -> None:
    """View, positions and outbox are gone, and the push is switched on again. A young end finds its row by its id."""
    created: dict[str, Any] = {"created_at": ago(seconds_ago).isoformat()}
    rows = [delegate(NOW, **created), answer(NOW, "completed", text="once", **created)]
    project(member, log(*rows), push=True)
    assert push(inbox_url) == passed(sent=1)
    told = relaying.inbox()
    member.execute("TRUNCATE outbox, ends, delegations, positions, push, push_from")
    project(member, log(*rows), push=True)
    assert push(inbox_url) == passed(), "the push is off until it is switched on again: this pass did it"
    project(member, log(*rows), push=True)
    assert push(inbox_url) == passed(sent=sent)
    assert relaying.inbox() == told
