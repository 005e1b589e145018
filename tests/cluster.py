"""The cluster of a test: a real Kafka and Postgres, members as real processes, a producer and the oracle."""

import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
from commands import start
from kafka import KafkaAdminClient

from projector.domain.outcomes import Outcome
from testbed.oracle import Expected, differences, fold_log, stored_rows
from testbed.producer import publish
from testbed.recording import AcknowledgedRecord
from testbed.workload import Mix, Record, records

TIMEOUT_SECONDS = 60.0
"""The timeout of every wait; no test measures time."""

SHORT_TIMEOUTS = {
    "PROJECTOR_SESSION_TIMEOUT_MS": "3000",
    "PROJECTOR_HEARTBEAT_INTERVAL_MS": "500",
    "PROJECTOR_IDLE_IN_TRANSACTION_TIMEOUT_MS": "2000",
    "PROJECTOR_LOCK_TIMEOUT_MS": "2000",
    "PROJECTOR_SUMMARY_SECONDS": "1",
}


def wait_until(condition: Callable[[], Any], what: str, seconds: float = TIMEOUT_SECONDS) -> Any:
    """Block until `condition` returns a true value, and return it; fails with `what` after the timeout."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)  # polling interval
    raise AssertionError(f"not within {seconds} seconds: {what}")


class Member:
    """A `projector run` as a process, with its JSON log."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], log: Path) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = start(["run", *arguments], environment, stderr=output)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def text(self) -> str:
        return self._log.read_text()

    def wait_for_log(self, message: str, times: int = 1) -> Any:
        """Block until the log has this many lines with this message; returns the last of them."""

        def nth_line() -> dict[str, Any] | None:
            lines = [line for line in self.lines() if line["message"] == message]
            return lines[times - 1] if len(lines) >= times else None

        return wait_until(nth_line, f"{message!r} in:\n{self.text()[-3000:]}")

    def signal(self, number: signal.Signals) -> Self:
        self.process.send_signal(number)
        return self

    def kill(self) -> None:
        self.signal(signal.SIGKILL).process.wait()

    def exit_code(self) -> int:
        return self.process.wait(timeout=TIMEOUT_SECONDS)

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


