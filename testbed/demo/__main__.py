"""`python -m testbed.demo`: runs the projector on a real Kafka and Postgres, and kills it half-way."""

import argparse
import logging
import sys

from rich.console import Console

from testbed.demo.keeping import stop
from testbed.demo.run import Options, ProcessFailed, ServerUnavailable, run_demo


def main() -> int:
    """Run the demo: 0 if the view equals the log, 1 if not, 2 if a server cannot be started, 130 after Ctrl-C.

    It ignores the settings PROJECTOR_…, so it never reaches another database.
    """
    arguments = _parser().parse_args()
    if arguments.stop:
        print("\n".join(stop()) or "no demo is kept")
        return 0
    # A query that Ctrl-C interrupts makes the rollback after it fail, and psycopg warns about that.
    logging.getLogger("psycopg").setLevel(logging.ERROR)
    options = Options(arguments.delegations, arguments.seed, arguments.keep)
    try:
        return 0 if run_demo(options, Console()) else 1
    except (ServerUnavailable, ProcessFailed) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2 if isinstance(error, ServerUnavailable) else 1
    except KeyboardInterrupt:
        kept = "what --keep left running goes on: `make demo ARGS=--stop` ends it"
        left = kept if options.keep else "everything it started was ended"
        sys.stderr.write(f"\ndemo: interrupted: {left}\n")
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make demo",
        description="Starts a real Kafka and a real Postgres, simulates a platform, kills the projector half-way and "
        "starts it again. Then compares the view with the result of independent code. In the second act, callees fall "
        "silent and answer late, and verdicts and replies are compared too. Exit codes: 0 all is equal, 1 it is not, 2 "
        "a server cannot be started. Needs Docker, or Java 17 with Maven.",
    )
    parser.add_argument("--delegations", metavar="N", type=_positive, default=3000, help="how many (default: 3000)")
    parser.add_argument("--seed", metavar="N", type=int, default=7, help="seed of the simulated platform (default: 7)")
    parser.add_argument(
        "--keep", action="store_true", help="leave everything running, with a dashboard, and print how to reach it"
    )
    parser.add_argument("--stop", action="store_true", help="end what --keep left running, and delete its files")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
