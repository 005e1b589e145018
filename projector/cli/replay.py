"""`projector replay`: recordings and exports into the view."""

import argparse
import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, BinaryIO, cast

from rich.progress import Progress, TaskID

from projector.cli.output import progress_bar
from projector.domain.outcomes import Outcome
from projector.postgres.connection import open_view
from projector.postgres.write_batch import prepare
from projector.process import tune_gc
from projector.projection.transaction import Outcomes
from projector.recordings.file import open_file
from projector.recordings.replay import replay
from projector.settings import Settings

_LOOK_BYTES = 1024 * 1024


def add(subparsers: Any, settings: argparse.ArgumentParser) -> None:
    """Add the command."""
    parser = subparsers.add_parser(
        "replay",
        parents=[settings],
        help="project recordings (.jsonl, .gz, .zst) or exports of activity_logs into the view",
        description="Projects files of JSON lines through the same fold as the topic. A line is a recorded record, or "
        "itself an activity row. No position moves. To run it again, or after `run`, changes nothing more.",
    )
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path)
    parser.add_argument("--json", action="store_true", help="end with one line of JSON: records, outcomes, seconds")
    parser.set_defaults(command=replay_files)


def replay_files(settings: Settings, arguments: argparse.Namespace) -> int:
    """Replay the files and print how their records ended."""
    tune_gc()
    began = time.monotonic()
    with open_view(settings) as conn, progress_bar() as progress:
        prepare(conn)
        task = progress.add_task("replaying", records=0)
        outcomes = replay(
            conn,
            arguments.files,
            limits=settings,
            opened=_watched(progress, task, arguments.files),
            progress=lambda records: progress.update(task, records=records),
        )
    _print(outcomes, round(time.monotonic() - began, 3), as_json=arguments.json)
    return 0


def _watched(progress: Progress, task: TaskID, paths: Sequence[Path]) -> Callable[[Path], IO[bytes]]:
    """Opens a file so that reading it moves the bar, which is as long as all files together."""
    total = sum(path.stat().st_size for path in paths if path.is_file())

    def opened(path: Path) -> IO[bytes]:
        file = open_file(path)
        if progress.disable:
            return file
        watched = progress.wrap_file(cast(BinaryIO, file), total, task_id=task)
        return cast(IO[bytes], io.BufferedReader(cast(io.RawIOBase, watched), _LOOK_BYTES))

    return opened


def _print(outcomes: Outcomes, seconds: float, *, as_json: bool) -> None:
    counts = {str(outcome): outcomes[outcome] for outcome in Outcome}
    if as_json:
        print(json.dumps({"records": outcomes.total(), "outcomes": counts, "seconds": seconds}))
        return
    for outcome, count in counts.items():
        if count:
            print(f"{outcome:14}{count:12,}")
    print(f"{'records':14}{outcomes.total():12,} in {seconds} s")
