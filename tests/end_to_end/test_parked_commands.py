"""`projector parked` as a process."""

from pathlib import Path

import psycopg
import pytest
from commands import CommandResult, run_projector
from replaying import replay_letters


@pytest.fixture
def waiting(tmp_path: Path, database_url: str) -> str:
    """Parked: an answer for d-2, a verdict for d-3 since three days, and two heartbeats for d-4, which repeats d-1."""
    replay_letters(tmp_path, database_url)
    with psycopg.connect(database_url) as conn:
        conn.execute(
            """
            INSERT INTO projector.parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since,
                                          parked_at)
            VALUES ('activity-log', 0, 7, 'd-3', 'verdict', 'stuck', now(), '2025-05-05 10:00Z',
                    now() - interval '3 days'),
                   ('activity-log', 0, 8, 'd-4', 'heartbeat', NULL, now(), NULL, now()),
                   ('activity-log', 0, 9, 'd-4', 'heartbeat', NULL, now(), NULL, now());
            INSERT INTO projector.repeated_requests VALUES ('d-4', 'd-1', 'activity-log', 0, 1, now());
            """
        )
    return database_url


def parked(database_url: str, *arguments: str) -> CommandResult:
    return run_projector("parked", *arguments, database_url=database_url)


def left(database_url: str) -> list[str]:
    found = parked(database_url, "list", "--json").json()["parked"]
    return [each["delegation_id"] for each in found]


def test_parked_events_are_listed_with_their_age(waiting: str) -> None:
    done = parked(waiting, "list")
    assert (done.code, done.err) == (0, "")
    assert "4 parked events of 3 delegations " in done.out
    assert "; the age of the oldest is 3 d " in done.out
    found = parked(waiting, "list", "--json", "--delegation", "d-2").json()
    assert (found["events"], found["parked"][0]["status"]) == (1, "completed")
    assert parked(waiting, "list", "--delegation", "d-1").out == "nothing is parked for delegation d-1\n"


def test_verdict_is_listed_with_its_evidence(waiting: str) -> None:
    assert "verdict stuck, silent since 2025-05-05 10:00:00" in parked(waiting, "list").out
    (event,) = parked(waiting, "list", "--delegation", "d-3", "--json").json()["parked"]
    assert (event["kind"], event["status"], event["silent_since"]) == ("verdict", "stuck", "2025-05-05T10:00:00+00:00")


def test_repeated_requests_are_marked_and_counted_apart(waiting: str) -> None:
    done = parked(waiting, "list")
    assert "(2 whose request may still arrive, 2 whose request repeated an idempotency key)" in done.out
    assert done.out.count("repeats the key of d-1") == 2
    assert done.out.count("may still arrive  ") == 2
    found = parked(waiting, "list", "--json").json()
    assert (found["events"], found["waiting"], found["repeated"], found["complete"]) == (4, 2, 2, True)
    assert [each["holder_id"] for each in found["parked"]] == [None, None, "d-1", "d-1"]


@pytest.mark.parametrize(
    ("arguments", "remaining"),
    [
        (["d-2"], ["d-3", "d-4", "d-4"]),
        (["d-3", "d-4"], ["d-2"]),
        (["--repeated"], ["d-2", "d-3"]),
        (["--older-than", "2d"], ["d-2", "d-4", "d-4"]),
    ],
    ids=" ".join,
)
def test_selected_events_are_discarded(waiting: str, arguments: list[str], remaining: list[str]) -> None:
    done = parked(waiting, "discard", *arguments, "--yes")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{4 - len(remaining)} parked event")
    assert left(waiting) == remaining


def test_options_of_a_discard_select_together(waiting: str) -> None:
    assert parked(waiting, "discard", "d-2", "d-4", "--repeated", "--older-than", "2d", "--yes").code == 6
    assert parked(waiting, "discard", "d-2", "d-4", "--repeated", "--yes").code == 0
    assert left(waiting) == ["d-2", "d-3"]


def test_discard_needs_a_confirmation(waiting: str) -> None:
    done = parked(waiting, "discard", "--repeated")
    assert (done.code, done.out) == (1, "")
    assert (
        "this would delete 2 parked events of 1 delegation (0 whose request may still arrive, 2 whose request "
        "repeated an idempotency key) permanently: add --yes to do it" in done.err
    )
    assert len(left(waiting)) == 4


def test_discard_names_delegations_without_parked_events(waiting: str) -> None:
    done = parked(waiting, "discard", "d-2", "nosuch", "--yes")
    assert (done.code, done.out) == (6, "1 parked event discarded\n")
    assert done.err == "projector: nothing is parked for delegation nosuch\n"


def test_discard_without_a_selection_is_refused(waiting: str) -> None:
    assert parked(waiting, "discard", "--yes").code == 2
    assert len(left(waiting)) == 4


def test_empty_list_says_that_nothing_is_parked(database_url: str) -> None:
    assert parked(database_url, "list").out == "nothing is parked\n"
    assert parked(database_url, "list", "--limit", "0").code == 2


@pytest.mark.parametrize("parked_at", ["-infinity", "infinity"])
def test_event_with_an_infinite_time_is_listed(waiting: str, parked_at: str) -> None:
    with psycopg.connect(waiting) as conn:
        conn.execute("UPDATE projector.parked SET parked_at = %s", [parked_at])
    done = parked(waiting, "list")
    assert (done.code, done.err) == (0, "")
    assert "the age of the oldest is unknown" in done.out
    found = parked(waiting, "list", "--json").json()
    assert (found["oldest_age_seconds"], found["parked"][0]["age_seconds"]) == (None, None)
