"""`projector dead-letters` and `projector parked` as processes."""

import json
from pathlib import Path

import psycopg
import pytest
from commands import run_projector
from replaying import recording, replay_letters
from rows import answer, heartbeat


@pytest.fixture
def replayed(tmp_path: Path, database_url: str) -> str:
    """A database with one delegation, one parked answer, and three dead letters at offsets 2 to 4 of partition 0."""
    replay_letters(tmp_path, database_url)
    return database_url


def test_dead_letters_are_listed(replayed: str) -> None:
    done = run_projector("dead-letters", "list", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "not JSON" in done.out
    assert "not UTF-8" in done.out
    found = run_projector("dead-letters", "list", "--json", "--limit", "2", database_url=replayed).json()
    assert found["total"] == 3
    assert len(found["dead_letters"]) == 2
    assert (
        run_projector("dead-letters", "list", "--partition", "9", database_url=replayed).out
        == "there are no dead letters\n"
    )


def test_dead_letter_is_shown_with_its_bytes(replayed: str) -> None:
    done = run_projector("dead-letters", "show", "0", "2", database_url=replayed)
    assert done.code == 0
    assert "value      no json" in done.out
    letter = run_projector("dead-letters", "show", "0", "3", "--json", database_url=replayed).json()
    assert (letter["key"], letter["value_base64"], letter["offset"]) == ("c1", "//4=", 3)
    missing = run_projector("dead-letters", "show", "0", "77", database_url=replayed)
    assert (missing.code, missing.out) == (1, "")
    assert "there is no dead letter at offset 77 of partition 0 of topic activity-log" in missing.err


@pytest.mark.parametrize("command", [["dead-letters", "show", "0", "4"], ["parked", "list"]], ids=" ".join)
def test_control_characters_are_escaped(tmp_path: Path, database_url: str, command: list[str]) -> None:
    file = recording(tmp_path, *[b"null"] * 4, b"\x1b[31mred", answer(1, "completed", of="\x1b[31mred\nand two"))
    run_projector("replay", str(file), database_url=database_url)
    done = run_projector(*command, database_url=database_url)
    assert "\x1b" not in done.out
    assert r"\x1b[31mred" in done.out
    assert "\nand two" not in done.out


def test_retry_prints_the_outcomes(replayed: str) -> None:
    with psycopg.connect(replayed) as conn:
        conn.execute(
            'UPDATE projector.dead_letters SET value = %b WHERE "offset" = 2', [json.dumps(heartbeat(1)).encode()]
        )
    done = run_projector("dead-letters", "retry", "--all", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "heartbeat" in done.out
    assert done.out.endswith("3 dead letters retried, 1 resolved, 2 failed\n")
    again = run_projector("dead-letters", "retry", "0", "3", "4", "--json", database_url=replayed).json()
    assert (again["records"], again["outcomes"]["dead_letter"]) == (2, 2)


def test_retry_of_nothing_is_an_error(replayed: str) -> None:
    done = run_projector("dead-letters", "retry", "0", "77", database_url=replayed)
    assert done.code == 1
    assert "there is no dead letter at any of these offsets" in done.err
    for mistake in (["--all", "0", "1"], ["0"], []):
        assert run_projector("dead-letters", "retry", *mistake, database_url=replayed).code == 2


def test_discard_needs_a_confirmation(replayed: str) -> None:
    refused = run_projector("dead-letters", "discard", "--all", database_url=replayed)
    assert (refused.code, refused.out) == (1, "")
    assert "this would delete 3 dead letters for good: add --yes to do it" in refused.err
    one = run_projector("dead-letters", "discard", "0", "2", "--yes", database_url=replayed)
    assert (one.code, one.out) == (0, "1 dead letters discarded\n")
    assert run_projector("dead-letters", "discard", "--all", "--yes", database_url=replayed).out.startswith("2 dead")


def test_topic_limits_discard_all(replayed: str) -> None:
    done = run_projector("dead-letters", "discard", "--all", "--yes", "--topic", "another", database_url=replayed)
    assert (done.code, done.out) == (0, "0 dead letters discarded\n")


# --- parked


def test_parked_events_are_listed_with_their_age(replayed: str) -> None:
    done = run_projector("parked", "list", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "d-2" in done.out
    assert "1 events of 1 delegations are parked, the oldest for " in done.out
    found = run_projector("parked", "list", "--json", "--delegation", "d-2", database_url=replayed).json()
    assert (found["events"], found["parked"][0]["status"]) == (1, "completed")
    assert run_projector("parked", "list", "--delegation", "d-1", database_url=replayed).out == "nothing is parked\n"
