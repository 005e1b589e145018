"""A scene of real parts: a topic with a platform that writes to it, members as real processes, and a judge."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import psycopg
from kafka import KafkaAdminClient

from projector.domain.outcomes import Outcome
from testbed.oracle import differences, fold_log, stored_rows
from testbed.producer import publish
from testbed.recording import AcknowledgedRecord
from testbed.workload import Mix, Record, records

SECONDS = 60.0
"""The longest that a scene waits for a fact; no test measures time."""

IMPATIENT = {
    "PROJECTOR_SESSION_TIMEOUT_MS": "3000",
    "PROJECTOR_HEARTBEAT_INTERVAL_MS": "500",
    "PROJECTOR_IDLE_IN_TRANSACTION_TIMEOUT_MS": "2000",
    "PROJECTOR_LOCK_TIMEOUT_MS": "2000",
    "PROJECTOR_SUMMARY_SECONDS": "1",
}


def until(fact: Callable[[], Any], what: str, seconds: float = SECONDS) -> Any:
    """Wait for a fact, and return it; fails by naming what never came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := fact():
            return found
        time.sleep(0.02)  # between two looks at the fact
    raise AssertionError(f"never in {seconds} seconds: {what}")


class Process:
    """A `projector run`, and what it said: a dictionary for each line of its log."""

    def __init__(self, arguments: Sequence[str], environment: dict[str, str], said: Path) -> None:
        self._said = said
        with said.open("ab") as out:
            command = [sys.executable, "-m", "projector", "run", *arguments]
            self.process = subprocess.Popen(command, env={**os.environ, **environment}, stderr=out)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text().splitlines() if line.startswith("{")]

    def text(self) -> str:
        return self._said.read_text()

    def says(self, message: str, times: int = 1) -> Any:
        """The line with this message, once it is said so often."""

        def found() -> dict[str, Any] | None:
            said = [line for line in self.lines() if line["message"] == message]
            return said[times - 1] if len(said) >= times else None

        return until(found, f"{message!r} in:\n{self.text()[-3000:]}")

    def signal(self, number: signal.Signals) -> Self:
        self.process.send_signal(number)
        return self

    def kill(self) -> None:
        self.signal(signal.SIGKILL).process.wait()

    def exit_code(self) -> int:
        return self.process.wait(timeout=SECONDS)

    def end(self) -> None:
        if self.process.poll() is None:
            self.signal(signal.SIGCONT)
            self.kill()


