"""`projector dead-letters` as a process."""

import json
from pathlib import Path

import psycopg
import pytest
from commands import CommandResult, run_projector
from replaying import recording, replay_letters
from rows import answer, heartbeat


@pytest.fixture
def replayed(tmp_path: Path, database_url: str) -> str:
    """A database with one delegation, one parked answer, and three dead letters at offsets 2 to 4 of partition 0."""
    replay_letters(tmp_path, database_url)
    return database_url


def letters(database_url: str, *arguments: str, topic: str = "activity-log") -> CommandResult:
    return run_projector("dead-letters", *arguments, database_url=database_url, topic=topic)


@pytest.fixture
def two_topics(replayed: str) -> str:
    """The same, with two older dead letters of the topic `other`."""
    with psycopg.connect(replayed) as conn:
        conn.execute(
            """
            INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason, field, died_at)
            SELECT 'other', 0, n, 'x', 'unknown status "x' || n || '"', 'status', now() - interval '3 days'
              FROM generate_series(2, 3) n
            """
        )
    return replayed


def test_dead_letters_are_listed(replayed: str) -> None:
    done = run_projector("dead-letters", "list", database_url=replayed)
    assert (done.code, done.err) == (0, "")
    assert "not JSON" in done.out
    assert "not UTF-8" in done.out
    found = run_projector("dead-letters", "list", "--json", "--limit", "2", database_url=replayed).json()
    assert (found["total"], found["complete"]) == (3, True)
    assert len(found["dead_letters"]) == 2


def test_list_is_of_the_topic_in_force(two_topics: str) -> None:
    assert letters(two_topics, "list", "--json").json()["total"] == 3
    assert letters(two_topics, "list", "--json", topic="other").json()["total"] == 2
    assert letters(two_topics, "list", "--json", "--topic", "other").json()["total"] == 2
    found = letters(two_topics, "list", "--json", "--every-topic").json()
    assert (found["total"], {each["topic"] for each in found["dead_letters"]}) == (5, {"activity-log", "other"})


@pytest.mark.parametrize(
    ("flags", "offsets"),
    [
        (["--reason", "not JSON"], [2]),
        (["--reason", "not json"], []),
        (["--reason", "%"], []),
        (["--field", "method"], [4]),
        (["--every-topic", "--older-than", "2d"], [2, 3]),
        (["--every-topic", "--newer-than", "2d"], [2, 3, 4]),
        (["--every-topic", "--older-than", "2d", "--newer-than", "71h"], []),
        (["--topic", "other", "--reason", "x3"], [3]),
        (["--partition", "0", "--field", "method"], [4]),
    ],
    ids=str,
)
def test_list_selects_by_reason_field_and_age(two_topics: str, flags: list[str], offsets: list[int]) -> None:
    found = letters(two_topics, "list", "--json", *flags).json()
    assert (found["total"], sorted(each["offset"] for each in found["dead_letters"])) == (len(offsets), offsets)


def test_empty_list_names_the_dead_letters_that_exist(two_topics: str, database_url: str) -> None:
    expected = "none of 5 dead letters is selected: use other options, or --every-topic\n"
    assert letters(two_topics, "list", "--partition", "9").out == expected
    assert letters(two_topics, "list", topic="third").out == expected
    assert letters(two_topics, "discard", "--every-topic", "--yes").code == 0
    assert letters(two_topics, "list").out == "there are no dead letters\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["list", "--limit", "0"], "must be a whole number from 1 on: found '0'"),
        (["list", "--older-than", "7"], "must be a number of s, m, h or d, as 90s or 7d, up to 36500d: found '7'"),
        (["list", "--newer-than", "99999d"], "up to 36500d: found '99999d'"),
        (["list", "--topic", "other", "--every-topic"], "--topic is not allowed with --every-topic"),
        (["discard", "--topic", "other", "--every-topic", "--yes"], "--topic is not allowed with --every-topic"),
        (["list", "--field", "\udcff"], "must be a text in UTF-8 that is not empty"),
        (["discard", "--reason", "", "--yes"], "Option '--reason' has an empty value"),
        (["retry", "--reason", "x", "0", "1"], "give either --all, --every-topic, --reason"),
    ],
    ids=lambda each: " ".join(each) if isinstance(each, list) else "",
)
def test_invalid_option_is_refused(two_topics: str, arguments: list[str], sentence: str) -> None:
    done = letters(two_topics, *arguments)
    assert (done.code, done.out) == (2, "")
    assert sentence in done.err
    assert letters(two_topics, "list", "--every-topic", "--json").json()["total"] == 5


