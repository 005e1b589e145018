"""`projector explain` begins with its verdict, which agrees with what it shows, and ends with an exit code for it."""

import json
from contextlib import closing
from typing import Any

import pytest
from commands import CommandResult, run_projector
from explaining import PARTITIONS, Platform
from kafka import KafkaAdminClient, TopicPartition
from rows import CALLER, UNAVAILABLE_VALUE, Columns, answer, at, delegate, heartbeat, updated
from topics import create_topic

ROW = "a0a0a0a0-0000-4000-8000-000000000001"
KEYED: Any = {"idempotency_key": "k"}
WINNER = delegate(0, request_body={"delegation_id": "d-2", "task": "t"}, **KEYED)


@pytest.fixture
def platform(kafka: str, database_url: str) -> Platform:
    return Platform(kafka, create_topic(kafka, partitions=PARTITIONS), database_url)


def verdict(minute: int, status: str, *, silent_since: str | None, of: str = "d-1") -> Columns:
    body = {"delegation_id": of, "silent_since": silent_since}
    row: Columns = {"activity_type": "delegation", "method": "verdict", "status": status, "request_body": body}
    return row | {"error_detail": "no sign of life", "created_at": at(minute)}


def check(platform: Platform, word: str, code: int, *arguments: str, of: str = "d-1") -> tuple[list[str], Any]:
    """Explain a delegation twice; returns the lines of the text and the JSON. Both have this verdict and exit code."""
    text, done = platform.explain(of, *arguments), platform.explain(of, "--json", *arguments)
    report = done.json()
    assert (report["verdict"], done.code, text.code, done.err, text.err) == (word, code, code, "", "")
    lines = text.out.splitlines()
    assert lines[0] == report["sentence"]
    if report["advice"]:
        assert lines[1] == report["advice"]
    return lines, report


# --- in the view


def test_row_of_the_log_is_equal(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)), platform.send(answer(1, "completed")))
    lines, _ = check(platform, "equal", 0)
    assert lines[:2] == ["delegation d-1 is in the view with status completed, as the log says", ""]


