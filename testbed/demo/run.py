"""Runs the demo: writes records, kills the projector half-way, starts it again, compares the view with the log."""

import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from rich.console import Console

from testbed.demo.comparison import compare, fold_since, read_log
from testbed.demo.damage import damage
from testbed.demo.ends import play_ends
from testbed.demo.environment import Environment, create
from testbed.demo.keeping import keep
from testbed.demo.observer import Observer, Offsets
from testbed.demo.processes import Processes
from testbed.demo.screen import Screen, Summary
from testbed.oracle import differences, fold_log, stored_rows
from testbed.process import ManagedProcess, ProcessFailed
from testbed.recording import read_recording
from testbed.servers.start import ServerUnavailable

__all__ = ["Options", "ProcessFailed", "ServerUnavailable", "run_demo"]

RECORDS_PER_DELEGATION = 10  # about: its changes, and the unrelated records between them
WRITING_SECONDS = 8
MIN_RECORDS_PER_SECOND = 1500
DRIFT = 3  # the exit code of `projector verify`


class Options(NamedTuple):
    """The options of the demo."""

    delegations: int = 3000
    seed: int = 7
    keep: bool = False

    @property
    def records(self) -> int:
        """About how many records the platform will write."""
        return self.delegations * RECORDS_PER_DELEGATION

    @property
    def per_second(self) -> int:
        """The rate at which the platform writes."""
        return max(MIN_RECORDS_PER_SECOND, self.records // WRITING_SECONDS)

    def of_platform(self) -> dict[str, object]:
        """The options of the simulated platform. The first record is dated so that the last one is about now."""
        ago = max(timedelta(minutes=10), self.delegations * timedelta(seconds=0.7))
        start = (datetime.now(UTC) - ago).isoformat(timespec="milliseconds")
        return {
            "delegations": self.delegations,
            "seed": self.seed,
            "start": start,
            "per_second": self.per_second,
        }

    def is_half_way(self, offsets: Offsets, *, ended: bool) -> bool:
        """Whether half of the records are projected; their exact number is known once the platform has ended."""
        return offsets.position >= (offsets.end if ended else self.records) / 2


def run_demo(options: Options, console: Console) -> bool:
    """Run all steps; returns whether the view equals the log. Raises ServerUnavailable and ProcessFailed."""
    started = time.monotonic()
    screen = Screen(console)
    screen.step("servers", "finding or starting a Postgres and a Kafka …")
    with ExitStack() as stack:
        with screen.working("the first time, Kafka's files are downloaded (43 MB)"):
            environment = stack.enter_context(create(keep=options.keep))
        screen.step("Postgres", environment.postgres_name)
        screen.step("Kafka", environment.kafka_name)
        processes = Processes(environment, stack)
        kept, link, example = list[ManagedProcess](), "", "ID"
        try:
            with screen.working("creating the tables"):
                processes.migrate()
            if options.keep:
                dashboard, link = processes.dashboard()
                kept.append(dashboard)
                screen.step("dashboard", f"{link} logs in a browser, once, within ten minutes")
            with Observer.connected(environment) as observer:
                restarted = _kill_half_way(options, processes, observer, screen)
                found = _compare(environment, observer, screen, restarted)
                example = observer.example()
                if options.keep or not found:
                    third = processes.projector("third", keep=options.keep)
                    observer.wait_until(lambda _: observer.owns_all(third), lambda _: None, third)
                    kept += [third] * options.keep
                if not found:
                    found = _damage_and_repair(environment, processes, observer, screen)
            unequal = () if found else play_ends(environment, screen)
        finally:
            if options.keep:
                keep(environment, kept)
                screen.kept(environment, example)
        screen.result(found, time.monotonic() - started, unequal)
        if options.keep:
            screen.dashboard(link, environment.token_file)
    if not options.keep:
        screen.next_steps()
    return not (found or unequal)


def _kill_half_way(options: Options, processes: Processes, observer: Observer, screen: Screen) -> Offsets:
    """Return the offsets at which the second projector started; at the end it has caught up and has stopped."""
    first = processes.projector("first")
    screen.step("projector", f"runs as process {first.pid}")
    with screen.progress() as show:
        observer.wait_until(lambda _: observer.owns_all(first), show, first)
        platform = processes.platform(**options.of_platform())
        rate = f"about {options.per_second:,} records per second"
        screen.step("platform", f"writes {options.delegations:,} delegations, {rate}")
        observer.wait_until(lambda now: options.is_half_way(now, ended=not platform.is_running), show, platform, first)
        first.kill()
        screen.step("SIGKILL", f"process {first.pid} is gone" + ", the platform keeps writing" * platform.is_running)
        lag = options.records // 5
        restarted = observer.wait_until(lambda now: now.lag >= lag or not platform.is_running, show, platform)
        second = processes.projector("second")
        screen.step("projector", f"runs again as process {second.pid}, {restarted.lag:,} records behind")
        observer.wait_until(lambda _: not platform.is_running, show, platform, second)
        platform.wait()
        observer.wait_until(lambda now: now.lag == 0 and observer.owns_all(second), show, second)
    second.stop()
    return restarted


def _damage_and_repair(environment: Environment, processes: Processes, observer: Observer, screen: Screen) -> list[str]:
    """Damage the view while a projector runs, find and repair the damage; returns the differences after that."""
    screen.step("damage", "by hand: one row edited, one deleted, one set back, one invented")
    damage(observer.conn)
    with screen.working("projector verify"):
        found = processes.verify("damaged", expected=DRIFT)
    for line in found:
        screen.step("verify", line)
    with screen.working("projector rebuild --yes"):
        repaired = processes.rebuild()
    screen.step("rebuild", repaired[-1])
    with screen.working("projector verify"):
        equal = processes.verify("repaired", expected=0)
    screen.step("verify", equal[-1])
    return differences(fold_log(read_recording(environment.recording)).rows, stored_rows(observer.conn))


def _compare(environment: Environment, observer: Observer, screen: Screen, restarted: Offsets) -> list[str]:
    """Compare all tables with the oracle's fold of the log, and print a summary; returns the differences."""
    records = list(read_recording(environment.recording))
    screen.step("compare", f"independent code folds the {len(records):,} acknowledged records")
    first, second = read_log(environment.folder / "first.log"), read_log(environment.folder / "second.log")
    with screen.working("comparing every row"):
        folded = fold_since(records, second.claimed)
    expected = folded.expected
    screen.summary(
        Summary(
            outcomes=expected.outcomes,
            statuses=observer.statuses(),
            oldest=observer.oldest_in_flight(),
            first=f"at record {restarted.position:,}; its log had counted {first.outcomes.total():,} until then",
            second=f"another process claimed record {sum(second.claimed.values()):,} and the following; its log "
            f"counted {second.outcomes.total():,} until SIGTERM",
            compared=f"{len(expected.rows):,} rows with all their columns, {sum(expected.parked.values()):,} parked "
            f"events, {len(expected.dead_letters):,} dead letters, the counters of the second process",
            offsets=observer.offsets(),
        )
    )
    screen.step("odd ids", f"{observer.odd_ids()} of the ids are hostile (quotes, umlauts, U+FFFD): all are there")
    return compare(records, folded, observer, second)