def test_dead_letter_is_shown_with_its_bytes(replayed: str) -> None:
    done = run_projector("dead-letters", "show", "0", "2", database_url=replayed)
    assert done.code == 0
    assert "value      no json" in done.out
    letter = run_projector("dead-letters", "show", "0", "3", "--json", database_url=replayed).json()
    assert (letter["key"], letter["value_base64"], letter["offset"]) == ("c1", "//4=", 3)
    missing = run_projector("dead-letters", "show", "0", "77", database_url=replayed)
    assert (missing.code, missing.out) == (1, "")
    assert "there is no dead letter at offset 77 of partition 0 of topic activity-log" in missing.err


def test_list_begins_with_a_summary(two_topics: str) -> None:
    lines = letters(two_topics, "list", topic="other").out.splitlines()
    assert lines[:2] == ["2 dead letters of topic other", "       2  unknown status …"]
    assert [line.split()[2:4] for line in lines[4:]] == [["0", "2"], ["0", "3"]]
    every = letters(two_topics, "list", "--every-topic").out
    assert every.startswith("5 dead letters\n")
    assert " other " in every


def test_list_of_one_transaction_is_in_the_order_of_offsets(database_url: str) -> None:
    with psycopg.connect(database_url) as conn:
        conn.execute(
            """
            INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason)
            SELECT 'activity-log', 0, n, 'x', 'r' FROM unnest(ARRAY[9833, 9835, 9821, 9817]) n
            """
        )
    found = letters(database_url, "list", "--json").json()["dead_letters"]
    assert [each["offset"] for each in found] == [9817, 9821, 9833, 9835]


def test_long_value_is_cut(tmp_path: Path, database_url: str) -> None:
    run_projector("replay", str(recording(tmp_path, b"x" * 3_000_000)), database_url=database_url)
    assert "x… (2,990,000 characters more)\n" in letters(database_url, "show", "0", "0").out
    assert letters(database_url, "show", "0", "0", "--full").out.endswith("x" * 3_000_000 + "\n")
    assert len(letters(database_url, "show", "0", "0", "--json").json()["value"]) == 3_000_000


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
    assert (done.code, done.err) == (5, "")
    assert "heartbeat" in done.out
    assert done.out.endswith("retried 3: 1 projected, 2 failed again\n")
    again = run_projector("dead-letters", "retry", "0", "3", "4", "--json", database_url=replayed)
    assert (again.code, again.json()["records"], again.json()["outcomes"]["dead_letter"]) == (5, 2, 2)


def heal(database_url: str, offset: int) -> None:
    """Make the dead letter at this offset readable, as a release that can read it would."""
    with psycopg.connect(database_url) as conn:
        conn.execute(
            'UPDATE projector.dead_letters SET value = %b WHERE "offset" = %s',
            [json.dumps(heartbeat(1)).encode(), offset],
        )


def test_retry_succeeds_if_none_fails_again(replayed: str) -> None:
    heal(replayed, 2)
    done = letters(replayed, "retry", "0", "2")
    assert (done.code, done.err) == (0, "")
    assert done.out.endswith("retried 1: 1 projected, 0 failed again\n")


def test_retry_that_finds_nothing_says_so(replayed: str) -> None:
    done = letters(replayed, "retry", "0", "77")
    assert (done.code, done.out) == (6, "")
    assert done.err == "projector: there is no dead letter at offset 77 of partition 0 of topic activity-log\n"
    assert letters(replayed, "retry", "--all", topic="third").code == 6
    assert letters(replayed, "retry", "--reason", "nosuch").code == 6
    heal(replayed, 2)
    found = letters(replayed, "retry", "0", "2", "77", "--json")
    assert (found.code, found.json()["records"], found.json()["not_found"]) == (6, 1, [77])


