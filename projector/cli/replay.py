"""`projector replay`: projects recordings and exports into the view."""

import io
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, BinaryIO, cast

from rich.progress import Progress, TaskID

from projector.cli.exit_codes import DONE
from projector.cli.output import outcomes_as_json, print_outcomes, progress_bar
from projector.postgres.connection import open_view
from projector.postgres.write_batch import prepare
from projector.process.garbage_collector import tune_gc
from projector.recordings.file import open_file
from projector.recordings.replay import replay
from projector.settings import Settings

_BUFFER_BYTES = 1024 * 1024


def replay_files(settings: Settings, files: Sequence[Path], json_output: bool) -> int:
    """Replay the files and print the outcomes of their records."""
    tune_gc()
    started = time.monotonic()
    with open_view(settings) as conn, progress_bar() as progress:
        prepare(conn)
        task = progress.add_task("replaying", records=0)
        outcomes = replay(
            conn,
            files,
            limits=settings,
            opened=_opener(progress, task, files),
            progress=lambda records: progress.update(task, records=records),
        )
    records, seconds = outcomes.total(), round(time.monotonic() - started, 3)
    if json_output:
        print(json.dumps({"records": records, "outcomes": outcomes_as_json(outcomes), "seconds": seconds}))
    else:
        print_outcomes(outcomes)
        print(f"{'records':14}{records:12,} in {seconds} s")
    return DONE


def _opener(progress: Progress, task: TaskID, paths: Sequence[Path]) -> Callable[[Path], IO[bytes]]:
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
