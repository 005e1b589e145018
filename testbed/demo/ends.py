"""The second act: callees fall silent, a switch fails, answers come late. Verdicts and inboxes must equal the oracle's.

Its platform writes a table `activity_logs`, and a change feed carries the rows into a topic. Histories are dated back,
so that nobody waits for a threshold.
"""

import json
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from itertools import chain

from testbed.change_stream import ChangeStream
from testbed.demo.comparison import unequal
from testbed.demo.environment import Environment, beside
from testbed.demo.observer import Observer
from testbed.demo.processes import Processes
from testbed.demo.screen import Screen
from testbed.oracle import (
    InboxRow,
    Overdue,
    Rules,
    SwitchedOn,
    differences,
    ends_to_tell,
    faults,
    fold_in_order,
    inbox_differences,
    judge,
    overdue,
    read_inbox,
    read_truth,
    stored_rows,
)
from testbed.process import ManagedProcess
from testbed.recording import AcknowledgedRecord
from testbed.workload.acting import Act, Delegated
from testbed.workload.platform import Platform
from testbed.workload.silences import falls_silent, fills_the_history, keeps_beating, misses_its_deadline

RULES = Rules()
SILENT, ANSWER_LATE, OVERDUE, BUSY, FAILING = 6, 3, 2, 16, 4
CUT_OFF = 20  # with the silent ones more than half of all, so that the brake holds
DRAIN_SECONDS = 20.0
ENOUGH = timedelta(seconds=10)
"""A reply that is due for longer must have been sent."""


def play_ends(around: Environment, screen: Screen) -> list[str]:
    """Play the act in a database and a topic of its own; returns the differences from the oracle's models."""
    with ExitStack() as stack:
        with screen.working("a platform with a table activity_logs, and its change feed"):
            stage = stack.enter_context(_stage(around))
        screen.step("platform", "writes its table activity_logs, and a change feed carries the rows into a topic")
        member = stage.start_projector()
        screen.step("projector", f"runs as process {member.pid}, with a relay (PROJECTOR_RESULT_PUSH=inbox)")
        silent = stage.play("silent", falls_silent, SILENT)
        stage.play("overdue", misses_its_deadline, OVERDUE)
        busy = stage.play("busy", keeps_beating, BUSY)
        screen.step("silence", f"{SILENT} of {SILENT + OVERDUE + BUSY} callees are silent, {OVERDUE} are overdue")
        expected = stage.overdue()
        for verdict in json.loads(stage.processes.sweep("dry-run", "--dry-run", "--json")[-1])["would_write"]:
            screen.step("sweep", "a pass would make {delegation_id} {status} (rule {rule})".format(**verdict))

        cut_off = stage.play("cut-off", falls_silent, CUT_OFF)
        screen.step("switch", f"it fails, and {CUT_OFF} more callees are silent at once")
        stage.sweep(screen, "braked")
        for each in cut_off:
            each.beat()
        screen.step("switch", f"it is repaired, and these {CUT_OFF} send heartbeats again")
        stage.sweep(screen, "swept")

        for each in chain(silent[:ANSWER_LATE], busy[FAILING:], cut_off):
            each.result("completed", text=f"the answer to {each.id}")
        for each in busy[:FAILING]:
            each.result("failed", error=f"no answer to {each.id}")
        screen.step("answers", f"{ANSWER_LATE} of the silent ones answer late, and the others answer too")
        stage.drain()
        member.stop()
        return stage.compare(screen, expected)


