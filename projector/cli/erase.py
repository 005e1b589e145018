"""`projector erase`: erases the texts of a workspace."""

import json
from uuid import UUID

from projector.cli.exit_codes import DONE, FAILED
from projector.cli.output import confirm, note
from projector.cli.terminal import wrap
from projector.errors import NothingFound
from projector.postgres.connection import open_view
from projector.postgres.erasing import Found
from projector.pruning import erase as erasing
from projector.pruning.erase import Erased
from projector.settings import Settings
from projector.texts import counted


def erase(settings: Settings, workspace: UUID, dry_run: bool, yes: bool, json_output: bool) -> int:
    """Count, ask, and erase."""
    done = None
    with open_view(settings) as conn:
        found = erasing.find(conn, workspace)
        if not any(found):
            raise NothingFound(f"nothing of workspace {workspace} was found: compare the id character by character")
        if not dry_run:
            if not yes:
                confirm(f"{_plan(found)}. The texts are not kept")
            done = erasing.erase(conn, workspace)
            found = erasing.find(conn, workspace)
    if json_output:
        print(json.dumps({"found": found._asdict(), "erased": None if done is None else done._asdict()}))
    else:
        print(wrap(f"this would {_plan(found)}" if done is None else _erased(done)))
    if found.open:
        note(
            f"{counted(found.open, 'delegation')} left with texts: in flight, or the reply is due. Run this again when "
            "they have ended"
        )
    kept = 0 if done is None else found.with_texts
    if kept:
        note(
            f"{counted(kept, 'delegation')} left with texts that could be erased: another session had locked them, "
            "they ended a moment ago, or a trigger of the table delegations kept their texts. Run this again"
        )
    return FAILED if done is not None and (found.open or kept) else DONE


def _plan(found: Found) -> str:
    return (
        f"erase the texts of {counted(found.with_texts, 'delegation')}, and delete "
        f"{counted(found.dead_letters, 'dead letter')} and {counted(found.copies, 'deleted copy', 'deleted copies')}"
    )


def _erased(done: Erased) -> str:
    deleted = (
        counted(done.dead_letters, "dead letter"),
        counted(done.copies, "deleted copy", "deleted copies"),
        counted(done.parked_events, "parked event"),
    )
    return f"the texts of {counted(done.delegations, 'delegation')} erased. Deleted: {', '.join(deleted)}"
