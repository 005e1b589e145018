"""`verify` and `rebuild` from the topic: what of the view is drift, what stays as it is, and what is written."""

from collections.abc import Iterator

import pytest
from projecting import asked as told
from reconciling import At, Log, asked, change, plant
from rows import LEFT_OUT, answer, beat, updated
from topics import create_topic

from projector.errors import LogGap, Misconfigured, ProjectorError
from projector.kafka import reader as topic_module
from projector.rebuild.drift import Classification, DriftKind
from projector.rebuild.from_topic import FromTopic
from projector.rebuild.reconcile import TooManyDeletions


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


@pytest.fixture
def whole(log: Log) -> Log:
    """A log that never lost a record, projected: four delegations of which one is done, and one early result."""
    log.say(asked(0, "a"), asked(1, "b", idempotency_key="k-b"), answer(2, "completed", of="a", text="one"))
    log.say(asked(3, "c", idempotency_key="k-c"), asked(4, "d"), beat(5, of="d"), partition=1)
    return log.say(answer(6, "completed", of="e"), partition=2).projected()


@pytest.fixture
def shortened(log: Log) -> Log:
    """A log that begins 105 minutes after ten, since retention took what was before; all of it was projected.

    Gone are the requests of `moving`, `done` and `holder`, an early result of `early`, and the end of `done`.
    """
    log.say(asked(0, "moving"), asked(1, "done"), answer(2, "completed", of="done", text="long ago"))
    log.say(asked(3, "holder", idempotency_key="k"), answer(4, "completed", of="early", text="too early"))
    log.say(answer(100, "dispatched", of="moving"), asked(110, "young"), answer(111, "in_progress", of="moving"))
    log.say(answer(112, "failed", of="done", error="too late"), answer(113, "completed", of="young"))
    return log.projected().shorten({0: 5})


# --- a log that is whole


def test_view_that_equals_its_log_is_left_alone(whole: Log) -> None:
    versions, owners, reached = whole.versions(), whole.owners(), whole.positions()
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert (whole.versions(), whole.owners(), whole.positions()) == (versions, owners, reached)


def test_what_was_written_by_hand_is_written_back_and_nothing_else(whole: Log) -> None:
    rows, versions = whole.rows(), whole.versions()
    change(whole, "UPDATE delegations SET task_preview = 'edited', retry_count = 3 WHERE delegation_id = 'a'")
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    plant(whole, "planted", 60)
    assert whole.verify() == {"differs": 1, "missing": 1, "unexpected": 1}
    assert whole.rebuild() == (1, 1, 1)
    assert whole.rows() == rows
    assert {each for each in rows if whole.versions()[each] == versions[each]} == {"c", "d"}
    assert whole.verify() == {}


def test_report_tells_columns_and_values(whole: Log) -> None:
    change(whole, "UPDATE delegations SET status = 'queued', result_preview = NULL WHERE delegation_id = 'a'")
    report = whole.reconcile().report
    assert (report.records, report.drift, report.not_covered) == (7, 1, 0)
    assert report.columns == {"status": 1, "result_preview": 1}
    (example,) = report.examples
    assert example.columns == {"status": ("queued", "completed"), "result_preview": (None, "one")}


def test_every_column_is_compared(whole: Log) -> None:
    change(
        whole,
        """
        UPDATE delegations SET caller_id = gen_random_uuid(), callee_id = gen_random_uuid(), task_preview = 'x',
               status = 'stuck', last_heartbeat = now(), deadline = now(), result_preview = 'x', error_detail = 'x',
               retry_count = 7, created_at = now(), updated_at = now(), idempotency_key = 'x' WHERE delegation_id = 'd'
        """,
    )
    assert len(whole.reconcile().report.columns) == 12
    whole.rebuild()
    assert whole.verify() == {}


def test_two_rows_that_exchanged_their_keys_are_put_right(whole: Log) -> None:
    rows = whole.rows()
    exchange_keys(whole)
    assert whole.rebuild() == (0, 2, 0)
    assert whole.rows() == rows


