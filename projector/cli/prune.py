"""`projector prune`: deletes delegations that ended long ago."""

import json
from datetime import timedelta

from projector.cli.exit_codes import DONE
from projector.cli.output import confirm, note, when
from projector.cli.terminal import wrap
from projector.postgres import queries
from projector.postgres.connection import open_view
from projector.pruning import prune as pruning
from projector.pruning.prune import Plan, Pruned
from projector.settings import Settings
from projector.texts import counted


def prune(settings: Settings, ended_before: timedelta, dry_run: bool, yes: bool, json_output: bool) -> int:
    """Count, ask, and delete."""
    done = None
    with open_view(settings) as conn:
        before = queries.clock(conn) - ended_before
        plan = pruning.plan(conn, before)
        if not dry_run:
            if plan.delegations and not yes:
                confirm(_destruction(plan))
            pruning.hold_off_rebuilds(conn)
            done = pruning.prune(conn, before)
    if json_output:
        deleted = None if done is None else done._asdict()
        print(json.dumps({"before": before.isoformat(), "plan": plan._asdict(), "deleted": deleted}))
        return DONE
    print(wrap(f"{_planned(plan) if done is None else _deleted(done)}, ended before {when(before)} UTC"))
    if plan.owed:
        print(
            wrap(
                f"{counted(plan.owed, 'delegation')} of that age stayed, because the caller was not told: see "
                "`projector push list` and `projector push missing`"
            )
        )
    stayed = 0 if done is None else plan.delegations - done.delegations
    if stayed > 0:
        note(
            f"{counted(stayed, 'delegation')} of that age stayed: another session had locked them, or a trigger of the "
            "table delegations kept them. Run this again"
        )
    return DONE


def _destruction(plan: Plan) -> str:
    rows = counted(plan.view_rows, "row")
    return f"delete {plan.delegations:,} of the {rows} of the view permanently, with their replies and deleted copies"


def _planned(plan: Plan) -> str:
    return f"{counted(plan.delegations, 'delegation')} of {plan.view_rows:,} would be deleted"


def _deleted(done: Pruned) -> str:
    others = [
        counted(count, noun)
        for count, noun in ((done.repeated_requests, "repeated request"), (done.parked_events, "parked event"))
        if count
    ]
    return " and ".join([f"{counted(done.delegations, 'delegation')} deleted", *others])
