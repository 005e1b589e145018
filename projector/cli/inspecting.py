"""The commands that show how far the view is, and one delegation; declared as in commands.py."""

import click

from projector.cli.arguments import Several
from projector.cli.options import Command, flag, json_flag, option
from projector.cli.values import FILE, INTERVAL, NUMBER

STATUS = Command(
    "status",
    "projector.cli.status:status",
    short_help="whether the view follows the topic, and what is behind",
    help="Shows first whether the view follows the topic, how fast, and how long it takes to catch up. Then it shows "
    "each partition: its position, when that last moved, the end of its log, the lag, and the member that claimed it "
    "last. The lag is in records and in seconds: the age of the first record that is not projected yet. At the end "
    "are the rows of `delegations` by status, parked events and dead letters. If the view is behind, it looks twice, "
    "one second apart. If Kafka does not answer, it shows what Postgres has, and exits with 1. It exits with 7 if a "
    "limit is exceeded.",
    params=[
        click.Option(
            ["--watch"],
            metavar="[SECONDS]",
            type=INTERVAL,
            is_flag=False,
            flag_value="2",
            help="look again until Ctrl-C: every 2 seconds, or at the given interval",
        ),
        option("--max-lag", "N", "exit with 7 if more records than this are not projected", type=NUMBER),
        option("--max-dead-letters", "N", "exit with 7 if the topic has more dead letters than this", type=NUMBER),
        json_flag("print one object of JSON instead; with --watch one per look"),
    ],
)

EXPLAIN = Command(
    "explain",
    "projector.cli.explain:explain",
    pages=True,
    short_help="the records of one delegation, and whether its row agrees",
    help="Prints first whether the row of one delegation agrees with the log, and if not, why and what to do. Then "
    "it prints one line per record about the delegation, with its effect on the row. The parked events, the dead "
    "letters and the row follow. It changes nothing and joins no group. The start of an id is enough, in upper or "
    "lower case, if only one id begins with it. If the caller is known, from the row or from --caller, it reads one "
    "partition first, and the others only if that is not enough. If Postgres has nothing about the id, it reads the "
    "newest 100,000 records. Exits with 3 if the row does not agree with the log or its request is a dead letter, "
    "and with 6 if nothing was found.",
    params=[
        click.Argument(["delegation"], metavar="ID", help="the delegation's id, or the start of it"),
        option("--caller", "UUID", "the caller, if there is no row that has it"),
        Several(["--recording"], metavar="FILE...", type=FILE, help="read these recordings instead of the topic"),
        flag("--everywhere", "read the whole topic at once"),
        flag("--full", "do not cut long texts"),
        click.Option(["--verbose", "-v"], is_flag=True, help="more about each record"),
        flag("--legend", "also print what the outcomes mean"),
        json_flag(),
    ],
)