def exchange_keys(log: Log) -> None:
    change(log, "UPDATE delegations SET idempotency_key = 'for a moment' WHERE delegation_id = 'b'")
    change(log, "UPDATE delegations SET idempotency_key = 'k-b' WHERE delegation_id = 'c'")
    change(log, "UPDATE delegations SET idempotency_key = 'k-c' WHERE delegation_id = 'b'")


def test_records_that_were_projected_and_never_parked_are_parked(whole: Log) -> None:
    before = whole.parked()
    change(whole, "DELETE FROM parked")
    assert whole.verify() == {"parked": 1}
    whole.rebuild()
    assert whole.parked() == before


def test_what_was_parked_by_hand_is_forgotten(whole: Log) -> None:
    before = whole.parked()
    change(
        whole,
        """
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at)
        SELECT topic, partition, 0, 'a', 'status', 'failed', now() FROM positions LIMIT 1
        """,
    )
    assert whole.verify() == {"parked": 1}
    whole.rebuild()
    assert whole.parked() == before


def test_what_is_parked_with_another_text_is_put_right(whole: Log) -> None:
    before = told(whole.conn, "SELECT status, result_preview FROM parked")
    change(whole, "UPDATE parked SET status = 'failed', result_preview = 'edited'")
    assert whole.verify() == {"parked": 1}
    whole.rebuild()
    assert told(whole.conn, "SELECT status, result_preview FROM parked") == before


def test_row_that_was_removed_comes_back_with_what_was_parked_meanwhile(whole: Log) -> None:
    before = whole.parked()
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'd'")
    whole.say(answer(10, "completed", of="d"), partition=1).projected()
    assert whole.parked() != before
    assert whole.rebuild() == (1, 0, 0)
    assert whole.statuses()["d"] == "completed"
    assert whole.parked() == before


def test_row_whose_request_is_only_parked_for_is_no_row(whole: Log) -> None:
    plant(whole, "e", 60)
    assert whole.rebuild() == (0, 0, 1)
    assert [each[0] for each in whole.parked()] == ["e"]


def test_dead_letters_stay_as_they_are(whole: Log) -> None:
    whole.say(b"no json").projected()
    change(whole, "UPDATE dead_letters SET reason = 'known to the operator'")
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    letters = told(whole.conn, "SELECT * FROM dead_letters")
    assert whole.rebuild() == (1, 0, 0)
    assert told(whole.conn, "SELECT * FROM dead_letters") == letters


# --- a log that retention has shortened, row by row as decision 0006 has it


def test_row_that_is_older_than_the_log_and_still_moves_stays_as_it_is_and_moves_on(shortened: Log) -> None:
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    before = shortened.rows()["moving"]
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows()["moving"] == before
    shortened.say(answer(130, "completed", of="moving")).projected()
    assert shortened.statuses()["moving"] == "completed"
    assert shortened.verify() == {}


def test_row_that_was_deleted_since_it_was_carried_over_is_not_made_again(shortened: Log) -> None:
    def delete() -> None:
        change(shortened, "DELETE FROM delegations WHERE delegation_id IN ('done', 'young')")

    done = shortened.reconcile(repair=True, progress=At(delete, "comparing"))
    assert done.applied == (1, 0, 0)
    assert shortened.rows().keys() == {"moving", "holder", "young"}


def test_row_that_ended_long_ago_stays_as_it_is(shortened: Log) -> None:
    versions = shortened.versions()
    report = shortened.reconcile(repair=True).report
    assert (report.drift, report.not_covered) == (0, 3)
    assert shortened.versions() == versions
    assert shortened.rows()["done"].result_preview == "long ago"


def test_row_that_is_in_the_log_and_not_in_the_view_is_inserted(shortened: Log) -> None:
    rows = shortened.rows()
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows() == rows


def test_young_row_that_is_not_in_the_log_is_deleted(shortened: Log) -> None:
    rows = shortened.rows()
    plant(shortened, "younger than the log", 106)
    plant(shortened, "older than the log", 104)
    assert shortened.rebuild() == (0, 0, 1)
    assert shortened.rows().keys() == rows.keys() | {"older than the log"}