class Stage:
    """The platform, its feed, and the projector."""

    def __init__(self, environment: Environment, observer: Observer, processes: Processes) -> None:
        self._environment, self._observer, self.processes = environment, observer, processes
        self.acknowledged: list[AcknowledgedRecord] = []
        self.platform = Platform(environment.database_url)
        self.feed = ChangeStream(
            environment.database_url,
            environment.kafka.bootstrap_servers,
            environment.topic,
            self.acknowledged.append,
        )

    def start(self) -> None:
        """Create the platform's table, and start the feed."""
        self.platform.create()
        self._observer.conn.execute("CREATE INDEX ON activity_logs (created_at)")
        self.feed.create()
        self.feed.start()
        self.platform.play(fills_the_history)

    def end(self) -> None:
        self.platform.stop()
        self.feed.drop()

    def start_projector(self) -> ManagedProcess:
        """Start a projector with its relay, and wait until it has switched the push on."""
        member = self.processes.projector_with_relay()
        self._observer.wait_until(lambda _: self._switched_on() is not None, lambda _: None, member)
        return member

    def play(self, name: str, act: Act, count: int) -> list[Delegated]:
        """Play delegations called `name-1`, `name-2`, …, and wait until they are projected."""
        begun = [self.platform.delegate(act) for _ in range(count)]
        for number, each in enumerate(begun, start=1):
            each.id = f"{name}-{number}"
            for _ in act(each):
                pass
        self.settle()
        return begun

    def settle(self) -> None:
        """Wait until everything that is committed now is projected."""
        self.feed.wait_until_delivered()
        self._observer.wait_until(lambda offsets: offsets.lag == 0, lambda _: None)

    def sweep(self, screen: Screen, name: str) -> None:
        """Make a pass, and wait until its verdicts are projected."""
        self.settle()
        for line in self.processes.sweep(name, "--once"):
            screen.step("sweep", line)
        self.settle()

    def drain(self) -> None:
        """Wait until only the replies of those who did not answer are left; not for ever, as the comparison tells."""
        self.settle()
        until = time.monotonic() + DRAIN_SECONDS
        while len(self._unsent()) > SILENT - ANSWER_LATE + OVERDUE and time.monotonic() < until:
            time.sleep(0.1)
        self.settle()

    # --- the oracle

    def overdue(self) -> dict[str, Overdue]:
        """What a pass must write now, by the model."""
        rows = fold_in_order(self.acknowledged).rows
        return overdue(rows, read_truth(self._observer.conn), self.platform.table.now(), RULES)

    def compare(self, screen: Screen, expected: Mapping[str, Overdue]) -> list[str]:
        """Compare view, verdicts and inboxes with the models, and print what was compared."""
        conn, view = self._observer.conn, fold_in_order(self.acknowledged).rows
        judged, inbox, unsent = judge(self.acknowledged, read_truth(conn), RULES), read_inbox(conn), self._unsent()
        verdicts = {each.delegation_id: each.rule for each in judged}
        statuses = Counter(row.status for row in inbox)
        waiting = f"{len(unsent)} wait: their verdicts are told later, if no answer comes before"
        screen.step("inboxes", f"{len(inbox)} replies: {statuses['ok']} ok, {statuses['error']} error; {waiting}")
        for row in sorted(inbox):
            if row.delegation_id in verdicts:
                status = view[row.delegation_id].status
                screen.step("", f"{row.delegation_id}: {status} in the view, and its caller reads “{row.text}”")
        places = f"{len(view)} rows, {len(verdicts)} verdicts, {len(inbox)} replies, {len(unsent)} due times"
        screen.step("compared", f"with independent models: {places}")
        return [
            *differences(view, stored_rows(conn)),
            *faults(judged),
            *unequal("the verdict", {name: each.rule for name, each in expected.items()}, verdicts),
            *self._reply_differences(inbox, unsent),
        ]

    def _reply_differences(self, inbox: Sequence[InboxRow], unsent: Mapping[str, datetime]) -> list[str]:
        now, since = self.platform.table.now(), self._switched_on()
        assert since is not None
        told = ends_to_tell(self.acknowledged, since, now=now, grace=RULES.grace)
        due_at = {name: each.replies[-1].due_at for name, each in told.items()}
        later = {name: at for name, at in due_at.items() if name in unsent and at > now - ENOUGH}
        return [
            *inbox_differences({name: each for name, each in told.items() if name not in later}, inbox),
            *unequal("the time when its reply is due", later, {name: unsent[name] for name in later}),
        ]

    def _unsent(self) -> dict[str, datetime]:
        """Delegation id → when its reply is due, of the replies that have not ended."""
        rows = self._observer.conn.execute("SELECT delegation_id, due_at FROM projector.outbox WHERE ended_as IS NULL")
        return dict(rows.fetchall())

    def _switched_on(self) -> SwitchedOn | None:
        """Since when results are pushed; None if they are not."""
        conn, topic = self._observer.conn, self._environment.topic
        row = conn.execute("SELECT switched_on_at FROM projector.push WHERE topic = %s", [topic]).fetchone()
        places = conn.execute("SELECT partition, next_offset FROM projector.push_from WHERE topic = %s", [topic])
        return None if row is None else SwitchedOn(row[0], dict(places.fetchall()))


@contextmanager
def _stage(around: Environment) -> Iterator[Stage]:
    with beside(around) as environment, Observer.connected(environment) as observer, ExitStack() as stack:
        processes = Processes(environment, stack)
        processes.migrate()
        stage = Stage(environment, observer, processes)
        stack.callback(stage.end)
        stage.start()
        yield stage
