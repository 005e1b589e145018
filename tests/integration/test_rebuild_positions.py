"""`verify` and `rebuild` from the topic: the positions that they use and write, and protection against mistakes."""

from collections.abc import Iterator

import pytest
from reconciling import Log, change, plant, produce_whole, request
from rows import answer
from topics import create_topic

from projector.errors import Misconfigured, ProjectorError
from projector.rebuild.from_topic import FromTopic


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        yield log


@pytest.fixture
def whole(log: Log) -> Log:
    return produce_whole(log)


# --- positions


def test_partition_without_a_position_gets_the_shadows(whole: Log) -> None:
    reached, rows = whole.positions(), whole.rows()
    change(whole, "DELETE FROM positions WHERE partition = 1")
    change(whole, "DELETE FROM delegations WHERE delegation_id IN ('a', 'c')")
    assert whole.verify() == {"missing": 2}
    assert whole.rebuild() == (2, 0, 0)
    assert (whole.positions(), whole.rows()) == (reached, rows)


def test_lost_positions_are_restored(whole: Log) -> None:
    reached, versions = whole.positions(), whole.versions()
    change(whole, "DELETE FROM positions")
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert (whole.positions(), whole.versions()) == (reached, versions)
    whole.project()
    assert whole.verify() == {}


def test_view_is_compared_at_its_positions(whole: Log) -> None:
    whole.produce(answer(30, "completed", of="b"), request(31, "f"))
    assert whole.verify() == {}
    assert whole.rebuild() is None
    assert whole.project().verify() == {}


def test_empty_topic_changes_nothing(log: Log) -> None:
    plant(log, "adopted", 0)
    done = log.reconcile(repair=True)
    assert (done.written, done.report.drift, done.report.not_covered, done.report.totals.is_empty) == (None, 0, 1, True)
    assert log.rows().keys() == {"adopted"}


# --- protection against mistakes that look like drift


def test_topic_that_was_never_projected_is_refused(whole: Log, kafka: str, database_url: str) -> None:
    with Log(database_url, kafka, create_topic(kafka)) as other:
        other.produce(request(0, "else"))
        with pytest.raises(Misconfigured, match=r"no record of topic .* but records of .* set PROJECTOR_TOPIC"):
            other.rebuild()


def test_rows_of_another_topic_are_not_unexpected(whole: Log, kafka: str, database_url: str) -> None:
    with Log(database_url, kafka, create_topic(kafka)) as other:
        other.produce(request(0, "else")).project()
        change(whole, "DELETE FROM delegations WHERE delegation_id IN ('a', 'else')")
        assert (whole.rebuild(), other.rebuild()) == ((1, 0, 0), (1, 0, 0))
    assert whole.rows().keys() == {"a", "b", "c", "d", "else"}


def test_selected_rebuild_leaves_unprojected_partitions_to_members(log: Log) -> None:
    log.produce(request(0, "a"), request(1, "b"))
    assert log.rebuild(only={"a"}) == (1, 0, 0)
    assert log.positions() == {}
    assert log.project().statuses() == {"a": "queued", "b": "queued"}


def test_verify_skips_unprojected_partitions(log: Log) -> None:
    log.produce(request(0, "a"))
    assert log.verify(source=FromTopic(log.topic, ahead=False)) == {}


def test_row_older_than_a_recreated_topic_is_kept(whole: Log) -> None:
    plant(whole, "older", -60)
    change(whole, "UPDATE delegations SET status = 'failed', retry_count = 2 WHERE delegation_id = 'older'")
    whole.produce(request(-60, "older"), answer(20, "completed", of="older"), minute=20).project()
    before = whole.rows()["older"]
    assert whole.rebuild() is None
    assert whole.rows()["older"] == before


def test_record_refused_in_the_shadow_stops_the_rebuild(whole: Log) -> None:
    whole.conn.execute("ALTER TABLE projector_shadow.delegations ADD CHECK (delegation_id <> 'b')")
    with pytest.raises(ProjectorError, match=r"Postgres refused a record in the shadow .*: Postgres refused it"):
        whole.rebuild()
    assert "b" in whole.rows()