def test_row_of_a_time_to_come_says_nothing_of_its_age_and_stays(shortened: Log) -> None:
    change(shortened, "UPDATE delegations SET created_at = now() + '1 year' WHERE delegation_id = 'done'")
    assert shortened.verify() == {}


def test_one_record_of_an_odd_time_does_not_move_the_horizon(shortened: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(topic_module, "FIRST_RECORDS", 20)
    shortened.say(asked(290, "gone"), asked(-900_000, "odd"), partition=1)
    shortened.say(*(asked(300 + n, f"new-{n}") for n in range(5)), partition=1).projected().shorten({1: 1})
    assert shortened.verify() == {}


def test_horizon_is_that_of_the_partition_whose_log_begins_last(shortened: Log) -> None:
    shortened.say(asked(0, "elsewhere"), asked(200, "latest"), partition=1).projected().shorten({1: 1})
    plant(shortened, "between the two", 150)
    assert shortened.verify() == {}
    plant(shortened, "after both", 206)
    assert shortened.verify() == {"unexpected": 1}


def test_partition_that_lost_its_whole_log_tells_nothing_of_what_was_before_its_last_record(shortened: Log) -> None:
    shortened.say(asked(0, "elsewhere"), partition=1).projected().shorten({1: 1})
    plant(shortened, "whenever", 100_000)
    assert shortened.verify() == {"unexpected": 1}  # the partition is there from its last record on
    change(shortened, "UPDATE positions SET record_at = NULL WHERE partition = 1")
    assert shortened.verify() == {}


def test_key_that_a_row_older_than_the_log_holds_stays_with_it(shortened: Log) -> None:
    repeated = asked(115, "repeat", idempotency_key="k"), answer(116, "completed", of="repeat")
    shortened.say(*repeated).projected()
    assert "repeat" not in shortened.rows()
    assert shortened.verify() == {}
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.rows().keys() == {"moving", "done", "holder", "young"}


def test_key_of_a_row_that_is_older_than_a_whole_log_stays_with_it(whole: Log) -> None:
    plant(whole, "adopted", -60, key="k")
    whole.say(asked(20, "repeat", idempotency_key="k"), answer(21, "completed", of="repeat")).projected()
    report = whole.reconcile(repair=True).report
    assert (report.drift, report.not_covered) == (0, 2)
    assert "repeat" not in whole.rows()


def test_what_is_parked_of_records_that_are_gone_heals_after_a_rebuild(shortened: Log) -> None:
    before = shortened.parked()
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    assert shortened.rebuild() == (1, 0, 0)
    assert shortened.parked() == before
    shortened.say(asked(3, "early"), minute=120).projected()
    assert shortened.rows()["early"].result_preview == "too early"
    assert shortened.verify() == {}


def test_body_that_was_left_out_is_that_of_a_row_that_is_gone(log: Log) -> None:
    row_id = "f0f0f0f0-0000-4000-8000-00000000000f"
    large = asked(0, "large", id=row_id, summary="x" * 2000)
    later = updated({**large, "status": "completed", "request_body": LEFT_OUT}, 100)
    log.say(large, {"created_at": large["created_at"], **later}).projected()
    assert log.statuses() == {"large": "completed"}
    log.shorten({0: 1})
    assert log.rebuild() is None
    assert log.statuses() == {"large": "completed"}
    assert told(log.conn, "SELECT count(*) FROM dead_letters") == [0]


def test_uncovered_rows_are_dropped_only_by_that_word(shortened: Log) -> None:
    change(shortened, "DELETE FROM delegations WHERE delegation_id = 'young'")
    done = shortened.reconcile(drop_uncovered=True, repair=True)
    assert done.applied == (1, 0, 3)
    assert done.report.not_covered == 0
    assert shortened.statuses() == {"young": "completed"}


def test_rows_older_than_a_whole_log_are_dropped_only_by_that_word(whole: Log) -> None:
    plant(whole, "adopted", -60)
    assert whole.rebuild() is None
    assert whole.rebuild(drop_uncovered=True) == (0, 0, 1)


# --- only some


def test_only_what_was_named_is_written(whole: Log) -> None:
    change(whole, "UPDATE delegations SET task_preview = 'edited' WHERE delegation_id IN ('a', 'b')")
    assert whole.rebuild(only=["b"]) == (0, 1, 0)
    assert {each: row.task_preview for each, row in whole.rows().items()} == {
        "a": "edited",
        "b": "do b",
        "c": "do c",
        "d": "do d",
    }
    assert whole.rebuild(only=["no such delegation"]) is None


def test_row_whose_key_another_row_holds_is_left_out_unless_that_one_is_named_too(whole: Log) -> None:
    change(whole, "DELETE FROM delegations WHERE delegation_id = 'b'")
    change(whole, "UPDATE delegations SET idempotency_key = 'k-b' WHERE delegation_id = 'c'")
    report = whole.reconcile(repair=True, only=["b"]).report
    assert (report.drift, report.verdicts[Classification.NOT_COVERED]) == (0, 1)
    assert whole.rebuild(only=["b", "c"]) == (1, 1, 0)
    assert whole.verify() == {}


def test_row_that_exchanged_its_key_is_left_out_unless_the_other_is_named_too(whole: Log) -> None:
    exchange_keys(whole)
    report = whole.reconcile(repair=True, only=["b"]).report
    assert (report.drift, report.verdicts[Classification.NOT_COVERED]) == (0, 1)
    assert whole.rebuild(only=["b", "c"]) == (0, 2, 0)


def test_ring_of_exchanged_keys_is_written_whole_or_not_at_all(whole: Log) -> None:
    whole.say(asked(8, "f", idempotency_key="k-f")).projected()
    exchange_keys(whole)
    change(whole, "UPDATE delegations SET idempotency_key = 'for a moment' WHERE delegation_id = 'f'")
    change(whole, "UPDATE delegations SET idempotency_key = 'k-f' WHERE delegation_id = 'b'")
    change(whole, "UPDATE delegations SET idempotency_key = 'k-c' WHERE delegation_id = 'f'")  # b → c → f → b
    for some in (["b"], ["b", "c"], ["c", "f"]):
        report = whole.reconcile(repair=True, only=some).report
        assert (report.drift, report.verdicts[Classification.NOT_COVERED]) == (0, len(some))
    assert whole.rebuild() == (0, 3, 0)
    assert whole.verify() == {}


def test_view_that_was_lost_is_written_anew_however_many_rows_it_had(log: Log) -> None:
    log.say(*(asked(n // 60, f"{n:04}", idempotency_key=f"k-{n}") for n in range(2100))).projected()
    rows = log.rows()
    change(log, "DELETE FROM delegations WHERE delegation_id > '0009'")
    assert log.rebuild() == (2090, 0, 0)
    assert log.rows() == rows


# --- positions


def test_partition_without_a_position_gets_that_of_the_shadow(whole: Log) -> None:
    reached, rows = whole.positions(), whole.rows()
    change(whole, "DELETE FROM positions WHERE partition = 1")
    change(whole, "DELETE FROM delegations WHERE delegation_id IN ('a', 'c')")
    assert whole.verify() == {"missing": 2}
    assert whole.rebuild() == (2, 0, 0)
    assert (whole.positions(), whole.rows()) == (reached, rows)


def test_positions_that_were_lost_are_found_again(whole: Log) -> None:
    reached, versions = whole.positions(), whole.versions()
    change(whole, "DELETE FROM positions")
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert (whole.positions(), whole.versions()) == (reached, versions)
    whole.projected()
    assert whole.verify() == {}


def test_view_is_compared_where_it_is_and_not_where_the_log_ends(whole: Log) -> None:
    whole.say(answer(30, "completed", of="b"), asked(31, "f"))
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert whole.projected().verify() == {}


def test_empty_topic_is_a_success_that_changes_nothing(log: Log) -> None:
    plant(log, "adopted", 0)
    done = log.reconcile(repair=True)
    assert (done.applied, done.report.drift, done.report.not_covered, done.report.empty) == (None, 0, 1, True)
    assert log.rows().keys() == {"adopted"}


def test_topic_that_lost_every_record_is_empty_too(shortened: Log) -> None:
    rows = shortened.rows()
    shortened.shorten({0: 10})
    done = shortened.reconcile(repair=True)
    assert (done.applied, done.report.drift, done.report.not_covered, done.report.empty) == (None, 0, 4, True)
    assert shortened.rows() == rows


def test_gap_is_found_before_anything_is_copied(shortened: Log) -> None:
    change(shortened, "UPDATE positions SET next_offset = 4 WHERE partition = 0")
    with pytest.raises(LogGap):
        shortened.verify()
    assert told(shortened.conn, "SELECT count(*) FROM projector_shadow.delegations") == [0]


def test_kinds_of_one_report_add_up(whole: Log) -> None:
    change(whole, "DELETE FROM delegations")
    report = whole.reconcile().report
    assert report.kinds == {DriftKind.MISSING: 4}
    assert report.drift == 4


# --- nets, for what looks like drift and is somebody's mistake


def test_another_topic_than_the_view_s_is_refused(whole: Log, kafka: str, database_url: str) -> None:
    with Log(database_url, kafka, create_topic(kafka)) as other:
        other.say(asked(0, "else"))
        with pytest.raises(Misconfigured, match=r"nothing of topic .* ever projected here, but of .* PROJECTOR_TOPIC"):
            other.rebuild()


def test_rows_of_another_topic_are_not_unexpected(whole: Log, kafka: str, database_url: str) -> None:
    with Log(database_url, kafka, create_topic(kafka)) as other:
        other.say(asked(0, "else")).projected()
        change(whole, "DELETE FROM delegations WHERE delegation_id IN ('a', 'else')")
        assert (whole.rebuild(), other.rebuild()) == ((1, 0, 0), (1, 0, 0))
    assert whole.rows().keys() == {"a", "b", "c", "d", "else"}


def test_much_of_the_view_is_not_deleted_unless_somebody_is_sure(whole: Log) -> None:
    for n in range(11):
        plant(whole, f"planted-{n}", 60)
    with pytest.raises(TooManyDeletions, match=r"11 of 15 rows would be deleted, .* nothing was written. .* say --yes"):
        whole.rebuild()
    assert len(whole.rows()) == 15
    assert whole.rebuild(confirmed=True) == (0, 0, 11)


def test_some_of_what_nobody_has_projected_yet_is_written_and_the_rest_is_left_to_members(log: Log) -> None:
    log.say(asked(0, "a"), asked(1, "b"))
    assert log.rebuild(only={"a"}) == (1, 0, 0)
    assert log.positions() == {}
    assert log.projected().statuses() == {"a": "queued", "b": "queued"}


def test_verify_passes_over_what_nobody_has_projected_yet(log: Log) -> None:
    log.say(asked(0, "a"))
    assert log.verify(source=FromTopic(log.topic, ahead=False)) == {}


def test_row_that_is_older_than_a_topic_made_anew_keeps_what_the_topic_does_not_know(whole: Log) -> None:
    plant(whole, "older", -60)
    change(whole, "UPDATE delegations SET status = 'failed', retry_count = 2 WHERE delegation_id = 'older'")
    whole.say(asked(-60, "older"), answer(20, "completed", of="older"), minute=20).projected()
    before = whole.rows()["older"]
    assert whole.rebuild() is None
    assert whole.rows()["older"] == before


def test_record_that_the_shadow_would_not_take_stops_it(whole: Log) -> None:
    whole.conn.execute("ALTER TABLE projector_shadow.delegations ADD CHECK (delegation_id <> 'b')")
    with pytest.raises(ProjectorError, match=r"the shadow would not take a record .*: Postgres refused it: .*check"):
        whole.rebuild()
    assert "b" in whole.rows()
