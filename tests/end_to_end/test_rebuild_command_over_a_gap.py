"""`projector rebuild --from activity-logs` as a command: another database, and the gap that stops a member."""

from collections.abc import Iterator

import psycopg
import pytest
from activity_table import create_activity_table, insert_activities
from cluster import Cluster
from projecting import query as query
from psycopg import sql
from reconciling import Log, request
from rows import Columns, answer


@pytest.fixture
def log(database_url: str, kafka: str, topic: str) -> Iterator[Log]:
    with Log(database_url, kafka, topic) as log:
        log.produce(request(0, "a"), request(1, "b"), answer(2, "completed", of="a", text="one"))
        yield log.produce(request(3, "c")).project()


@pytest.fixture
def platform(database_url: str, maintenance: psycopg.Connection) -> Iterator[str]:
    """The platform's own database."""
    name = database_url.rsplit("/", 1)[1] + "_platform"
    maintenance.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    url = database_url.rsplit("/", 1)[0] + "/" + name
    create_activity_table(url)
    yield url
    maintenance.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def write(platform: str, *rows: Columns) -> None:
    with psycopg.connect(platform) as conn:
        insert_activities(conn, *rows)


def test_activity_table_is_read_where_the_setting_names(log: Log, platform: str) -> None:
    write(platform, request(0, "a", status="completed", response_body={"text": "one"}), request(1, "b"))
    missing = log.run("verify", "--from", "activity-logs")
    assert missing.code == 2
    assert "the database has no table activity_logs: set PROJECTOR_ACTIVITY_DATABASE_URL" in missing.err
    found = log.run("verify", "--from", "activity-logs", "--json", activity_database_url=platform).json()
    assert (found["source"], found["drift"], found["not_covered"]) == ("table activity_logs", 0, 1)


def test_gap_stops_a_member_until_the_named_rebuild(cluster: Cluster, log: Log, platform: str) -> None:
    deleted = [answer(10, "completed", of="b", text="two"), request(11, "lost")]
    write(platform, request(0, "a", status="completed", response_body={"text": "one"}), request(1, "b"), *deleted)
    log.produce(*deleted, request(12, "next")).shorten({0: 6})
    stopped = cluster.start_member(log_format="human")
    assert stopped.exit_code() == 4
    (sentence,) = [line for line in stopped.text().splitlines() if line.startswith("projector: ")]
    assert f"partition 0 of {log.name} was projected up to offset 4, and the partition holds 6 to 7" in sentence
    assert "2 records were deleted by retention" in sentence
    assert "`projector rebuild --from activity-logs` repairs it" in sentence
    refused = log.run("verify")
    assert refused.code == 4
    assert "`projector rebuild --from activity-logs` repairs it" in refused.err
    repaired = log.run("rebuild", "--from", "activity-logs", activity_database_url=platform)
    written = "1 row inserted, 1 updated, 0 deleted"
    expected = f"the view equals the source now: {written}. This is not proved for 1 row not covered"
    assert (repaired.code, repaired.out.splitlines()[-1]) == (0, expected)
    cluster.start_member().wait_for_log("partition claimed", times=3)
    cluster.wait_until_more_projected_than(6)
    assert log.statuses() == {"a": "completed", "b": "completed", "c": "queued", "lost": "queued", "next": "queued"}
    assert query(log.conn, "SELECT result_preview FROM delegations WHERE delegation_id = 'b'") == ["two"]
    verified = log.run("verify")
    assert (verified.code, verified.err.count("projector: ")) == (6, 0), "every row is older than the shortened log"
