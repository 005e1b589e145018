"""`projector replay`: projects recordings and exports into the view."""

import io
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, BinaryIO, cast

from rich.progress import Progress, TaskID

from projector.cli.exit_codes import DEAD_LETTERS, DONE, NOTHING_FOUND
from projector.cli.output import note, outcomes_as_json, print_outcomes, progress_bar
from projector.cli.terminal import columns
from projector.domain.outcomes import Outcome
from projector.postgres.connection import open_view
from projector.postgres.write_batch import prepare
from projector.process.garbage_collector import tune_gc
from projector.projection.transaction import Outcomes
from projector.recordings.file import open_file
from projector.recordings.preview import Preview, preview
from projector.recordings.replay import Opener, replay
from projector.settings import Settings
from projector.texts import counted

_BUFFER_BYTES = 1024 * 1024
_REASONS = 20
"""The most reasons that a table shows. JSON has all."""


def replay_files(
    settings: Settings, files: Sequence[Path], dry_run: bool, max_dead_letters: int | None, json_output: bool
) -> int:
    """Replay the files and print the outcomes of their records. With `dry_run`, read and count them only."""
    tune_gc()
    started = time.monotonic()
    files = [Path("/dev/stdin") if file == Path("-") else file for file in files]
    if dry_run:
        with _bar("reading", files) as (opened, progress):
            found = preview(files, limits=settings, max_dead_letters=max_dead_letters, opened=opened, progress=progress)
        _print_preview(found, started, json_output)
        return _exit_code(found.records, len(found.causes))
    with open_view(settings) as conn, _bar("replaying", files) as (opened, progress):
        prepare(conn)
        rows: list[int] = []
        outcomes = replay(
            conn,
            files,
            limits=settings,
            max_dead_letters=max_dead_letters,
            opened=opened,
            progress=progress,
            written=rows.append,
        )
    _print(outcomes, sum(rows), started, json_output)
    dead = outcomes[Outcome.DEAD_LETTER]
    if dead:
        note(f"{counted(dead, 'dead letter')}: `projector dead-letters list --every-topic` shows the reasons")
    return _exit_code(outcomes.total(), dead)


def _exit_code(records: int, dead_letters: int) -> int:
    if not records:
        note("the files have no record, so nothing was replayed")
        return NOTHING_FOUND
    return DEAD_LETTERS if dead_letters else DONE


def _print(outcomes: Outcomes, rows: int, started: float, json_output: bool) -> None:
    records, seconds = outcomes.total(), round(time.monotonic() - started, 3)
    if json_output:
        print(
            json.dumps(
                {"records": records, "outcomes": outcomes_as_json(outcomes), "rows_written": rows, "seconds": seconds}
            )
        )
    else:
        print_outcomes(outcomes)
        print(f"{'records':14}{records:12,} in {seconds} s, {counted(rows, 'row')} written")


def _as_json(found: Preview) -> dict[str, object]:
    causes = [
        {"reason": cause.reason, "field": cause.field, "records": count, "first": found.first[cause]}
        for cause, count in found.causes.most_common()
    ]
    outcomes = {str(outcome): count for outcome, count in found.outcomes.items()}
    return {
        "dry_run": True,
        "records": found.records,
        "events": found.events,
        "outcomes": outcomes,
        "dead_letters": causes,
    }


def _print_preview(found: Preview, started: float, json_output: bool) -> None:
    if json_output:
        print(json.dumps({**_as_json(found), "seconds": round(time.monotonic() - started, 3)}))
        return
    if found.events:
        print(f"{'events':14}{found.events:12,} whose outcomes depend on the view")
    print_outcomes(found.outcomes)
    print(f"{'records':14}{found.records:12,} read, nothing was written")
    if not found.causes:
        return
    rows = ((f"{count:,}", found.first[cause], cause.reason) for cause, count in found.causes.most_common(_REASONS))
    print("\n" + columns(("dead letters", "first", "reason"), rows))
    if len(found.causes) > _REASONS:
        print(f"and {counted(len(found.causes) - _REASONS, 'other reason')}: --json lists all")


@contextmanager
def _bar(action: str, paths: Sequence[Path]) -> Iterator[tuple[Opener, Callable[[int], None]]]:
    """A progress bar, as a function that opens files whose reading advances it, and one that counts records."""
    with progress_bar() as progress:
        task = progress.add_task(action, records=0)
        opened = _opener(progress, task, paths)
        yield opened, lambda records: progress.update(task, records=records)


def _opener(progress: Progress, task: TaskID, paths: Sequence[Path]) -> Opener:
    """A function that opens a file whose reading advances the bar. The bar ends at the size of all files."""
    total = sum(path.stat().st_size for path in paths if path.is_file())

    def opened(path: Path) -> IO[bytes]:
        file = open_file(path)
        if progress.disable:
            return file
        watched = progress.wrap_file(cast(BinaryIO, file), total, task_id=task)
        # Progress updates per read are slow: read in large pieces.
        return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, watched), _BUFFER_BYTES))

    return opened