def test_row_edited_by_hand_differs(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    platform.damage("UPDATE delegations SET status = 'failed', error_detail = 'by hand'")
    lines, report = check(platform, "differs", 3)
    assert lines[0] == "delegation d-1 is in the view, but differs from the log in status, error_detail"
    assert "`projector rebuild --only d-1`" in lines[1]
    assert report["differences"] == ["status", "error_detail"]


def test_dead_letter_of_a_row_that_is_fine_is_mentioned(platform: Platform) -> None:
    asked = platform.send(delegate(0))
    wrong = platform.send({**answer(1, "completed"), "response_body": {"delegation_id": "d-1", "text": 7}}, minute=1)
    platform.project(asked, wrong)
    lines, _ = check(platform, "equal", 0)
    assert lines[0] == (
        "delegation d-1 is in the view with status queued, as the log says. A dead letter mentions it "
        f"({wrong.partition}:{wrong.offset}): response_body.text must be a text: found 7"
    )


def test_refused_update_names_its_dead_letter(platform: Platform) -> None:
    platform.project(platform.send(delegate(0)))
    platform.damage("ALTER TABLE delegations ADD CONSTRAINT short CHECK (result_preview <> 'long')")
    record = platform.send(answer(1, "completed", text="long"), minute=1)
    platform.project(record)
    lines, _ = check(platform, "differs", 3)
    assert "and Postgres refused a record" in lines[0]
    assert '"short"' in lines[0]
    assert lines[1] == f"Fix the cause, then `projector dead-letters retry {record.partition} {record.offset}`."


def test_direct_write_is_told_after_the_whole_log_was_read(platform: Platform) -> None:
    for partition in range(PARTITIONS):
        platform.send({"activity_type": "other"}, partition=partition)
    platform.damage(_insert("d-1"))
    lines, report = check(platform, "not_in_log", 3)
    assert lines[0] == (
        "delegation d-1 is in the view, but no record of the log requests it: the row was written directly"
    )
    assert {each["partition"]: each["to"] for each in report["looked_at"]["ranges"]} == dict.fromkeys(range(6), 1)
    assert report["looked_at"]["widened"]


def test_row_of_a_log_without_its_beginning_is_not_covered(platform: Platform) -> None:
    platform.damage(_insert("d-1"))
    platform.send({"activity_type": "other"}, partition=0)
    _delete_records(platform, 0, 1)
    lines, _ = check(platform, "not_covered", 6)
    assert "the log does not have all records: the row is older, or was written directly" in lines[0]
    assert "--recording" in lines[1]


def test_stored_row_whose_request_lost_its_key_is_no_row_of_the_log(platform: Platform) -> None:
    platform.project(platform.send(WINNER), platform.send(delegate(1, **KEYED), minute=1))
    platform.damage(_insert("d-1"))
    lines, _ = check(platform, "not_in_log", 3)
    assert 'repeats the idempotency key "k" of caller' in lines[0]


# --- not in the view


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
        f"delegation d-1 is not in the view, as the log says: its request ({partition}:1) repeats the idempotency key "
        f'"k" of caller {CALLER}, which delegation d-2 holds. Events are parked for it (1); they will never be applied'
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
    _delete_records(platform, records[0].partition, 2)
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
    assert f"searched partition {record.partition}, offsets 0 to 0; all of 6 partitions, 1 records" in lines
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


# --- between partitions


def test_order_between_partitions_is_no_drift(platform: Platform) -> None:
    asked = platform.send(delegate(0), partition=0)
    completed = platform.send(answer(1, "completed"), minute=1, partition=1)
    failed = platform.send(answer(2, "failed"), minute=2, partition=2)
    platform.project(asked, failed, completed)
    lines, _ = check(platform, "order_unknown", 0)
    assert "the order between partitions is not known" in lines[0]
    platform.damage("UPDATE delegations SET task_preview = 'by hand'")
    check(platform, "differs", 3)


# --- verdicts of a sweeper


def test_stale_verdict_shows_its_evidence_and_the_later_sign_of_life(platform: Platform) -> None:
    values = [delegate(0), heartbeat(10), verdict(11, "stuck", silent_since=at(5))]
    platform.project(*[platform.send(value, minute=minute) for minute, value in enumerate(values)])
    lines, report = check(platform, "equal", 0)
    last = report["records"][-1]
    assert (last["said"], last["silent_since"], last["outcome"]) == ("verdict, stuck", at(5), "stale")
    assert last["sentence"] == (
        f"the row was updated at {at(10)}, later than the verdict's evidence: silent since {at(5)}"
    )
    assert any("verdict, stuck, silent since 2025-05-05 10:05:00" in line for line in lines)


def test_parked_verdict_shows_its_evidence(platform: Platform) -> None:
    platform.project(platform.send(verdict(11, "stuck", silent_since=at(5))))
    lines, report = check(platform, "not_requested", 0)
    assert report["parked"][0]["silent_since"] == at(5)
    assert any("stuck (a verdict; silent since 2025-05-05 10:05:00), from" in line for line in lines)


def _insert(delegation_id: str) -> str:
    columns = "delegation_id, caller_id, callee_id, task_preview"
    return f"INSERT INTO delegations ({columns}) VALUES ('{delegation_id}', '{CALLER}', '{CALLER}', 't')"


def _settings(platform: Platform) -> dict[str, str]:
    return {
        "database_url": platform.database_url,
        "bootstrap_servers": platform.bootstrap_servers,
        "topic": platform.topic,
    }


def _delete_records(platform: Platform, partition: int, before: int) -> None:
    with closing(KafkaAdminClient(bootstrap_servers=platform.bootstrap_servers)) as admin:
        admin.delete_records({TopicPartition(platform.topic, partition): before})
