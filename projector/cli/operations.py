"""The commands that act on the view's delegations, declared as in commands.py."""

import click

from projector.cli.options import Command, flag, json_flag, option
from projector.cli.values import AGE

SWEEP = Command(
    "sweep",
    "projector.cli.sweep:sweep",
    if_interrupted="run it again: what is written already is not written twice",
    short_help="write verdicts about delegations that are silent or overdue",
    help="Reads the view every PROJECTOR_SWEEP_INTERVAL_SECONDS, asks the platform's table about each candidate, and "
    "writes verdicts there as activity rows. It never writes the view: the change feed and the projector do. Several "
    "at once are harmless. Exits with 0 also if a pass was skipped, and with 1 if the table cannot be asked or the "
    "role may not insert.",
    params=[
        flag("--once", "make one pass, and end"),
        flag("--dry-run", "print what the next pass would write, and write nothing"),
        flag("--anyway", "with --once or --dry-run: write stuck verdicts also if they are unusually many"),
        click.Option(
            ["--sink", "--sweep-sink", "sweep_sink"],
            metavar="SINK",
            help="where verdicts are written: activity-logs (the platform's table) or topic [PROJECTOR_SWEEP_SINK]",
        ),
        json_flag("end each pass with one line of JSON"),
    ],
)

PRUNE = Command(
    "prune",
    "projector.cli.prune:prune",
    if_interrupted="run it again: what is pruned stays pruned",
    short_help="delete delegations that ended long ago",
    help="Deletes delegations that ended longer ago than --ended-before, with their replies and what a rebuild kept of "
    "them. Members keep running. Their ids and idempotency keys stay used: late events change nothing, and no rebuild "
    "brings a row back. A delegation whose caller was not told stays. Prints how many, and asks. No command brings "
    "them back.",
    params=[
        option("--ended-before", "DURATION", "only those that ended longer ago, as 90d", type=AGE, required=True),
        flag("--dry-run", "print how many would be deleted, and delete nothing"),
        flag("--yes", "do not ask"),
        json_flag(),
    ],
)

ERASE = Command(
    "erase",
    "projector.cli.erase:erase",
    if_interrupted="run it again: it continues with what is left",
    short_help="erase the texts of a workspace; its rows and the audit stay",
    help="Replaces task, result and error of each delegation that has ended, with this workspace as caller or callee, "
    "by [erased]. Deletes dead letters that name the workspace, and copies that a rebuild kept. Members keep running. "
    "No event and no rebuild brings the texts back. The table activity_logs and the topic are not changed. Prints how "
    "many, and asks. Without --dry-run it exits with 1 if some are left, since they are in flight. It "
    "exits with 6 if nothing was found.",
    params=[
        option("--workspace", "UUID", "the workspace whose texts are erased", type=click.UUID, required=True),
        flag("--dry-run", "print how many would be erased, and erase nothing"),
        flag("--yes", "do not ask"),
        json_flag(),
    ],
)

DASHBOARD = Command(
    "dashboard",
    "projector.cli.dashboard:dashboard",
    short_help="serve pages and JSON over the view, for reading only",
    help="Serves the view on PROJECTOR_DASHBOARD_ADDRESS to browsers with a token of PROJECTOR_DASHBOARD_TOKENS. It "
    "only reads: each page shows the command to type where an operator can act. SIGTERM ends it after the current "
    "requests.",
    params=[
        flag(
            "--login-link",
            "print one line, a link that logs a browser in: it works once, within 10 minutes. Its code is only in the "
            "memory of this process",
        )
    ],
)
