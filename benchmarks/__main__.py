"""`make bench`: measures the projector and its alternatives on this machine; `--help` lists the parts."""

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from benchmarks import (
    catching_up,
    growth,
    help_time,
    latency,
    members,
    memory,
    pages,
    pushing,
    quick,
    rebuilding,
    sweeping,
)
from benchmarks.measurement import Failed
from benchmarks.profile import main as profile
from benchmarks.recording import RECORDS

Part = Callable[[argparse.Namespace, Console, Path], None]


def main() -> None:
    """Run one part in a temporary folder."""
    arguments = _parser().parse_args()
    part: Part = arguments.part
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        try:
            part(arguments, Console(), Path(folder))
        except Failed as error:
            sys.exit(f"FAILED: {error}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.set_defaults(part=catching_up.main)
    _catching_up(parser)
    parts = parser.add_subparsers(metavar="PART", title="other parts (default: catching up)")
    command = parts.add_parser("latency", help="time from send to visible, beside Quix Streams and the JDBC sink")
    command.set_defaults(part=latency.main)
    command.add_argument("--rates", type=int, nargs="+", default=[100, 1_000, 5_000], help="events per second")
    command.add_argument("--slices", type=int, default=5, help="slices per contender and rate")
    command.add_argument("--seconds", type=float, default=20.0, help="duration of a slice, after its warm-up")
    command.add_argument("--starts", type=int, default=5, help="number of starts with a backlog of 10,000 records")
    command = parts.add_parser("members", help="start of two members, and the join of a third one")
    command.set_defaults(part=members.main)
    command.add_argument("--rounds", type=int, default=5)
    command = parts.add_parser(
        "memory", help="memory of a member: ten million records, and one million with large ones"
    )
    command.set_defaults(part=memory.main)
    command.add_argument(
        "--records", type=int, default=10_000_000, help="number of records; the same log is read repeatedly"
    )
    command.add_argument("--distinct", type=int, default=500_000, help="number of records in that log")
    command = parts.add_parser("rebuild", help="memory of a rebuild of ten million records, all of them in the topic")
    command.set_defaults(part=rebuilding.main)
    command.add_argument("--records", type=int, default=10_000_000)
    command = parts.add_parser("growth", help="rate with many rows in the table before")
    command.set_defaults(part=growth.main)
    command.add_argument("--records", type=int, default=300_000)
    command.add_argument("--rows", type=int, nargs="+", default=[0, 100_000, 1_000_000, 10_000_000])
    command.add_argument("--rounds", type=int, default=3)
    command = parts.add_parser("pushing", help="processor time of the push of results: in the batch, and of the relay")
    command.set_defaults(part=pushing.main)
    command.add_argument("--records", type=int, default=200_000)
    command.add_argument("--pairs", type=int, default=5, help="runs without the push and with it, in turns")
    command.add_argument("--quick", action="store_true", help="few records and one pair: whether it works")
    command = parts.add_parser(
        "sweeping", help="a pass of the sweeper by its steps, and whether each one uses an index"
    )
    command.set_defaults(part=sweeping.main)
    command.add_argument("--rows", type=int, default=10_000_000, help="rows of delegations that have ended")
    command.add_argument("--activities", type=int, default=3_000_000, help="rows of activity_logs, of seven days")
    command.add_argument("--rounds", type=int, default=9, help="rounds of all steps, in turns")
    command.add_argument("--passes", type=int, default=3, help="whole passes, of 10,000 verdicts each")
    command.add_argument("--quick", action="store_true", help="few rows, one round and one pass: whether it works")
    command = parts.add_parser("pages", help="the dashboard over ten million rows, and what it costs the projector")
    command.set_defaults(part=pages.main)
    command.add_argument("--only", nargs="+", choices=pages.PARTS, default=pages.PARTS, help="only these of its parts")
    command.add_argument("--rows", type=int, default=10_000_000, help="rows of delegations that have ended")
    command.add_argument("--records", type=int, default=400_000, help="records that a member projects in each run")
    command.add_argument(
        "--rounds", type=int, default=5, help="rounds of all requests, and of the runs without indexes"
    )
    command.add_argument("--pairs", type=int, default=5, help="runs with pages open and without, in turns")
    command.add_argument("--database", metavar="URL", help="a database that has the rows, of TESTBED_DATABASE_URL")
    command.add_argument("--quick", action="store_true", help="few rows and one round: whether it works")
    command = parts.add_parser("quick", help="processor time per record, compared with a stored one, in a minute")
    command.set_defaults(part=quick.main)
    command.add_argument("--store", action="store_true", help="store it instead")
    command = parts.add_parser("help", help="seconds until `projector --help` and a completion are printed")
    command.set_defaults(part=help_time.main)
    command.add_argument("--rounds", type=int, default=15)
    command = parts.add_parser("profile", help="time per record and step; `make profile`")
    command.set_defaults(part=profile)
    command.add_argument("--records", type=int, default=300_000)
    command.add_argument("--debezium", action="store_true", help="records in Debezium's envelope instead of bare rows")
    return parser


def _catching_up(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--records", type=int, default=RECORDS, help="records of the recording; the demo's mix has half as many"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--naive-seconds", type=float, default=10.0, help="duration of the naive ways; all records would take minutes"
    )
    parser.add_argument(
        "--only", nargs="+", metavar="NAME", default=[], help="only contenders whose name contains one of these"
    )


if __name__ == "__main__":
    main()