def test_retry_all_is_of_the_topic_in_force(two_topics: str) -> None:
    assert letters(two_topics, "retry", "--all", "--json").json()["records"] == 3
    assert letters(two_topics, "retry", "--all", "--json", topic="other").json()["records"] == 2
    assert letters(two_topics, "retry", "--every-topic", "--json").json()["records"] == 5
    assert letters(two_topics, "retry", "--all", "--field", "method", "--json").json()["records"] == 1
    assert letters(two_topics, "retry", "--every-topic", "--older-than", "2d", "--json").json()["records"] == 2


def test_invalid_selection_of_a_retry_is_refused(replayed: str) -> None:
    for mistake in (["--all", "0", "1"], ["0"], []):
        assert run_projector("dead-letters", "retry", *mistake, database_url=replayed).code == 2


def test_discard_needs_a_confirmation(replayed: str) -> None:
    refused = run_projector("dead-letters", "discard", "--all", database_url=replayed)
    assert (refused.code, refused.out) == (1, "")
    assert "this would delete 3 dead letters permanently: add --yes to do it" in refused.err
    one = run_projector("dead-letters", "discard", "0", "2", "--yes", database_url=replayed)
    assert (one.code, one.out) == (0, "1 dead letter discarded\n")
    assert run_projector("dead-letters", "discard", "--all", "--yes", database_url=replayed).out.startswith("2 dead")


def test_discard_all_is_of_the_topic_in_force(two_topics: str) -> None:
    done = letters(two_topics, "discard", "--all", "--yes", topic="third")
    assert (done.code, done.out) == (0, "0 dead letters discarded\n")
    assert letters(two_topics, "discard", "--all", "--yes").out == "3 dead letters discarded\n"
    assert letters(two_topics, "discard", "--every-topic", "--yes").out == "2 dead letters discarded\n"


def test_selected_dead_letters_are_discarded(two_topics: str) -> None:
    assert letters(two_topics, "discard", "--reason", "not JSON", "--yes").out == "1 dead letter discarded\n"
    assert letters(two_topics, "discard", "--newer-than", "2d", "--field", "method", "--yes").out.startswith("1 dead")
    assert letters(two_topics, "discard", "--every-topic", "--older-than", "2d", "--yes").out.startswith("2 dead")
    left = letters(two_topics, "list", "--every-topic", "--json").json()["dead_letters"]
    assert [each["offset"] for each in left] == [3]


def test_discard_of_nothing_says_so(replayed: str) -> None:
    done = letters(replayed, "discard", "0", "77", "--yes")
    assert (done.code, done.out) == (6, "0 dead letters discarded\n")
    assert "there is no dead letter at offset 77" in done.err
    assert letters(replayed, "discard", "--reason", "nosuch", "--yes").code == 6


def test_selection_is_shown_before_the_question(two_topics: str) -> None:
    with psycopg.connect(two_topics) as conn:
        conn.execute(
            """
            INSERT INTO projector.dead_letters (topic, partition, "offset", value, reason)
            SELECT 'many', n % 3, n, 'x', CASE WHEN n < 5 THEN repeat('long ', 99) ELSE 'reason ' || n END
              FROM generate_series(1, 30) n
            """
        )
    done = letters(two_topics, "discard", "--every-topic")
    assert (done.code, done.out) == (1, "")
    heading, first, *lines = done.err.splitlines()
    assert heading.split() == ["topic", "dead", "letters", "reason"]
    assert first.split()[:3] == ["many", "4", "long"]
    assert len(first) < 200
    assert len(lines) == 11
    assert lines[-2] == "and 22 more with 22 other reasons"
    assert lines[-1] == "projector: this would delete 35 dead letters permanently: add --yes to do it"
    one = letters(two_topics, "discard", "0", "2")
    assert "activity-log  1             not JSON" in one.err
    assert "this would delete 1 dead letter" in one.err
