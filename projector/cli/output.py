"""The output of commands: how values look on a terminal and in JSON, progress, and the question before a deletion."""

import io
import math
import os
import shutil
import signal
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stdout
from datetime import datetime
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from projector.domain.outcomes import Outcome
from projector.errors import ProjectorError
from projector.texts import duration, escape


def ago(at: datetime | None, now: datetime) -> str:
    """How long ago an instant was; "never" for None."""
    return "never" if at is None else f"{duration(max((now - at).total_seconds(), 0.0))} ago"


def when(at: datetime | None) -> str:
    """An instant in UTC, to the second; empty for None."""
    return "" if at is None else at.strftime("%Y-%m-%d %H:%M:%S")


def cut(text: str, characters: int = 100) -> str:
    """The start of a text, and how many characters were left out."""
    return text if len(text) <= characters else f"{text[:characters]}… ({len(text) - characters:,} characters more)"


class _Captured(io.StringIO):
    def isatty(self) -> bool:
        return True


@contextmanager
def paged() -> Iterator[None]:
    """Show what the block prints on a terminal, in a pager if it is longer."""
    printed = _Captured()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        _print_long(printed.getvalue())


def _print_long(text: str) -> None:
    width, height = shutil.get_terminal_size()
    if sum(len(click.unstyle(line)) // width + 1 for line in text.splitlines()) < height:
        sys.stdout.write(text)
        return
    os.environ.setdefault("LESS", "FRX")  # colours, and the text stays on the screen, as in git
    before = signal.signal(signal.SIGINT, lambda *_: None)  # Ctrl-C is for the pager
    try:
        click.echo_via_pager(text.removesuffix("\n"))
    finally:
        signal.signal(signal.SIGINT, before)


def as_json(model: NamedTuple) -> dict[str, Any]:
    """A read model as a JSON object. Instants are in ISO 8601 with an offset. An infinite number is null."""
    return {name: _json_value(value) for name, value in model._asdict().items()}


def _json_value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def outcomes_as_json(outcomes: Mapping[Outcome, int]) -> dict[str, int]:
    """The number of records per outcome. Every outcome is a key."""
    return {str(outcome): outcomes.get(outcome, 0) for outcome in Outcome}


def print_outcomes(outcomes: Mapping[Outcome, int]) -> None:
    """Print one line per outcome that occurred."""
    for outcome, count in outcomes_as_json(outcomes).items():
        if count:
            print(f"{outcome:14}{count:12,}")


def note(sentence: str) -> None:
    """Print a sentence on standard error, as errors are printed."""
    sys.stderr.write(f"projector: {escape(sentence)}\n")


def confirm(action: str, *, refusal: type[ProjectorError] = ProjectorError) -> None:
    """Ask whether to do `action`, such as "delete 3 rows". Raise `refusal` unless y or yes is typed at a terminal."""
    if not sys.stdin.isatty():
        raise refusal(f"this would {action}: add --yes to do it")
    # Standard output is only for results.
    sys.stderr.write(f"This would {escape(action)}. Type yes to continue: ")
    sys.stderr.flush()
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        sys.stderr.write("\n")  # Ctrl-D leaves the cursor behind the question
    if answer.strip().lower() not in ("y", "yes"):
        raise refusal("nothing was done")


def progress_bar() -> Progress:
    """A bar on standard error, only on a terminal, and removed when it ends. Its tasks have a field `records`."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[records]:,} records"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty())
