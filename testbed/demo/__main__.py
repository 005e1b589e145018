"""`python -m testbed.demo`: all of it on a real Kafka and a real Postgres, with a kill in the middle."""

import argparse
import sys

from rich.console import Console

from testbed.demo import story


def main() -> int:
    """Play the demo: 0 if the view equals the log, 1 if not, 2 if a server cannot be started.

    It takes no settings of the projector, so that it never reaches anybody's own database.
    """
    arguments = _parser().parse_args()
    plan = story.Plan(arguments.delegations, arguments.seed, arguments.keep)
    try:
        return 0 if story.play(plan, Console()) else 1
    except (story.NoServers, story.Failed) as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2 if isinstance(error, story.NoServers) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "make demo",
        description="Starts a real Kafka and a real Postgres, simulates a platform, kills the projector half-way, "
        "starts it again, and compares the view with what independent code computes from the log. Exit codes: 0 the "
        "view equals the log, 1 it does not, 2 a server cannot be started. Needs Docker, or Java 17 with Maven.",
    )
    parser.add_argument("--delegations", metavar="N", type=_positive, default=3000, help="how many (default: 3000)")
    parser.add_argument("--seed", metavar="N", type=int, default=7, help="seed of the simulated platform (default: 7)")
    parser.add_argument("--keep", action="store_true", help="leave everything running, and print where it is")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1 on, found {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
