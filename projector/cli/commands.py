"""The commands: their help, their parameters, and the functions that run them. Imports only click, so help is fast."""

import click

from projector.cli.arguments import Several
from projector.cli.exit_codes import MEANINGS
from projector.cli.inspecting import EXPLAIN, STATUS
from projector.cli.operations import DASHBOARD, ERASE, PRUNE, SWEEP
from projector.cli.options import Command, Group, flag, json_flag, option
from projector.cli.push_commands import PUSH
from projector.cli.setup_commands import COMPLETION, CONFIG, DOCTOR, HEALTH, INIT
from projector.cli.subcommands import DEAD_LETTERS, DELETED, MIGRATE, PARKED
from projector.cli.values import COUNT, FILE, NUMBER, TIME


def _source() -> click.Option:
    return Several(
        ["--from", "source"],
        metavar="SOURCE...",
        default=["topic"],
        help="topic (the default: from the start of its log), activity-logs (the platform's table), or recordings",
    )


def _offset(name: str, text: str) -> click.Option:
    return option(name, "[PARTITION:]OFFSET", text, multiple=True)


_RUN = Command(
    "run",
    "projector.cli.run:run",
    short_help="project the topic into the view until it is stopped",
    help="Joins the consumer group and projects what arrives, each record exactly once. Run as many as the topic has "
    "partitions. SIGTERM finishes the current batch, leaves the group and exits with 0.",
    params=[
        option(
            "--members",
            "N",
            "number of members to run on this machine, each in its own process",
            type=COUNT,
            default=1,
        ),
        flag("--with-sweep", "also run `projector sweep`, in a process of its own"),
        flag("--with-push", "also run `projector push run`, in a process of its own"),
    ],
)

_VERIFY = Command(
    "verify",
    "projector.cli.verify:verify",
    if_interrupted="run it again: it continues where it stopped",
    short_help="compare the view with the log: 0 if they are equal, 3 if not",
    help="Folds the log again, beside the view, and compares the two at one position. The projector keeps running. "
    "Exits with 0 if they are equal, with 3 if the view has drifted, and with 6 if nothing was compared. Changes "
    "nothing in the view.",
    params=[
        _source(),
        json_flag("one line of JSON"),
        option("--sample", "N", "look at about N delegations instead of all", type=COUNT),
    ],
)

_REBUILD = Command(
    "rebuild",
    "projector.cli.rebuild:rebuild",
    if_interrupted="run it again: it continues where it stopped",
    short_help="write the rows of the view that differ from the log",
    help="Folds the log again, beside the view, then writes the rows that differ, and no others, in one transaction. "
    "The projector keeps running. Prints the plan first, and asks if it would delete anything. `projector deleted "
    "restore` puts back what a rebuild deleted. Rows that are older than the source are not changed. If it is killed, "
    "run it again: it continues where it stopped. Exits with 3 if written rows differ again, and with 6 if nothing was "
    "compared.",
    params=[
        _source(),
        json_flag("one line of JSON"),
        flag("--dry-run", "print what would be written, and write nothing"),
        Several(["--only"], metavar="ID...", help="compare and write only these delegations"),
        flag(
            "--drop-uncovered",
            "also repair rows whose whole history the source does not have: this may delete rows that are right",
        ),
        flag("--yes", "do not ask"),
    ],
)

_REPLAY = Command(
    "replay",
    "projector.cli.replay:replay_files",
    if_interrupted="run it again: a second replay changes no row",
    short_help="project recordings or exports of activity_logs",
    help="Projects files of JSON lines through the same fold as the topic; - is standard input. A line is a recorded "
    "record, or itself an activity row. No position moves. A second replay changes no row. A file without a record in "
    "its first 100 lines is refused, and then nothing is written. Exits with 5 if records ended as dead letters.",
    params=[
        click.Argument(["files"], metavar="FILE...", type=FILE, nargs=-1, required=True),
        flag("--dry-run", "read the files, print the number of records and dead letters, and write nothing"),
        option(
            "--max-dead-letters",
            "N",
            "stop before a file has more dead letters than this (no limit; 0 without a record in its first 100 lines)",
            type=NUMBER,
        ),
        json_flag("end with one line of JSON: records, outcomes, seconds"),
    ],
)

_RECORD = Command(
    "record",
    "projector.cli.record:record",
    short_help="write the topic, or a part of it, into a recording",
    help="Reads the topic from its beginning to its end as it is now, and writes the records as they are, one per "
    "line, for `projector replay`. Joins no group, moves no position, needs no database.",
    params=[
        option("--out", "FILE", "ends in .jsonl, .gz or .zst; - is standard output", type=FILE, required=True),
        flag("--force", "replace FILE if it exists"),
        _offset("--from-offset", "begin at this offset; once for each partition: no other partition is read"),
        option("--from-time", "TIME", "begin at the first record of this time: ISO 8601, or -1h, -7d", type=TIME),
        _offset("--to-offset", "end before this offset"),
        option("--to-time", "TIME", "end before the first record of this time or later", type=TIME),
        option("--caller", "UUID", "only records about delegations of this caller"),
        option("--delegation", "ID", "only records about this delegation; may be repeated", multiple=True),
        flag("--redact", "replace all free texts by pseudonyms of the same length"),
        json_flag("end with one line of JSON instead"),
    ],
)

PROJECTOR = Group(
    "projector",
    context_settings={"help_option_names": ["-h", "--help"]},
    help="""\
    Projects activity events from Kafka into the Postgres table `delegations`: one row per delegation, exactly once.

    Each setting is an environment variable PROJECTOR_… and a flag of the same name: --help-settings lists them, and
    `projector config` shows their values in force.

    Options and settings may stand before or after the command.
    """,
    epilog="\b\nExit codes:\n" + "\n".join(f"  {code:<4} {meaning}" for code, meaning in MEANINGS.items()),
    commands=[
        INIT,
        _RUN,
        MIGRATE,
        STATUS,
        _VERIFY,
        _REBUILD,
        EXPLAIN,
        _REPLAY,
        _RECORD,
        DEAD_LETTERS,
        PARKED,
        DELETED,
        PRUNE,
        ERASE,
        PUSH,
        SWEEP,
        DASHBOARD,
        DOCTOR,
        CONFIG,
        HEALTH,
        COMPLETION,
    ],
)
click.version_option(package_name="delegations-projector", message="%(version)s")(PROJECTOR)
