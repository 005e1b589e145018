"""The platform's table and its feed, on a real Postgres and a real Kafka: the log equals the table, in commit order."""

import base64
import json
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from testbed.change_stream import ChangeStream, Form
from testbed.oracle import Truth, fold_in_order, read_inbox, read_truth
from testbed.recording import AcknowledgedRecord
from testbed.servers.start import Postgres, start_postgres
from testbed.workload import acting, silences
from testbed.workload.feeds import UNAVAILABLE_VALUE
from testbed.workload.platform import Platform


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    options = ["wal_level=logical", "max_replication_slots=30", "fsync=off"]
    with start_postgres(tmp_path_factory.mktemp("logical"), options=options, own=True) as server:
        yield server


class Chain:
    """A platform, its feed, and the records that the feed delivered."""

    def __init__(self, url: str, kafka: str, topic: str, form: Form) -> None:
        self.url = url
        self.records: list[AcknowledgedRecord] = []
        self.platform = Platform(url)
        self.platform.create(replica_identity_full=form == "bare")
        # it confirms nothing by itself, so that `kill` repeats everything
        self.stream = ChangeStream(url, kafka, topic, self.records.append, form=form, confirm_seconds=1e9)
        self.stream.create()
        self.stream.start()

    def carried(self) -> list[AcknowledgedRecord]:
        self.stream.wait_until_delivered()
        return self.records

    def statuses(self) -> dict[str, str]:
        return {delegation_id: row.status for delegation_id, row in fold_in_order(self.carried()).rows.items()}

    def truth(self) -> Truth:
        with psycopg.connect(self.url) as conn:
            return read_truth(conn)

    def end(self) -> None:
        self.platform.stop()
        self.stream.drop()


@pytest.fixture
def chain(server: Postgres, kafka: str, topic: str) -> Iterator[Callable[..., Chain]]:
    """Create a chain in a database of its own."""
    with ExitStack() as stack:

        def create(form: Form = "debezium") -> Chain:
            name = topic.replace("-", "_")
            with psycopg.connect(server.url, autocommit=True) as conn:
                conn.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            created = Chain(make_conninfo(server.url, dbname=name), kafka, topic, form)
            stack.callback(created.end)
            return created

        yield create


@pytest.mark.parametrize("form", ["debezium", "bare"])
def test_log_has_every_end_that_was_played(chain: Callable[..., Chain], form: Form) -> None:
    played = chain(form)
    for act in (acting.answers, acting.answers_in_place, acting.ends_twice, acting.completes_before_its_text):
        played.platform.play(act, 3)
    played.platform.play(acting.fails, 3)
    played.platform.play(silences.falls_silent, 2)
    statuses = played.statuses()
    assert set(statuses) == {each.id for each in played.platform.played}
    for each in played.platform.played:
        expected = {"fails": "failed", "falls_silent": "dispatched"}.get(each.act.__name__, "completed")
        assert statuses[each.id] == expected, each.act.__name__
    assert len({each.value for each in played.records}) == len(played.records), "a change was carried twice"


def test_thread_plays_every_act_to_its_end(chain: Callable[..., Chain]) -> None:
    played = chain()
    acts: dict[acting.Act, float] = {
        acting.answers: 1.0,
        acting.loses_its_caller: 1.0,
        acting.repeats_with_its_key: 1.0,
    }
    played.platform.start(acts, delegations=12, per_second=20)
    played.platform.join()
    expected = fold_in_order(played.carried())
    assert {row.status for row in expected.rows.values()} == {"completed"}
    assert len(expected.rows) == 12
    assert len(expected.repeated) == len(played.platform.of(acting.repeats_with_its_key)) > 0
    gone = {each.id for each in played.platform.of(acting.loses_its_caller)}
    assert gone
    assert not [each for each in gone if played.truth().reports(each)], "their rows went with their workspace"


def test_paused_platform_writes_nothing_and_goes_on(chain: Callable[..., Chain]) -> None:
    played = chain()
    played.platform.pause()
    played.platform.start({acting.answers: 1.0}, delegations=3, per_second=50)
    assert played.carried() == []
    played.platform.resume()
    played.platform.join()
    assert set(played.statuses().values()) == {"completed"}