class Cluster:
    """`acknowledged` is what the broker took, in the order in which it answered."""

    def __init__(self, database_url: str, bootstrap_servers: str, topic: str, folder: Path) -> None:
        self.database_url = database_url
        self.bootstrap_servers = bootstrap_servers
        self.topic = topic
        self.acknowledged: list[AcknowledgedRecord] = []
        self._folder = folder
        self._members: list[Process] = []

    def watch_positions(self) -> None:
        """Note every move of a position from now on, for `nothing_twice`."""
        with psycopg.connect(self.database_url) as conn:
            conn.execute(
                """
                CREATE TABLE public.moves (partition int, was bigint, now bigint);
                CREATE FUNCTION public.note_move() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    INSERT INTO public.moves VALUES (NEW.partition, OLD.next_offset, NEW.next_offset);
                    RETURN NEW;
                END $$;
                CREATE TRIGGER note_move AFTER UPDATE OF next_offset ON projector.positions
                    FOR EACH ROW EXECUTE FUNCTION public.note_move()
                """
            )

    def nothing_twice(self) -> None:
        """Each stretch of the log was passed once: no position ever went back, and together they span the log."""
        with psycopg.connect(self.database_url) as conn:
            backwards = conn.execute("SELECT * FROM public.moves WHERE now <= was").fetchall()
            spanned = conn.execute("SELECT partition, sum(now - was) FROM public.moves GROUP BY 1").fetchall()
        assert backwards == []
        assert dict(spanned) == self.ends()

    def member(self, *arguments: str, **environment: str) -> Process:
        """Start a member, or with `--members` several; `environment` without the prefix."""
        settings = {
            **IMPATIENT,
            "PROJECTOR_DATABASE_URL": self.database_url,
            "PROJECTOR_BOOTSTRAP_SERVERS": self.bootstrap_servers,
            "PROJECTOR_TOPIC": self.topic,
            "PROJECTOR_GROUP_ID": f"group-{self.topic}",
            "PROJECTOR_LOG_FORMAT": "json",
            **{f"PROJECTOR_{name.upper()}": value for name, value in environment.items()},
        }
        member = Process(arguments, settings, self._folder / f"member-{len(self._members)}.log")
        self._members.append(member)
        return member

    def play(self, mix: Mix | Iterable[Record], *, per_second: float | None = None) -> None:
        """Let a platform write, or whoever wrote these records, until all of it is acknowledged."""
        publish(
            records(mix) if isinstance(mix, Mix) else mix,
            bootstrap_servers=self.bootstrap_servers,
            topic=self.topic,
            keep=self.acknowledged.append,
            per_second=per_second,
        )

    @contextmanager
    def playing(self, mix: Mix | Iterable[Record], *, per_second: float) -> Iterator[None]:
        """As `play`, beside what the test does; all is acknowledged at the end of the block."""
        failed: list[BaseException] = []

        def play() -> None:
            try:
                self.play(mix, per_second=per_second)
            except BaseException as error:
                failed.append(error)

        thread = threading.Thread(target=play)
        thread.start()
        try:
            yield
        finally:
            thread.join()
        assert not failed, failed

    def ends(self) -> dict[int, int]:
        """Partition → the offset after the last record that was acknowledged."""
        ends: dict[int, int] = {}
        for record in self.acknowledged:
            ends[record.partition] = max(ends.get(record.partition, 0), record.offset + 1)
        return ends

    def positions(self) -> dict[int, int]:
        with psycopg.connect(self.database_url) as conn:
            found = conn.execute(
                "SELECT partition, next_offset FROM projector.positions WHERE topic = %s", [self.topic]
            ).fetchall()
        return dict(found)

    def take_positions(self) -> None:
        """Own every position, as a member would that nobody told of the others."""
        with psycopg.connect(self.database_url) as conn:
            conn.execute("UPDATE projector.positions SET owner = gen_random_uuid()")

    def projected(self) -> int:
        return sum(self.positions().values())

    def projects_more_than(self, records: int) -> None:
        """Wait until more than so many records are projected."""
        until(lambda: self.projected() > records, f"more than {records} records projected")

    def committed(self) -> dict[int, int]:
        """What the group was told: partition → offset."""
        admin = KafkaAdminClient(bootstrap_servers=self.bootstrap_servers)
        try:
            told = admin.list_group_offsets({f"group-{self.topic}": None})[f"group-{self.topic}"]
        finally:
            admin.close()
        return {place.partition: offset.offset for place, offset in told.items()}

    def caught_up(self) -> None:
        """Wait until every position is at the end of its partition."""
        ends = self.ends()

        def reached() -> bool:
            return ends.items() <= self.positions().items()

        try:
            until(reached, "all positions at the end")
        except AssertionError as error:
            said = "\n".join(member.text()[-2000:] for member in self._members)
            raise AssertionError(f"positions {self.positions()} of {ends}:\n{said}") from error

    def view_equals_log(self) -> None:
        """Fold what was acknowledged with code of its own, and compare whole tables."""
        with psycopg.connect(self.database_url, autocommit=True) as conn:
            assert differences(fold_log(self.acknowledged).rows, stored_rows(conn)) == []

    def nothing_dropped(self) -> None:
        """What could not be read is kept byte for byte, and what came too early is parked: these and no others."""
        verdict = fold_log(self.acknowledged)
        unreadable = {(letter.partition, letter.offset) for letter in verdict.dead_letters}
        dead = {each[1:3]: (each.key, each.value) for each in self.acknowledged if each[1:3] in unreadable}
        with psycopg.connect(self.database_url) as conn:
            kept = conn.execute('SELECT partition, "offset", key, value FROM projector.dead_letters').fetchall()
            parked = conn.execute("SELECT delegation_id, count(*) FROM projector.parked GROUP BY 1").fetchall()
        assert {row[:2]: row[2:] for row in kept} == dead
        assert len(kept) == len(dead)
        assert dict(parked) == verdict.parked

    def each_ended_once(self) -> None:
        """What the members counted, once they are told to stop, is what the judge counts; killed ones cannot tell."""
        counted: Counter[str] = Counter()
        for member in self._members:
            if member.process.poll() is None:
                assert member.signal(signal.SIGTERM).exit_code() == 0, member.text()[-2000:]
            for line in member.lines():
                if line["message"] in ("summary", "stopped"):
                    counted.update({outcome: line.get(outcome, 0) for outcome in map(str, Outcome)})
        assert +counted == +fold_log(self.acknowledged).outcomes

    def end(self) -> None:
        for member in self._members:
            member.end()
