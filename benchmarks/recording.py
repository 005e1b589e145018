"""Writes a recording of the demo's mix for benchmarks: always the same records for the same arguments."""

import argparse
import itertools
from pathlib import Path

from projector.demo.acknowledged import write_recording
from projector.demo.platform import Mix, logged, records

BENCHMARK = Mix(callers=400, live=1000)


def write(path: Path, count: int, *, partitions: int = 6, mix: Mix = BENCHMARK) -> int:
    """Writes the first `count` records that a platform writes; compressed if the name ends in .gz or .zst."""
    # a story has a record at least, so this many never run out
    endless = records(mix._replace(delegations=count))
    return write_recording(path, logged(itertools.islice(endless, count), partitions=partitions))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path)
    parser.add_argument("--records", type=int, default=500_000)
    parser.add_argument("--partitions", type=int, default=6)
    arguments = parser.parse_args()
    count = write(arguments.file, arguments.records, partitions=arguments.partitions)
    print(f"{count} records in {arguments.file}")


if __name__ == "__main__":
    main()
