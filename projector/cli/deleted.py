"""`projector deleted`: what rebuilds have deleted, and how to put it back."""

import json
from collections.abc import Sequence
from uuid import UUID

import click

from projector.cli.exit_codes import DONE, FAILED, NOTHING_FOUND
from projector.cli.output import as_json, confirm, note, when
from projector.cli.terminal import table
from projector.errors import NothingFound
from projector.postgres import deleted
from projector.postgres.connection import Connection, mapped_errors, open_view
from projector.postgres.deleted import Deleted, Selection
from projector.postgres.write_batch import prepare
from projector.settings import Settings
from projector.texts import counted, escape, named


def list_latest(settings: Settings, run: UUID | None, limit: int, json_output: bool) -> int:
    """Print the latest entries."""
    with open_view(settings) as conn, mapped_errors():
        entries = deleted.latest(conn, Selection(run_id=run), limit=limit)
        total = deleted.count(conn, Selection(run_id=run))
    if json_output:
        print(json.dumps({"total": total, "deleted": [as_json(entry) for entry in entries]}))
    elif total:
        _print(entries, total)
    else:
        print("nothing that a rebuild deleted is kept")
    return DONE


def restore(settings: Settings, delegations: Sequence[str], run: UUID | None, select_all: bool) -> int:
    """Put the selected entries back, and print each that could not be."""
    selected = _selected(delegations, run, select_all)
    restored = refused = 0
    with open_view(settings) as conn, mapped_errors():
        missing = _missing(conn, selected)
        prepare(conn)
        for entry in deleted.restore(conn, selected):
            restored += entry.problem is None
            refused += entry.problem is not None
            if entry.problem is not None:
                print(f"not put back: {entry.kind} of {escape(named(entry.delegation_id))}: {escape(entry.problem)}")
    if not restored + refused:
        raise NothingFound("nothing that a rebuild deleted is kept for this selection")
    print(f"{restored:,} put back, {refused:,} still kept")
    if refused:
        return FAILED
    return NOTHING_FOUND if missing else DONE


def discard(settings: Settings, delegations: Sequence[str], run: UUID | None, select_all: bool, yes: bool) -> int:
    """Delete the selected entries permanently. Ask first."""
    selected = _selected(delegations, run, select_all)
    with open_view(settings) as conn, mapped_errors():
        missing = _missing(conn, selected)
        known = deleted.until_now(conn, selected)
        found = deleted.count(conn, known)
        if not found:
            raise NothingFound("nothing that a rebuild deleted is kept for this selection")
        if not yes:
            confirm(f"delete {counted(found, 'entry', 'entries')} of projector.deleted permanently")
        print(f"{counted(deleted.discard(conn, known), 'entry', 'entries')} discarded")
    return NOTHING_FOUND if missing else DONE


def _missing(conn: Connection, selected: Selection) -> list[str]:
    """The selected delegations of which nothing is kept. A note names them, if another one is kept."""
    missing = deleted.unknown(conn, selected)
    if missing and len(missing) < len(set(selected.ids or ())):
        note(f"nothing that a rebuild deleted is kept for delegation {escape(', '.join(map(named, missing)))}")
    return missing


def _selected(ids: Sequence[str], run: UUID | None, select_all: bool) -> Selection:
    if select_all == bool(ids or run):
        raise click.UsageError("give delegation ids, --run RUN, or --all")
    return Selection(ids or None, run)


def _print(entries: list[Deleted], total: int) -> None:
    rows = (
        (when(each.deleted_at), *each[1:3], named(each.delegation_id), each.status, each.source) for each in entries
    )
    print(table(("deleted at (UTC)", "run", "kind", "delegation", "status", "not in"), rows))
    if total > len(entries):
        print(f"\n{len(entries):,} of {total:,}: --limit shows more")
