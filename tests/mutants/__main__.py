"""Make each mistake in a copy of the tree, and run its tests there: `make mutants`, ARGS=--help lists the options.

Exit code 0: the tests found all mistakes. 1: some survived. 2: the tests fail without any mistake.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from typing import NamedTuple

from mutants.listed import MUTANTS
from mutants.mutant import ROOT, Mutant, write
from testbed.servers.start import start_kafka, start_postgres

SECONDS = 900
"""For all tests of a mistake. A slow machine must not look like a mistake that was found."""
SECONDS_OF_LIKELY = 240
"""For the likely test alone, since some mistakes make an endless loop."""
_NOT_COPIED = shutil.ignore_patterns(".*", "__pycache__", "node_modules")


class Ended(NamedTuple):
    """How the tests of a mutant ended: the first that failed, or None."""

    mutant: Mutant
    killer: str | None


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__, allow_abbrev=False)
    parser.add_argument(
        "--only", nargs="+", default=[""], help="only mistakes whose text or file contains one of these"
    )
    parser.add_argument("--trusted", action="store_true", help="do not run the tests without any mistake first")
    parser.add_argument("--jobs", type=int, default=2, help="how many run at the same time (default: 2)")
    chosen = parser.parse_args()
    wanted = [mutant for mutant in MUTANTS if any(each in f"{mutant.mistake} {mutant.file}" for each in chosen.only)]
    with TemporaryDirectory(prefix="mutants-") as folder, _servers(Path(folder)) as environment:
        copies = SimpleQueue[Path]()
        for number in range(chosen.jobs):
            copies.put(Path(shutil.copytree(ROOT, Path(folder) / str(number), ignore=_NOT_COPIED)))
        tests = sorted({path for mutant in wanted for path in mutant.tests})
        if not chosen.trusted and (failed := _test(Path(folder) / "0", environment, tests, seconds=3600)):
            print(f"fails without any mistake: {failed}")
            return 2

        def tried(mutant: Mutant) -> Ended:
            copy = copies.get()
            before = mutant.apply(copy)
            try:
                only = ("-k", mutant.likely)
                likely = mutant.likely and _test(copy, environment, mutant.tests, *only, seconds=SECONDS_OF_LIKELY)
                return Ended(mutant, likely or _test(copy, environment, mutant.tests))
            finally:
                write(copy / mutant.file, before)
                copies.put(copy)

        threads = ThreadPoolExecutor(chosen.jobs)
        try:
            ended = [_print(each) for each in threads.map(tried, wanted)]
        finally:
            threads.shutdown(cancel_futures=True)  # the user may not want to wait for all of them
    survived = [each for each in ended if each.killer is None]
    print(f"\n{len(ended)} mistakes, {len(survived)} survived")
    return 1 if survived else 0


@contextmanager
def _servers(folder: Path) -> Iterator[dict[str, str]]:
    """Postgres and Kafka for all runs; yields their environment."""
    for name in ("postgres", "kafka"):
        (folder / name).mkdir()
    with (
        start_postgres(folder / "postgres", options=["fsync=off", "max_connections=300"]) as postgres,
        start_kafka(folder / "kafka") as kafka,
    ):
        addresses = {"TESTBED_DATABASE_URL": postgres.url, "TESTBED_BOOTSTRAP_SERVERS": kafka.bootstrap_servers}
        yield {**os.environ, **addresses}


def _test(
    copy: Path, environment: dict[str, str], tests: Sequence[str], *options: str, seconds: int = SECONDS
) -> str | None:
    """Run these tests in the copy. Returns the first that failed; None if none did."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-x",
        "-n0",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "-p",
        "mutants.quick",
    ]
    try:
        done = subprocess.run(
            [*command, "--assert=plain", "--tb=no", *options, *tests],
            cwd=copy,
            env=environment | {"PYTHONPATH": f"{copy}:{copy / 'tests'}"},
            capture_output=True,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return f"no end within {seconds} s"
    if done.returncode == 0:
        return None
    failed = re.search(r"^(?:FAILED|ERROR) (?:tests/)?(\S+)", done.stdout, re.MULTILINE)
    if failed is None:
        raise RuntimeError(f"pytest ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return failed[1]


def _print(ended: Ended) -> Ended:
    file = ended.mutant.file.removeprefix("projector/")
    print(f"{'killed  ' if ended.killer else 'SURVIVED'}  {file}: {ended.mutant.mistake}", flush=True)
    if ended.killer:
        print(f"          by {ended.killer}", flush=True)
    return ended


if __name__ == "__main__":
    sys.exit(main())
