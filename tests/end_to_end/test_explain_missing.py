"""`projector explain` of a delegation that is not in the view: why, and what to do about it."""

import json
from typing import Any

import pytest
from commands import CommandResult, run_projector
from explaining import PARTITIONS, Platform, check, delete_records
from rows import CALLER, UNAVAILABLE_VALUE, answer, delegate, heartbeat, updated
from topics import create_topic

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}
WINNER = delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED)


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


@pytest.mark.parametrize(
    ("columns", "reason"),
    [
        ({"source_id": "agent-7"}, 'source_id must be a uuid: found "agent-7"'),
        ({"status": "wrong"}, 'unknown status "wrong"'),
        ({"method": "delegat"}, 'unknown method "delegat"'),
        ({"activity_type": None}, "activity_type must be a text: found null"),
        ({"activity_type": ...}, "in no known envelope"),
        ({"request_body": json.dumps({"delegation_id": "d-1", "task": 1})}, "request_body.task must be a text"),
    ],
    ids=["uuid", "status", "method", "type", "no type", "task"],
)
def test_request_that_cannot_be_read_must_be_sent_again(
    platform: Platform, columns: dict[str, Any], reason: str
) -> None:
    values = {name: value for name, value in (delegate(0) | columns).items() if value is not ...}
    record = platform.send(values)
    platform.project(record, platform.send(answer(1, "completed"), minute=1))
    lines, report = check(platform, "dead_letter", 3)
    place = f"{record.partition}:{record.offset}"
    assert lines[0].startswith(f"delegation d-1 is not in the view: its request ({place}) is a dead letter, because")
    assert reason in lines[0]
    assert lines[0].endswith(". Events are parked for it (1); they wait for it")
    assert lines[1] == (
        "A retry cannot help, because the record is wrong: the producer must send it again, corrected. "
        f"Then `projector dead-letters discard {record.partition} {record.offset}`."
    )
    assert "retry " not in "\n".join(lines[2:])
    assert [each["outcome"] for each in report["records"]] == ["dead_letter", "parked"]


def test_request_that_postgres_refused_can_be_retried(platform: Platform) -> None:
    platform.damage("ALTER TABLE delegations ADD CONSTRAINT few CHECK (task_preview <> 'count to three')")
    record = platform.send(delegate(0))
    platform.project(record)
    lines, _ = check(platform, "dead_letter", 3)
    assert lines[0].startswith(
        f"delegation d-1 is not in the view: its request ({record.partition}:0) is a dead letter, because Postgres "
    )
    assert lines[1] == f"Fix the cause, then `projector dead-letters retry {record.partition} 0`."
    platform.damage("ALTER TABLE delegations DROP CONSTRAINT few")
    run_projector("dead-letters", "retry", str(record.partition), "0", **_settings(platform))
    check(platform, "equal", 0)


def test_swallowed_request_names_the_trigger(platform: Platform) -> None:
    platform.damage("""
        CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER skip_insert BEFORE INSERT ON delegations FOR EACH ROW EXECUTE FUNCTION skip()
    """)
    platform.project(platform.send(delegate(0)))
    lines, _ = check(platform, "dead_letter", 3)
    assert "trigger skip_insert" in lines[0]


def test_request_with_a_body_that_was_left_out_can_be_retried(platform: Platform) -> None:
    bare = updated({**delegate(0, id=ROW), "request_body": UNAVAILABLE_VALUE, "summary": "d-1"}, 1)
    record = platform.send(bare)
    platform.project(record)
    lines, _ = check(platform, "dead_letter", 3)
    assert "REPLICA IDENTITY FULL" in lines[0]
    assert lines[1] == f"Fix the cause, then `projector dead-letters retry {record.partition} 0`."


def test_record_that_may_be_the_request_is_told_so(platform: Platform) -> None:
    platform.project(platform.send(b'{"half of": "d-1"'))
    lines, _ = check(platform, "dead_letter", 3)
    assert "is not in the view: what may be its request (" in lines[0]
    assert "is a dead letter, because not JSON" in lines[0]


