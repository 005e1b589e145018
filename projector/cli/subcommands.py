"""The commands with subcommands, declared as in commands.py."""

import click

from projector.cli.options import Command, Group, flag, json_flag, limit, older_than, option
from projector.cli.values import AGE, NUMBER, TEXT


def _selection() -> list[click.Parameter]:
    return [
        option("--topic", "TOPIC", "the topic of the records (PROJECTOR_TOPIC)"),
        flag("--every-topic", "those of all topics, instead of one topic"),
        option("--reason", "TEXT", "only those whose reason contains this text", type=TEXT),
        option("--field", "PATH", "only those with this field, as request_body.delegation_id", type=TEXT),
        older_than("failed"),
        option("--newer-than", "DURATION", "only those that failed since then", type=AGE),
    ]


def _places() -> list[click.Parameter]:
    return [
        flag("--all", "all dead letters of the topic", "select_all"),
        *_selection(),
        click.Argument(
            ["partition"], metavar="[PARTITION]", type=int, required=False, help="instead of an option: the partition …"
        ),
        click.Argument(
            ["offsets"], metavar="[OFFSET]...", type=int, nargs=-1, help="… and the offsets of the dead letters"
        ),
    ]


MIGRATE = Group(
    "migrate",
    short_help="bring the database's schema up to date, or revert it",
    help="Applies the numbered files of schema/, one transaction per file, under a lock: several at once are "
    "safe. A table `delegations` that already exists is adopted if it fits.",
    commands=[
        Command("up", "projector.cli.migrate:up", short_help="apply what is pending"),
        Command(
            "down",
            "projector.cli.migrate:down",
            short_help="revert the migrations after version N",
            params=[
                option("--to", "N", "the version to go back to; 0 removes everything", type=NUMBER, required=True),
                flag("--yes", "do not ask, even if rows would be deleted"),
            ],
        ),
        Command(
            "status",
            "projector.cli.migrate:status",
            short_help="which files are applied, which are pending",
            params=[json_flag()],
        ),
        Command(
            "recreate-shadow",
            "projector.cli.migrate:recreate_shadow",
            short_help="create the tables of verify and rebuild again, from the present tables",
        ),
    ],
)

DEAD_LETTERS = Group(
    "dead-letters",
    default="list",
    short_help="records that could not be read",
    help="A record that cannot be read, or that Postgres refuses, is kept whole with the reason. Other records do not "
    "wait for it. Fix the cause, then `retry`; or `discard` what is not needed. All commands are about the topic "
    "PROJECTOR_TOPIC. --topic names another one, and --every-topic means all. If a line of a replayed file is no "
    "record, its topic is the name of the file.",
    commands=[
        Command(
            "list",
            "projector.cli.dead_letters:list_latest",
            pages=True,
            short_help="the latest, newest first",
            params=[
                *_selection(),
                limit(),
                option("--partition", "P", "only those of this partition", type=int),
                json_flag(),
            ],
        ),
        Command(
            "show",
            "projector.cli.dead_letters:show",
            pages=True,
            short_help="one of them: the reason, and the record with the wrong field marked",
            params=[
                click.Argument(["partition"], metavar="PARTITION", type=int),
                click.Argument(["offset"], metavar="OFFSET", type=int),
                flag("--full", "print the record as it came, and do not cut it"),
                json_flag(),
            ],
        ),
        Command(
            "retry",
            "projector.cli.dead_letters:retry_selected",
            short_help="project them again",
            help="Projects them again, in order of topic, partition and offset. In the same transaction each is "
            "deleted, or kept with its new reason. No position moves. Several retries at once are safe. After an "
            "interruption, run it again. Exits with 5 if some failed again, and with 6 if there was none.",
            params=[*_places(), json_flag()],
        ),
        Command(
            "discard",
            "projector.cli.dead_letters:discard_selected",
            short_help="delete them permanently",
            help="Deletes dead letters permanently. Prints how many are selected, by topic and reason, and asks. "
            "Exits with 6 if a named one does not exist, or if an option selects none.",
            params=[*_places(), flag("--yes", "do not ask")],
        ),
    ],
)

PARKED = Group(
    "parked",
    default="list",
    short_help="events that wait for the request of their delegation",
    help="An event that comes before the request of its delegation is parked, and applied when the request comes. If "
    "one waits for hours, its request is missing, or repeated the idempotency key of another one.",
    commands=[
        Command(
            "list",
            "projector.cli.parked:list_oldest",
            pages=True,
            short_help="parked events, the oldest first",
            help="Lists the parked events, the oldest first, and the age of the oldest. An event is never applied if "
            "the request of its delegation repeated the idempotency key of another one. Such events are marked and "
            "counted.",
            params=[limit(), option("--delegation", "ID", "only those of this delegation", type=TEXT), json_flag()],
        ),
        Command(
            "discard",
            "projector.cli.parked:discard_selected",
            short_help="delete parked events permanently",
            help="Deletes permanently the parked events that all given options select. Prints how many, and asks. "
            "Exits with 6 if one of the ids has none, or if none is selected.",
            params=[
                click.Argument(["delegations"], metavar="[ID]...", nargs=-1, type=TEXT, help="of these delegations"),
                older_than("were parked"),
                flag("--repeated", "only those whose request repeated an idempotency key: they are never applied"),
                flag("--yes", "do not ask"),
            ],
        ),
    ],
)


def _deleted_entries() -> list[click.Parameter]:
    return [
        click.Argument(["delegations"], metavar="[ID]...", nargs=-1, type=TEXT),
        _run(),
        flag("--all", "everything that is kept", "select_all"),
    ]


def _run() -> click.Option:
    return option("--run", "RUN", "what this run of rebuild deleted", type=click.UUID)


DELETED = Group(
    "deleted",
    default="list",
    short_help="rows and events that a rebuild deleted",
    help="A rebuild keeps what it deletes in the table projector.deleted. `restore` puts it back.",
    commands=[
        Command(
            "list",
            "projector.cli.deleted:list_latest",
            pages=True,
            short_help="what is kept, the latest first",
            params=[_run(), limit(), json_flag()],
        ),
        Command(
            "restore",
            "projector.cli.deleted:restore",
            short_help="put rows and parked events back",
            help="Puts each row back as it was, and applies the events that were parked for it since. A row is "
            "refused, named and still kept if another row has its id or its idempotency key. The exit code is then 1.",
            params=_deleted_entries(),
        ),
        Command(
            "discard",
            "projector.cli.deleted:discard",
            short_help="delete permanently what is kept",
            params=[*_deleted_entries(), flag("--yes", "do not ask")],
        ),
    ],
)
