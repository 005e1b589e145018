"""The demo: a platform writes, a projector is killed half-way and started again, and the view equals the log."""

import time
from collections.abc import Sequence
from contextlib import ExitStack
from typing import NamedTuple

from rich.console import Console

from testbed.demo.damage import damage
from testbed.demo.screen import Screen, Summary
from testbed.demo.stage import Stage, build
from testbed.demo.verdict import compare, judge_since, read_log
from testbed.demo.watch import Seen, Watch
from testbed.oracle import differences, fold_log, stored_rows
from testbed.process import Child, Failed
from testbed.recording import read_recording
from testbed.servers.start import NoServers

__all__ = ["Failed", "NoServers", "Plan", "play"]

RECORDS_A_DELEGATION = 10  # about: its changes, and what passes by between them
PLAYING_SECONDS = 8
SLOWEST_PER_SECOND = 1500
QUIET = ("--log-level", "WARNING")
DRIFT = 3  # the exit code of `projector verify`
MEMBER = {
    "PROJECTOR_GROUP_INSTANCE_ID": "demo",  # a name that outlives the process: the next need not wait for the last
    "PROJECTOR_LOG_FORMAT": "json",
    "PROJECTOR_SUMMARY_SECONDS": "1",
}


class Plan(NamedTuple):
    """What is to be played."""

    delegations: int = 3000
    seed: int = 7
    keep: bool = False

    @property
    def records(self) -> int:
        """About how many the platform will write."""
        return self.delegations * RECORDS_A_DELEGATION

    @property
    def per_second(self) -> int:
        """How fast the platform writes them."""
        return max(SLOWEST_PER_SECOND, self.records // PLAYING_SECONDS)

    def is_half_way(self, seen: Seen, *, ended: bool) -> bool:
        """Whether half of the records are in the view; how many there are is known for sure once the platform ended."""
        return seen.projected >= (seen.logged if ended else self.records) / 2


class Processes:
    """The processes of one demo; those that are still up at its end are ended."""

    def __init__(self, stage: Stage, stack: ExitStack) -> None:
        self._stage, self._stack = stage, stack

    def migrate(self) -> None:
        """Make the tables."""
        self._start(["projector", "migrate", "up"], "migrate.log").wait()

    def platform(self, plan: Plan) -> Child:
        """Write to the log, and keep books of what was acknowledged."""
        stage = self._stage
        where = [
            "--bootstrap-servers",
            stage.kafka.bootstrap_servers,
            "--topic",
            stage.topic,
            "--into",
            str(stage.books),
        ]
        what = f"--delegations {plan.delegations} --seed {plan.seed} --per-second {plan.per_second}".split()
        return self._start(["testbed.producer", *where, *what], "platform.log")

    def projector(self, name: str, *, keep: bool = False) -> Child:
        """Project what is in the log."""
        return self._start(["projector", "run"], f"{name}.log", keep=keep)

    def verify(self, name: str, *, expected: int) -> list[str]:
        """Compare the view with the log; what it says of that. Raises Failed where it finds otherwise than expected."""
        return self._start(["projector", "verify", *QUIET], f"{name}.log").wait(expected)

    def rebuild(self) -> list[str]:
        """Make the view what the log says; what it says of that."""
        return self._start(["projector", "rebuild", *QUIET], "rebuild.log").wait()

    def _start(self, command: Sequence[str], log: str, *, keep: bool = False) -> Child:
        child = Child(command, self._stage.folder / log, {**self._stage.settings, **MEMBER}, keep=keep)
        self._stack.callback(child.end)
        return child


def play(plan: Plan, console: Console) -> bool:
    """Play it all; whether the view equals the log. Raises NoParts, and Failed where it cannot go on."""
    began = time.monotonic()
    screen = Screen(console)
    screen.step("parts", "looking for a Postgres and a Kafka …")
    with build(keep=plan.keep) as stage, ExitStack() as stack:
        screen.step("Postgres", stage.where_postgres)
        screen.step("Kafka", stage.where_kafka)
        cast = Processes(stage, stack)
        stays: Child | None = None
        try:
            cast.migrate()
            with Watch.on(stage) as watch:
                restarted_at = _act(plan, cast, watch, screen)
                differences = _judge(stage, watch, screen, restarted_at)
                if plan.keep or not differences:
                    stays = cast.projector("third", keep=plan.keep)
                    watch.until(lambda _: watch.owns_all(stays), lambda _: None, stays)
                if not differences:
                    differences = _mend(stage, cast, watch, screen)
        finally:
            if plan.keep:
                screen.left_running(stage, stays)
        screen.verdict(differences, time.monotonic() - began)
    return not differences


def _act(plan: Plan, cast: Processes, watch: Watch, screen: Screen) -> Seen:
    """What was seen when the second projector took over; at the end everything is projected, and both have ended."""
    first = cast.projector("first")
    screen.step("projector", f"runs as process {first.pid}")
    with screen.catching_up() as tell:
        watch.until(lambda _: watch.owns_all(first), tell, first)
        platform = cast.platform(plan)
        screen.step("platform", f"writes {plan.delegations:,} delegations, some {plan.per_second:,} records a second")
        watch.until(lambda seen: plan.is_half_way(seen, ended=not platform.is_up), tell, platform, first)
        first.kill()
        screen.step("SIGKILL", f"process {first.pid} is gone" + ", while the platform writes on" * platform.is_up)
        restarted_at = watch.until(lambda seen: seen.lag >= plan.records // 5 or not platform.is_up, tell, platform)
        second = cast.projector("second")
        screen.step("projector", f"runs again as process {second.pid}, {restarted_at.lag:,} records behind")
        watch.until(lambda _: not platform.is_up, tell, platform, second)
        platform.wait()
        watch.until(lambda seen: seen.lag == 0 and watch.owns_all(second), tell, second)
    second.stop()
    return restarted_at


def _mend(stage: Stage, cast: Processes, watch: Watch, screen: Screen) -> list[str]:
    """Damage the view while a projector runs, and have it found and mended; what differs from the log in the end."""
    screen.step("damage", "by hand: one row edited, one removed, one moved back, one made up")
    damage(watch.conn)
    for line in cast.verify("damaged", expected=DRIFT):
        screen.step("verify", line)
    screen.step("rebuild", cast.rebuild()[-1])
    screen.step("verify", cast.verify("mended", expected=0)[-1])
    return differences(fold_log(read_recording(stage.books)).rows, stored_rows(watch.conn))


def _judge(stage: Stage, watch: Watch, screen: Screen, restarted_at: Seen) -> list[str]:
    """Compare all that there is with the log; what differs."""
    books = list(read_recording(stage.books))
    screen.step("judge", f"folds the {len(books):,} records that were acknowledged, with code of its own")
    first, second = read_log(stage.folder / "first.log"), read_log(stage.folder / "second.log")
    judged = judge_since(books, second.taken_up)
    differences = compare(books, judged, watch, second)
    verdict = judged.verdict
    screen.summary(
        Summary(
            outcomes=verdict.outcomes,
            statuses=watch.statuses(),
            oldest=watch.oldest_in_flight(),
            first=f"at record {restarted_at.projected:,}; it had reported {first.outcomes.total():,}, and what it did "
            "after that it could not report",
            second=f"taken up at record {sum(second.taken_up.values()):,} by another, which reported "
            f"{second.outcomes.total():,} until it was told to stop",
            compared=f"{len(verdict.rows):,} rows with all their columns, {sum(verdict.parked.values()):,} parked "
            f"events, {len(verdict.dead_letters):,} dead letters, the second's own counters",
            seen=watch.look(),
        )
    )
    return differences
