"""What a person sees of the demo: steps, progress (plain lines where there is no terminal) and the summary."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from rich.table import Table
from rich.text import Text

from testbed.demo.stage import Stage
from testbed.demo.watch import InFlight, Seen
from testbed.process import Child

PLAIN_LINE_EVERY_SECONDS = 1.0
SHOWN_DIFFERENCES = 20


class Summary(NamedTuple):
    """What the demo ends with."""

    outcomes: Mapping[str, int]
    statuses: Mapping[str, int]
    oldest: Sequence[InFlight]
    first: str
    second: str
    compared: str
    seen: Seen


class Screen:
    """Prints; knows whether there is a terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, what: str, how: str) -> None:
        """One line about what happens now."""
        self._console.print(Text(f"{what:10}", style="bold") + Text(how, style="default"), soft_wrap=True)

    @contextmanager
    def catching_up(self) -> Iterator[Callable[[Seen], None]]:
        """Show how far the view is behind the log: give what was seen to the function."""
        if not self._console.is_terminal:
            yield self._plain_lines()
            return
        columns = (TextColumn("{task.description}"), BarColumn(40), MofNCompleteColumn(), TextColumn("records"))
        with Progress(*columns, console=self._console, transient=True) as progress:
            task = progress.add_task(f"{'the view':10}", total=None)

            def tell(seen: Seen) -> None:
                progress.update(task, completed=seen.projected, total=max(seen.logged, 1))

            yield tell

    def _plain_lines(self) -> Callable[[Seen], None]:
        told_at = time.monotonic()

        def tell(seen: Seen) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= PLAIN_LINE_EVERY_SECONDS:
                told_at = time.monotonic()
                self.step("", f"{seen.projected:,} of {seen.logged:,} records are in the view")

        return tell

    def summary(self, summary: Summary) -> None:
        """The small summary at the end."""
        both = Table.grid(padding=(0, 6))
        both.add_row(
            _counts("records by outcome", summary.outcomes),
            _counts("rows by status", summary.statuses),
        )
        for part in ("", both, "", _oldest(summary.oldest), ""):
            self._console.print(part)
        self.step("killed", summary.first)
        self.step("then", summary.second)
        seen = summary.seen
        self.step("lag", f"{seen.lag:,} records: position {seen.projected:,}, end of the log {seen.logged:,}")
        self.step("compared", summary.compared)

    def verdict(self, differences: Sequence[str], seconds: float) -> None:
        """The last line, and before it what differs."""
        for difference in differences[:SHOWN_DIFFERENCES]:
            self.step("differs", difference)
        if len(differences) > SHOWN_DIFFERENCES:
            self.step("", f"… and {len(differences) - SHOWN_DIFFERENCES:,} more")
        places = "1 place" if len(differences) == 1 else f"{len(differences):,} places"
        how = f"view differs from log in {places}" if differences else "view equals log"
        style = "bold green" if not differences else "bold red"
        self._console.print()
        self._console.print(Text(how, style=style) + Text(f"  ({seconds:.0f} s)", style="default"))

    def left_running(self, stage: Stage, projector: Child | None) -> None:
        """Where everything is, and how to end it."""
        ends = [f"kill {projector.pid}"] if projector else []
        ends += [stage.kafka.how_to_end, stage.postgres.how_to_end, f"rm -r {stage.folder}"]
        lines = [f"export {name}='{value}'" for name, value in stage.settings.items()]
        self._console.print("\nLeft running. To look around with `projector` and psql:", style="bold")
        self._plain(lines)
        self._console.print("What the platform had acknowledged, and all logs:", style="bold")
        self._plain([str(stage.folder)])
        self._console.print("To end it:", style="bold")
        self._plain(ends)

    def _plain(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _counts(title: str, counts: Mapping[str, int]) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, show_header=False, pad_edge=False)
    table.add_column()
    table.add_column(justify="right")
    for name, count in sorted(counts.items(), key=lambda pair: -pair[1]):
        if count:
            table.add_row(name, f"{count:,}")
    return table


def _oldest(oldest: Sequence[InFlight]) -> Table:
    title = "the three oldest in flight"
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("delegation", "status", "asked for", "last heartbeat"):
        table.add_column(column, header_style="dim", no_wrap=True)
    for row in oldest:
        beat = f"{row.last_heartbeat:%d %b %H:%M}" if row.last_heartbeat else "never"
        table.add_row(Text(row.delegation_id), row.status, f"{row.created_at:%d %b %H:%M}", beat)
    return table
