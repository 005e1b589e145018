"""`make bench`: how fast the projector is here, against what somebody could pick instead; `--help` names its parts."""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks import catching_up, growth, latency, memory, rebuilding
from benchmarks.profile import main as profile
from benchmarks.recording import RECORDS

Part = Callable[[argparse.Namespace, Console, Path], None]


def main() -> None:
    """Run one part of the bench, in a folder of its own."""
    arguments = _parser().parse_args()
    part: Part = arguments.part
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        part(arguments, Console(), Path(folder))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.set_defaults(part=catching_up.main)
    _catching_up(parser)
    parts = parser.add_subparsers(metavar="PART", title="parts, instead of catching up")
    found = parts.add_parser("latency", help="from the producer's send to visible; and 10,000 records after a start")
    found.set_defaults(part=latency.main)
    found.add_argument("--rates", type=int, nargs="+", default=[100, 1_000, 5_000], help="events a second")
    found.add_argument("--seconds", type=float, default=30.0, help="how long each rate lasts, after 5 s of warming up")
    found.add_argument("--starts", type=int, default=5, help="how many starts with 10,000 records waiting")
    found = parts.add_parser("memory", help="what a member holds: ten million records, and shapes that are hard")
    found.set_defaults(part=memory.main)
    found.add_argument("--records", type=int, default=10_000_000, help="so many, the same log again and again")
    found.add_argument("--distinct", type=int, default=500_000, help="records of that log")
    found = parts.add_parser("rebuild", help="what a rebuild holds: ten million records, each of them in the topic")
    found.set_defaults(part=rebuilding.main)
    found.add_argument("--records", type=int, default=10_000_000)
    found = parts.add_parser("growth", help="the rate with many rows in the table already")
    found.set_defaults(part=growth.main)
    found.add_argument("--records", type=int, default=300_000)
    found.add_argument("--rows", type=int, nargs="+", default=[0, 100_000, 1_000_000, 10_000_000])
    found.add_argument("--rounds", type=int, default=3)
    found = parts.add_parser("profile", help="where a record's microseconds go; `make profile`")
    found.set_defaults(part=profile)
    found.add_argument("--records", type=int, default=300_000)
    return parser


def _catching_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--records", type=int, default=RECORDS, help="of the recording; half as many of the demo's mix")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--naive-seconds", type=float, default=20.0, help="the naive ways run for so long: all would take minutes"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=[], help="contenders whose names hold one of these"
    )


if __name__ == "__main__":
    main()
