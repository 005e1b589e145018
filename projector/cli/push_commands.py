"""The commands of the push of results, declared as in commands.py."""

import click

from projector.cli.options import Command, Group, flag, json_flag, limit, older_than, option
from projector.cli.values import AGE, TEXT

_STATES = ("due", "sent", "told_by_platform", "given_up", "expired", "discarded")


def _state() -> click.Option:
    return option(
        "--state",
        "STATE",
        f"only those in this state ({', '.join(_STATES)}); may be repeated",
        type=click.Choice(_STATES),
        multiple=True,
    )


def _older_than() -> click.Option:
    return older_than("ended, or were due,")


def _ids() -> click.Argument:
    return click.Argument(["delegations"], metavar="[ID]...", nargs=-1, type=TEXT, help="of these delegations")


PUSH = Group(
    "push",
    default="list",
    short_help="tell each caller once how its delegation ended",
    help="Sends the results of ended delegations to their callers, if PROJECTOR_RESULT_PUSH is inbox or topic. `push "
    "run` sends them. The other commands show and change what waits to be sent.",
    commands=[
        Command(
            "run",
            "projector.cli.push:run",
            short_help="send what is due, until it is stopped",
            help="Sends what is due, and looks again after PROJECTOR_PUSH_INTERVAL_SECONDS. Run as many as you like: "
            "each reply is sent by one of them. SIGTERM finishes the current batch and exits with 0.",
            params=[
                flag("--once", "send what is due now, print the counts and exit"),
                json_flag("with --once: end with one line of JSON"),
            ],
        ),
        Command(
            "list",
            "projector.cli.push:list_oldest",
            pages=True,
            short_help="replies that were not sent, the longest due first",
            help="Lists replies, the longest due first, and counts all by state. Without --state it lists those that "
            "are due, given up or expired.",
            params=[_state(), _older_than(), limit(), json_flag()],
        ),
        Command(
            "show",
            "projector.cli.push:show",
            short_help="one reply: its state, its last error, and what is sent",
            params=[click.Argument(["delegation"], metavar="ID", type=TEXT), json_flag()],
        ),
        Command(
            "retry",
            "projector.cli.push:retry",
            short_help="make replies due now that were given up, have expired, were discarded or wait",
            help="Makes the selected replies due now, as if none had been tried. A reply that was sent is never sent "
            "again. Exits with 6 if one of the ids has none to retry, or if none is selected.",
            params=[_ids(), _state(), _older_than()],
        ),
        Command(
            "discard",
            "projector.cli.push:discard",
            short_help="never send these replies",
            help="Marks the selected replies as discarded. Their rows stay. Prints how many, and asks. Exits with 6 "
            "if one of the ids has none to discard, or if none is selected.",
            params=[_ids(), _state(), _older_than(), flag("--yes", "do not ask")],
        ),
        Command(
            "missing",
            "projector.cli.push:missing",
            short_help="callers that were not told: no reply was queued, or none is in the inbox",
            help="Lists ended delegations without a reply, since the push was switched on, and sent replies that are "
            "in no inbox. With --send it queues them. Exits with 6 if the push was never switched on.",
            params=[
                _ids(),
                limit(),
                flag("--send", "queue them, due now; prints how many, and asks"),
                flag("--yes", "do not ask"),
                json_flag(),
            ],
        ),
        Command(
            "prune",
            "projector.cli.push:prune",
            short_help="delete replies that were sent or discarded long ago",
            help="Deletes replies that were sent or discarded longer ago than PROJECTOR_PUSH_RETENTION_DAYS, or "
            "--older-than. Refuses (exit code 2) if a record or an activity row may be that old: it could be read "
            "again, and its reply could be sent twice.",
            params=[
                option("--older-than", "DURATION", "instead of PROJECTOR_PUSH_RETENTION_DAYS, as 90d", type=AGE),
                json_flag(),
            ],
        ),
    ],
)
