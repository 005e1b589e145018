"""A platform that writes its table, its feed, the processes of the projector, and the models that judge them."""

import json
from collections.abc import Set
from datetime import timedelta
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from cluster import Cluster, Member, wait_until
from commands import CommandResult, run_projector
from staged_process import Process

from testbed.change_stream import ChangeStream
from testbed.oracle import (
    EndsToTell,
    Judgement,
    Overdue,
    Rules,
    SwitchedOn,
    Told,
    Truth,
    faults,
    inbox_differences,
    judge,
    overdue,
    read_inbox,
    read_truth,
)
from testbed.workload.acting import Act
from testbed.workload.platform import Platform

LONGER_THAN_A_ROUND = Rules(stuck_after=timedelta(seconds=1100))
"""With these rules, who speaks in a round stays alive until its end. The others have been silent for longer."""
PUSH = {"result_push": "inbox"}
SETTLE_SECONDS = 900.0
"""The longest wait for feed and projector: in a long round they are behind a writer at full speed."""
DRAIN_SECONDS = 180.0
"""The longest wait for replies: that to an answer without a text is due after half a minute."""


class Stage:
    """`cluster` has the members and the records that the feed delivered, in their order.

    The view is in the database `url`, and so is the table, unless it is in that of `activity_url`.
    """

    def __init__(self, url: str, kafka: str, topic: str, folder: Path, activity_url: str = "") -> None:
        self.rules = Rules()
        self.cluster = Cluster(url, kafka, topic, folder)
        self._url, self._activity_url, self._folder = url, activity_url or url, folder
        self.platform = Platform(self._activity_url)
        self.platform.create()
        self.feed = ChangeStream(self._activity_url, kafka, topic, self.cluster.acknowledged.append)
        self.feed.create()
        self.feed.start()
        self._processes: list[Process] = []
        self._to_tell: tuple[EndsToTell, int] | None = None

    # --- the projector

    def start(self, *arguments: str, **settings: str) -> Process:
        """Start a long-running command with these settings (without their prefix)."""
        log = self._folder / f"{arguments[0]}-{len(self._processes)}.log"
        process = Process(arguments, self.cluster.settings(**self._elsewhere(), **settings), log)
        self._processes.append(process)
        return process

    def run(self, *arguments: str, **settings: str) -> CommandResult:
        """Run a command to its end."""
        place = {"database_url": self._url, "bootstrap_servers": self.cluster.bootstrap_servers, **self._elsewhere()}
        topic = self.cluster.topic
        return run_projector(*arguments, **{**place, "topic": topic, "group_id": f"group-{topic}", **settings})

    def _elsewhere(self) -> dict[str, str]:
        return {"activity_database_url": self._activity_url} if self._activity_url != self._url else {}

    def last_line(self, *arguments: str, **settings: str) -> dict[str, Any]:
        """Run a command that must succeed; returns the last line of its output, which is JSON."""
        result = self.run(*arguments, **settings)
        assert result.code == 0, f"{arguments} ended with {result.code}:\n{result.out[-2000:]}\n{result.err[-3000:]}"
        found: dict[str, Any] = json.loads(result.out.splitlines()[-1])
        return found

    def sweep(self, *arguments: str, **settings: str) -> dict[str, Any]:
        """Make one pass; returns its counts."""
        return self.last_line("sweep", "--once", "--json", *arguments, **self.thresholds(), **settings)

    def thresholds(self) -> dict[str, str]:
        """Return the settings of a sweeper that keeps to `rules`."""
        return {"stuck_after_seconds": str(int(self.rules.stuck_after.total_seconds()))}

    def start_sweeper(self) -> Process:
        """Start a sweeper that passes every second."""
        return self.start("sweep", sweep_interval_seconds="1", **self.thresholds())

    def sweep_all(self, **settings: str) -> None:
        """Pass until no pass writes anything."""
        for _ in range(5):
            self.settle()
            if self.sweep(sweep_max_failed="1000000", **settings)["verdicts"] == {"stuck": 0, "failed": 0}:
                return
        raise AssertionError("5 passes were not enough")

    def settle(self) -> None:
        """Block until everything that is committed now is in the topic and projected; replies may follow."""
        self.feed.wait_until_delivered(SETTLE_SECONDS)
        ends = self.cluster.end_offsets()

        def reached() -> bool:
            positions = self.cluster.positions()
            return all(positions.get(partition, 0) >= end for partition, end in ends.items())

        wait_until(reached, f"positions from {ends} on", SETTLE_SECONDS)

    def project(self) -> None:
        """Start a member and settle."""
        self.cluster.start_member()
        self.settle()

    # --- the table

    def play(self, act: Act, count: int = 1, **people: bool) -> set[str]:
        """Play delegations from beginning to end; returns their ids."""
        return {each.id for each in self.platform.play(act, count, **people)}

    def ids(self, *acts: Act) -> set[str]:
        """Return the delegations that these acts played."""
        return {each.id for act in acts for each in self.platform.of(act)}

    def query(self, statement: LiteralString, *parameters: object) -> list[tuple[Any, ...]]:
        """Ask the database of the view."""
        with psycopg.connect(self._url, autocommit=True) as conn:
            return conn.execute(statement, parameters or None).fetchall()

    def connect(self) -> psycopg.Connection[Any]:
        """Return a connection to the database of the table."""
        return psycopg.connect(self._activity_url)

    def truth(self) -> Truth:
        with self.connect() as conn:
            return read_truth(conn)

    def waiting_sessions(self) -> int:
        """Return the number of sessions of the projector that wait for a lock."""
        [(count,)] = self.query(
            """SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'
                  AND application_name LIKE 'projector%'"""
        )
        return int(count)

    def is_in_a_pass(self) -> bool:
        """Whether a sweeper is in its pass: then it holds an advisory lock."""
        return bool(self.query("SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted"))

    def verdicts(self) -> list[str]:
        """Return the delegation of each verdict in the table, sorted."""
        with self.connect() as conn:
            rows = conn.execute("SELECT request_body ->> 'delegation_id' FROM activity_logs WHERE method = 'verdict'")
            return sorted(row[0] for row in rows)

    # --- what must be true

    def overdue(self) -> dict[str, Overdue]:
        """Return what a pass must write now, by the model."""
        return overdue(self.cluster.expected().rows, self.truth(), self.platform.table.now(), self.rules)

    def judge(self) -> list[Judgement]:
        """Judge every verdict in the log; fails with the faults."""
        judgements = judge(self.cluster.acknowledged, self.truth(), self.rules)
        assert faults(judgements) == []
        return judgements

    def assert_swept(self, *, silent: set[str]) -> list[Judgement]:
        """Settle; each of these delegations has an effective verdict, and nothing in log, view or truth is wrong."""
        self.settle()
        judgements = self.judge()
        self.cluster.assert_view_equals_log()
        self.cluster.assert_nothing_dropped()
        assert silent <= {each.delegation_id for each in judgements if each.outcome == "advanced"}
        assert self.overdue() == {}, "the model would write more"
        return judgements

    def switched_on(self) -> SwitchedOn:
        """Return since when results are pushed; fails if push was not switched on."""
        [(at,)] = self.query("SELECT switched_on_at FROM projector.push WHERE topic = %s", self.cluster.topic)
        positions = self.query(
            "SELECT partition, next_offset FROM projector.push_from WHERE topic = %s", self.cluster.topic
        )
        return SwitchedOn(at, dict(positions))

    def to_tell(self) -> dict[str, Told]:
        """Return the ends that must be told, by the model, which goes on where it was."""
        model, known = self._to_tell or (EndsToTell(self.switched_on()), 0)
        new, now = self.cluster.acknowledged[known:], self.platform.table.now()
        for record in new:
            model.add(record, now=now)
        self._to_tell = model, known + len(new)
        return model.told(grace=timedelta(seconds=30))

    def due(self) -> int:
        """Return the number of replies that are neither sent nor given up."""
        [(count,)] = self.query("SELECT count(*) FROM projector.outbox WHERE ended_as IS NULL")
        return int(count)

    def switch_on(self) -> Member:
        """Start a member with the flag, and wait until push is switched on."""
        member = self.cluster.start_member(**PUSH)
        self.wait_until_switched_on()
        return member

    def wait_until_switched_on(self) -> None:
        wait_until(lambda: self.query("SELECT topic FROM projector.push"), "push is switched on")

    def start_relay(self, **settings: str) -> Process:
        """Start a relay that looks every second."""
        return self.start("push", "run", **{**PUSH, "push_interval_seconds": "1", **settings})

    def wait_until_drained(self) -> None:
        """Block until every queued reply is sent or given up."""
        self.settle()
        wait_until(lambda: not self.due(), "no reply is due", DRAIN_SECONDS)

    def inbox_faults(self, *, without: Set[str] = frozenset()) -> list[str]:
        """Compare the inboxes with the model, but not those of the delegations in `without`."""
        told = {each: expected for each, expected in self.to_tell().items() if each not in without}
        with self.connect() as conn:
            rows = read_inbox(conn)
        return inbox_differences(told, [row for row in rows if row.delegation_id not in without])

    def end(self) -> None:
        for process in self._processes:
            process.thaw()
            if process.is_running:
                process.kill()
        self.cluster.end()
        self.platform.stop()
        self.feed.drop()
