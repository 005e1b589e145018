"""`projector replay` on a terminal: the progress bar and the summary."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from commands import all_of

from projector.cli.exit_codes import DEAD_LETTERS
from testbed.recording import write_recording
from testbed.workload import Mix, records, with_offsets

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_progress_bar_completes_apart_from_the_summary(database_url: str, tmp_path: Path, suffix: str) -> None:
    paths = [tmp_path / f"{name}{suffix}" for name in ("one", "two")]
    for seed, path in enumerate(paths):
        write_recording(path, with_offsets(records(Mix(delegations=300, seed=seed)), topic=path.name, partitions=2))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "projector", "replay", *map(str, paths)]
    settings = {"PROJECTOR_DATABASE_URL": database_url, "TERM": "xterm", "COLUMNS": "100"}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, **settings})
    os.close(theirs)
    shown = all_of(ours)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == DEAD_LETTERS
    assert "replaying" in shown
    assert "100%" in shown
    assert b"records" in out
    assert b"replaying" not in out