def test_dead_letter_of_a_result_is_not_taken_for_the_request(platform: Platform) -> None:
    wrong = platform.send({**answer(1, "completed"), "status": "wrong"})
    platform.project(wrong, platform.send(heartbeat(2), minute=2))
    lines, _ = check(platform, "not_requested", 0)
    assert "no record requests it. Events are parked for it (1); they are kept until a request comes" in lines[0]
    assert f"A dead letter mentions it ({wrong.partition}:0)" in lines[0]


def test_repeated_request_names_holder_key_and_place(platform: Platform) -> None:
    records = [
        platform.send(WINNER),
        platform.send(delegate(1, **KEYED), minute=1),
        platform.send(answer(2, "completed"), minute=2),
    ]
    platform.project(*records)
    lines, report = check(platform, "repeated_request", 0)
    partition = records[0].partition
    assert lines[0] == (
        f"delegation d-1 is not in the view, in agreement with the log: its request ({partition}:1) repeats the "
        f'idempotency key "k" of caller {CALLER}, which delegation d-2 holds. Events are parked for it (1); '
        "they will never be applied"
    )
    assert lines[1] == (
        "`projector explain d-2` shows the delegation that it repeats. "
        "`projector parked discard d-1` deletes its parked events."
    )
    assert report["repeated_request"] == {
        "holder_id": "d-2",
        "place": {"topic": platform.topic, "partition": partition, "offset": 1},
        "caller_id": CALLER,
        "idempotency_key": "k",
    }


def test_repeated_request_is_remembered_without_its_record(platform: Platform) -> None:
    records = [platform.send(WINNER), platform.send(delegate(1, **KEYED), minute=1)]
    platform.project(*records)
    delete_records(platform, records[0].partition, 2)
    lines, _ = check(platform, "repeated_request", 0)
    assert f'({records[0].partition}:1) repeats the idempotency key "k" of caller {CALLER}' in lines[0]
    assert "delegation d-2 holds" in lines[0]


def test_deleted_row_is_missing(platform: Platform) -> None:
    record = platform.send(delegate(0, "dispatched"))
    platform.project(record)
    platform.damage("DELETE FROM delegations")
    lines, _ = check(platform, "missing", 3)
    assert lines[0] == (
        f"delegation d-1 is not in the view, although the log requests it ({record.partition}:0); "
        "its status is dispatched"
    )
    assert lines[1] == "`projector rebuild --only d-1` restores the row."


def test_id_that_nothing_mentions_is_not_found(platform: Platform) -> None:
    record = platform.send(delegate(0))
    lines, report = check(platform, "not_found", 6, "--caller", CALLER, of="d-10")
    assert lines[0] == (
        "delegation d-10 was not found: it has no row and no parked event, and no record that was read is about it"
    )
    assert f"searched partition {record.partition}, offsets 0 to 0; all of 6 partitions, 1 record" in lines
    assert report["looked_at"]["widened"]


def test_records_that_only_mention_the_id_are_counted(platform: Platform) -> None:
    platform.send({**delegate(0), "activity_type": "delegations"})
    lines, report = check(platform, "not_found", 6)
    assert lines[0].endswith("about it; 1 record only mentions it")
    assert [each["outcome"] for each in report["records"]] == ["unrelated"]


def test_common_word_is_not_found_in_times_and_texts(platform: Platform) -> None:
    platform.project(
        platform.send({"activity_type": "other", "created_at": "2025-05-05T10:42:00Z", "summary": "took 42 s"}),
        platform.send(b'{"half": "10:42:00"'),
        platform.send({"activity_type": "other", "request_body": json.dumps({"delegation_id": "42"})}),
    )
    _, report = check(platform, "not_found", 6, of="42")
    assert [each["offset"] for each in report["records"]] == [2]


def test_id_that_is_not_utf_8_is_refused(platform: Platform) -> None:
    done: CommandResult = platform.explain("d\udcff")
    assert (done.code, done.out) == (2, "")
    assert "is not UTF-8" in done.err


def _settings(platform: Platform) -> dict[str, str]:
    return {
        "database_url": platform.database_url,
        "bootstrap_servers": platform.bootstrap_servers,
        "topic": platform.topic,
    }