def test_paused_feed_carries_nothing_and_goes_on(chain: Callable[..., Chain]) -> None:
    played = chain()
    played.stream.pause()
    [done] = played.platform.play(acting.answers)
    with pytest.raises(AssertionError, match="has not delivered"):
        played.stream.wait_until_delivered(seconds=1)
    assert played.records == []
    played.stream.resume()
    assert played.statuses() == {done.id: "completed"}


def test_killed_feed_repeats_and_loses_nothing(chain: Callable[..., Chain]) -> None:
    played = chain()
    played.platform.play(acting.answers, 2)
    before = [each.value for each in played.carried()]
    played.stream.kill()
    played.platform.play(acting.fails)
    played.stream.start()
    assert [each.value for each in played.carried()][: 2 * len(before)] == before * 2
    assert sorted(played.statuses().values()) == ["completed", "completed", "failed"]


def test_stopped_feed_repeats_nothing(chain: Callable[..., Chain]) -> None:
    played = chain()
    played.platform.play(acting.answers, 2)
    before = len(played.carried())
    played.stream.stop()
    played.stream.start()
    assert len(played.carried()) == before


def test_order_is_that_of_the_commits(chain: Callable[..., Chain]) -> None:
    """The row that was written first is committed last."""
    played = chain()
    [delegated] = played.platform.play(silences.falls_silent)
    before = len(played.carried())
    row = "INSERT INTO activity_logs (workspace_id, activity_type, summary) VALUES (%s, 'agent_log', %s)"
    with psycopg.connect(played.url) as slow, psycopg.connect(played.url, autocommit=True) as fast:
        slow.execute(row, [delegated.caller, "first"])
        fast.execute(row, [delegated.caller, "second"])
        slow.commit()
    after = [json.loads(each.value or b"")["after"]["summary"] for each in played.carried()[before:]]
    assert after == ["second", "first"]


def test_large_task_is_left_out_of_an_update(chain: Callable[..., Chain]) -> None:
    """As with the default replica identity of a real platform; bare rows have it whole."""
    played = chain()
    delegated = played.platform.delegate(acting.answers)
    task = base64.b64encode(random.Random(7).randbytes(40_000)).decode()  # incompressible
    body = {"delegation_id": delegated.id, "task": task}
    delegated.request("pending", request_body=body)
    delegated.update("completed", text="done")
    last = json.loads(played.carried()[-1].value or b"")
    assert last["after"]["request_body"] == UNAVAILABLE_VALUE
    assert played.statuses() == {delegated.id: "completed"}


def test_large_answer_arrives_whole(chain: Callable[..., Chain]) -> None:
    played = chain()
    played.platform.play(acting.answers_at_length)
    answer = json.loads(played.carried()[-1].value or b"")["after"]["response_body"]
    assert len(json.loads(answer)["text"]) == acting.ONE_MEGABYTE


def test_snapshot_of_an_insert_shows_what_it_saw(chain: Callable[..., Chain]) -> None:
    played = chain()
    [first] = played.platform.play(silences.falls_silent)
    [second] = played.platform.play(silences.falls_silent)
    truth = played.truth()
    old, new = truth.request(first.id, first.caller), truth.request(second.id, second.caller)
    assert old is not None
    assert new is not None
    assert new.snapshot is not None
    assert int(new.snapshot.split(":")[0]) > old.xid, "the earlier row is visible"
    assert new.xid >= int(new.snapshot.split(":")[1]), "its own is not"


def test_inbox_of_the_platform_is_read(chain: Callable[..., Chain]) -> None:
    played = chain()
    [told] = played.platform.play(acting.is_told_by_the_platform)
    with psycopg.connect(played.url) as conn:
        [row] = read_inbox(conn)
    assert (row.delegation_id, row.workspace_id, row.target_id, row.status) == (told.id, told.caller, told.callee, "ok")


def test_feed_and_platform_outlive_a_restart_of_postgres(
    kafka: str, topic: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with start_postgres(tmp_path_factory.mktemp("own"), options=["wal_level=logical", "fsync=off"], own=True) as server:
        played = Chain(server.url, kafka, topic, "debezium")
        try:
            played.platform.start({acting.answers: 1.0}, delegations=20, per_second=20)
            server.restart("immediate")
            played.platform.join()
            assert list(played.statuses().values()) == ["completed"] * 20
        finally:
            played.end()
