"""The commands with subcommands, declared as in commands.py."""

import click

from projector.cli.options import Command, Group, flag, json_flag, option


def _limit() -> click.Option:
    return option("--limit", "N", "maximum number of rows (50)", type=int, default=50)


def _topic() -> click.Option:
    """The setting as the command's own option: without the flag, `list` and --all mean every topic."""
    return option("--topic", "…", "the topic of activity events [PROJECTOR_TOPIC]")


def _places() -> list[click.Parameter]:
    return [
        _topic(),
        flag("--all", "all of them, or with --topic all of that topic", "select_all"),
        click.Argument(
            ["partition"], metavar="[PARTITION]", type=int, required=False, help="or those of this partition …"
        ),
        click.Argument(["offsets"], metavar="[OFFSET]...", type=int, nargs=-1, help="… that are at these offsets"),
    ]


MIGRATE = Group(
    "migrate",
    short_help="bring the database's schema up to date, or take it back",
    help="Applies the numbered files of schema/, one transaction a file, under a lock: several at once are safe. A "
    "table `delegations` that is there already is adopted where it fits.",
    commands=[
        Command("up", "projector.cli.migrate:up", short_help="apply what is pending"),
        Command(
            "down",
            "projector.cli.migrate:down",
            short_help="take everything back, or all that came after --to N",
            params=[
                option("--to", "N", "stay at version N; 0 leaves nothing", type=int, default=0),
                flag("--yes", "do not ask, even if rows would be destroyed"),
            ],
        ),
        Command("status", "projector.cli.migrate:status", short_help="which files are applied, which are pending"),
        Command(
            "recreate-shadow",
            "projector.cli.migrate:recreate_shadow",
            short_help="create the tables of verify and rebuild again, from the present tables",
        ),
    ],
)

DEAD_LETTERS = Group(
    "dead-letters",
    short_help="records that could not be read",
    help="A record that cannot be read, or that Postgres refuses, is kept whole with the reason; the records around it "
    "go on. Repair the cause, then `retry`; or `discard` what is not needed. Give --topic for records of another "
    "topic than PROJECTOR_TOPIC, such as those of a replayed file, whose name is their topic where a line was no "
    "record.",
    commands=[
        Command(
            "list",
            "projector.cli.dead_letters:list_latest",
            short_help="the latest, newest first, of every topic unless --topic names one",
            params=[
                _topic(),
                _limit(),
                option("--partition", "P", "of this partition alone", type=int),
                json_flag(),
            ],
        ),
        Command(
            "show",
            "projector.cli.dead_letters:show",
            short_help="one of them whole: the reason, the field at fault, and the record as it came",
            params=[
                click.Argument(["partition"], metavar="PARTITION", type=int),
                click.Argument(["offset"], metavar="OFFSET", type=int),
                json_flag(),
            ],
        ),
        Command(
            "retry",
            "projector.cli.dead_letters:retry_selected",
            short_help="project them once more",
            help="Projects the kept bytes once more, in order of topic, partition and offset. What is no dead letter "
            "any more leaves the list in the same transaction; what still is one stays, with its new reason. No "
            "position moves. Several at once are safe, and after an interruption it is simply run again.",
            params=[*_places(), json_flag()],
        ),
        Command(
            "discard",
            "projector.cli.dead_letters:discard_selected",
            short_help="delete them for good",
            params=[*_places(), flag("--yes", "do not ask")],
        ),
    ],
)

PARKED = Group(
    "parked",
    short_help="events that wait for the request of their delegation",
    help="An event that comes before the request of its delegation is parked, and applied when the request comes. One "
    "that waits for hours means that its request was lost, or lost to another with the same idempotency key.",
    commands=[
        Command(
            "list",
            "projector.cli.parked:list_oldest",
            short_help="parked events, the oldest first",
            help="Lists the parked events, the oldest first, and tells how long the oldest has waited.",
            params=[_limit(), option("--delegation", "ID", "of this delegation alone"), json_flag()],
        )
    ],
)
