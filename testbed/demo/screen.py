"""The demo's output: steps, progress (plain lines without a terminal) and the summary."""

import os
import shutil
import sys
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from testbed.demo.environment import Environment
from testbed.demo.observer import InFlight, Offsets
from testbed.servers.processes import postgres_binaries
from testbed.servers.server import ServerUnavailable

INDENT = 10
PLAIN_LINE_EVERY_SECONDS = 1.0
SHOWN_DIFFERENCES = 20


class Summary(NamedTuple):
    """The figures at the end of the demo."""

    outcomes: Mapping[str, int]
    statuses: Mapping[str, int]
    oldest: Sequence[InFlight]
    first: str
    second: str
    compared: str
    offsets: Offsets


class Screen:
    """Prints to a terminal or to a file."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, label: str, text: str) -> None:
        """Print a sentence about the current step. A line is broken only between words, and only on a terminal."""
        for number, line in enumerate(self._lines(text)):
            self._console.print(
                Text(f"{'' if number else label:{INDENT}}", style="bold") + Text(line, style="default"), soft_wrap=True
            )

    def _lines(self, text: str) -> list[str]:
        if not self._console.is_terminal:
            return [text]
        columns = self._console.width - INDENT
        return textwrap.wrap(text, columns, break_long_words=False, break_on_hyphens=False) or [""]

    @contextmanager
    def working(self, text: str) -> Iterator[None]:
        """Show on a terminal that something is going on, and for how long."""
        if not self._console.is_terminal:
            yield
            return
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Progress(*columns, console=self._console, transient=True) as spinner:
            spinner.add_task(text, total=None)
            yield

    @contextmanager
    def progress(self) -> Iterator[Callable[[Offsets], None]]:
        """Show the lag of the view; yields the function that updates it."""
        if not self._console.is_terminal:
            yield self._plain_lines()
            return
        bar_of_lag = BarColumn(40, complete_style="cyan", finished_style="green", pulse_style="cyan")
        columns = (TextColumn("{task.description}"), bar_of_lag, MofNCompleteColumn(), TextColumn("records"))
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(f"{'the view':10}", total=None)

            def show(offsets: Offsets) -> None:
                bar.update(task, completed=offsets.position, total=offsets.end or None)

            yield show

    def _plain_lines(self) -> Callable[[Offsets], None]:
        printed_at = time.monotonic()

        def show(offsets: Offsets) -> None:
            nonlocal printed_at
            if offsets.end and time.monotonic() - printed_at >= PLAIN_LINE_EVERY_SECONDS:
                printed_at = time.monotonic()
                self.step("", f"{offsets.position:,} of {offsets.end:,} records are projected")

        return show

    def summary(self, summary: Summary) -> None:
        """Print the tables and figures at the end."""
        both = Table.grid(padding=(0, 6))
        both.add_row(
            _counts("records by outcome", summary.outcomes),
            _counts("rows by status", summary.statuses),
        )
        for part in ("", both, "", _oldest(summary.oldest), ""):
            self._console.print(part)
        self.step("killed", summary.first)
        self.step("then", summary.second)
        offsets = summary.offsets
        self.step("lag", f"{offsets.lag:,} records: position {offsets.position:,}, end of the log {offsets.end:,}")
        self.step("compared", summary.compared)

    def result(self, differences: Sequence[str], seconds: float, ends: Sequence[str] = ()) -> None:
        """Print the differences, `ends` those of verdicts and replies, and as the last line whether all is equal."""
        found = [*differences, *ends]
        for difference in found[:SHOWN_DIFFERENCES]:
            self.step("differs", difference)
        if len(found) > SHOWN_DIFFERENCES:
            self.step("", f"… and {len(found) - SHOWN_DIFFERENCES:,} more")
        places = "1 place" if len(found) == 1 else f"{len(found):,} places"
        what = "view differs" if differences else "verdicts or replies differ"
        text = f"{what} from log in {places}" if found else "view equals log, and so do verdicts and replies"
        style = "bold green" if not found else "bold red"
        self._console.print()
        self._console.print(Text(text, style=style) + Text(f"  ({seconds:.0f} s)", style="default"))

    def kept(self, environment: Environment, example: str) -> None:
        """Print what to try with what still runs, and how to end it. `example`: the id of a delegation."""
        projector = os.path.relpath(Path(sys.executable).parent / "projector")
        self._console.print("\nStill running. Type this once in a shell:", style="bold")
        self._plain([f". {environment.folder}/settings"])
        self._console.print("Then try (q leaves a long output):", style="bold")
        commands = ["status", f"explain {example}", "dead-letters list --limit 5", "verify", "doctor"]
        query = "SELECT count(*) FROM delegations"
        self._plain([f"{projector} {command}" for command in commands])
        self._plain([f'{_psql()} "$PROJECTOR_DATABASE_URL" -c "{query}"'])
        self._console.print("The records that the platform wrote, and all log files:", style="bold")
        self._plain([f"ls {environment.folder}"])
        self._console.print("To end everything, and delete this folder:", style="bold")
        self._plain(["make demo ARGS=--stop"])

    def next_steps(self) -> None:
        """Print what to try after a demo that left nothing running."""
        self._console.print("\nNothing is left running. Next:", style="bold")
        self._plain(
            [
                "make demo ARGS=--keep   leaves it running, with a dashboard for your browser",
                "make sandbox            an empty platform, for docs/tutorial.md",
            ]
        )

    def dashboard(self, link: str, token_file: Path) -> None:
        """Print how to log in, as the last lines."""
        self._console.print("The dashboard. This link logs in once, within ten minutes of its start:", style="bold")
        self._plain([link])
        self._console.print("Later, log in with the token of this file:", style="bold")
        self._plain([str(token_file)])

    def _plain(self, lines: Sequence[str]) -> None:
        for line in lines:
            self._console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)


def _psql() -> str:
    """The psql of this machine, else that of the wheel."""
    if shutil.which("psql"):
        return "psql"
    with suppress(ServerUnavailable):
        return str(postgres_binaries() / "psql")
    return "psql"


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
    for column in ("delegation", "status", "requested", "last heartbeat"):
        table.add_column(column, header_style="dim", no_wrap=True)
    for row in oldest:
        heartbeat = f"{row.last_heartbeat:%d %b %H:%M}" if row.last_heartbeat else "never"
        table.add_row(Text(row.delegation_id), row.status, f"{row.created_at:%d %b %H:%M}", heartbeat)
    return table