class Cluster:
    """`acknowledged` has the acknowledged records, in the order of the broker's answers."""

    def __init__(self, database_url: str, bootstrap_servers: str, topic: str, folder: Path) -> None:
        self.database_url = database_url
        self.bootstrap_servers = bootstrap_servers
        self.topic = topic
        self.acknowledged: list[AcknowledgedRecord] = []
        self._folder = folder
        self._members: list[Member] = []
        self._folded: tuple[int, Expected] | None = None

    def watch_positions(self) -> None:
        """Record every move of a position from now on, for `assert_projected_once`."""
        with psycopg.connect(self.database_url) as conn:
            conn.execute(
                """
                CREATE TABLE public.moves (partition int, start bigint, next_offset bigint);
                CREATE FUNCTION public.record_move() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO public.moves VALUES (NEW.partition, OLD.next_offset, NEW.next_offset);
                    RETURN NEW;
                END $$;
                CREATE TRIGGER record_move AFTER UPDATE OF next_offset ON projector.positions
                    FOR EACH ROW EXECUTE FUNCTION public.record_move()
                """
            )

    def assert_projected_once(self) -> None:
        """Check that no position went back, and that the moves together cover the whole log."""
        with psycopg.connect(self.database_url) as conn:
            backwards = conn.execute("SELECT * FROM public.moves WHERE next_offset <= start").fetchall()
            covered = conn.execute("SELECT partition, sum(next_offset - start) FROM public.moves GROUP BY 1").fetchall()
        assert backwards == []
        assert dict(covered) == self.end_offsets()

    def start_member(self, *arguments: str, **environment: str) -> Member:
        """Start `projector run` with these arguments and settings (without their prefix)."""
        member = Member(arguments, self.settings(**environment), self._folder / f"member-{len(self._members)}.log")
        self._members.append(member)
        return member

    def settings(self, **environment: str) -> dict[str, str]:
        """Return the environment of a member, with these settings (without their prefix) besides."""
        return {
            **os.environ,
            **SHORT_TIMEOUTS,
            "PROJECTOR_DATABASE_URL": self.database_url,
            "PROJECTOR_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "PROJECTOR_TOPIC": self.topic,
            "PROJECTOR_GROUP_ID": f"group-{self.topic}",
            "PROJECTOR_LOG_FORMAT": "json",
            **{f"PROJECTOR_{name.upper()}": value for name, value in environment.items()},
        }

    def publish(self, mix: Mix | Iterable[Record], *, per_second: float | None = None) -> None:
        """Publish these records, or those of a simulated platform, and wait until all of them are acknowledged."""
        publish(
            records(mix) if isinstance(mix, Mix) else mix,
            bootstrap_servers=self.bootstrap_servers,
            topic=self.topic,
            on_acknowledged=self.acknowledged.append,
            per_second=per_second,
        )

    @contextmanager
    def publishing(self, mix: Mix | Iterable[Record], *, per_second: float) -> Iterator[None]:
        """Publish in a thread for the length of the block; at its end all records are acknowledged."""
        failed: list[BaseException] = []

        def publish_all() -> None:
            try:
                self.publish(mix, per_second=per_second)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=publish_all)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        assert not failed, failed

    def end_offsets(self) -> dict[int, int]:
        """Partition → the offset after its last acknowledged record."""
        ends: dict[int, int] = {}
        for record in self.acknowledged:
            ends[record.partition] = max(ends.get(record.partition, 0), record.offset + 1)
        return ends

    def positions(self) -> dict[int, int]:
        with psycopg.connect(self.database_url) as conn:
            rows = conn.execute(
                "SELECT partition, next_offset FROM projector.positions WHERE topic = %s", [self.topic]
            ).fetchall()
        return dict(rows)

    def projected_records(self) -> int:
        return sum(self.positions().values())

    def wait_until_more_projected_than(self, records: int) -> None:
        """Block until more than this number of records are projected."""
        wait_until(lambda: self.projected_records() > records, f"more than {records} records projected")

    def committed_offsets(self) -> dict[int, int]:
        """The group's committed offsets: partition → offset."""
        with closing(KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)) as admin:
            offsets = admin.list_group_offsets({f"group-{self.topic}": None})[f"group-{self.topic}"]
        return {place.partition: offset.offset for place, offset in offsets.items()}

    def wait_until_caught_up(self) -> None:
        """Block until every position is at the end of its partition."""
        ends = self.end_offsets()
        try:
            wait_until(lambda: ends.items() <= self.positions().items(), "all positions at the end of their partitions")
        except AssertionError as error:
            logs = "\n".join(member.text()[-2000:] for member in self._members)
            raise AssertionError(f"positions {self.positions()} of {ends}:\n{logs}") from error

    def expected(self) -> Expected:
        """Fold the acknowledged records by the oracle, once for the same number of them."""
        count = len(self.acknowledged)
        if self._folded is None or self._folded[0] != count:
            self._folded = count, fold_log(self.acknowledged)
        return self._folded[1]

    def assert_view_equals_log(self) -> None:
        """Compare the whole table with the oracle's rows."""
        with psycopg.connect(self.database_url, autocommit=True) as conn:
            assert differences(self.expected().rows, stored_rows(conn)) == []

    def assert_nothing_dropped(self) -> None:
        """Check that exactly the unreadable records are dead letters, and that exactly the early events are parked."""
        expected = self.expected()
        unreadable = {(letter.partition, letter.offset) for letter in expected.dead_letters}
        dead_letters = {each[1:3]: (each.key, each.value) for each in self.acknowledged if each[1:3] in unreadable}
        with psycopg.connect(self.database_url) as conn:
            stored = conn.execute('SELECT partition, "offset", key, value FROM projector.dead_letters').fetchall()
            parked = conn.execute("SELECT delegation_id, count(*) FROM projector.parked GROUP BY 1").fetchall()
        assert {row[:2]: row[2:] for row in stored} == dead_letters
        assert len(stored) == len(dead_letters)
        assert dict(parked) == expected.parked

    def assert_all_is_well(self) -> None:
        """Wait until all is projected, and check that nothing is wrong, missing or projected twice."""
        self.wait_until_caught_up()
        self.assert_view_equals_log()
        self.assert_nothing_dropped()
        self.assert_projected_once()

    def assert_outcomes_counted_once(self) -> None:
        """Stop the members, and check that their counters add up to the oracle's; not after a SIGKILL."""
        counted: Counter[str] = Counter()
        for member in self._members:
            if member.process.poll() is None:
                assert member.signal(signal.SIGTERM).exit_code() == 0, member.text()[-2000:]
            for line in member.lines():
                if line["message"] in ("summary", "stopped"):
                    counted.update({outcome: line.get(outcome, 0) for outcome in map(str, Outcome)})
        assert +counted == +self.expected().outcomes

    def end(self) -> None:
        for member in self._members:
            member.end()
