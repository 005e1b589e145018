"""Erasing: the texts of a workspace go, and the rows stay. Members keep running beside it."""

from functools import partial
from typing import NamedTuple
from uuid import UUID

from projector.postgres import erasing
from projector.postgres.connection import Connection, transaction
from projector.postgres.erasing import Chunk, Found, Place
from projector.projection.transaction import with_retries
from projector.pruning.prune import delete_parked_of_pruned, hold_off_rebuilds
from projector.rebuild import shadow

_CHUNK = 500


class Erased(NamedTuple):
    """What was erased: the texts of delegations; and deleted: dead letters, copies, and events that were parked."""

    delegations: int
    dead_letters: int
    copies: int
    parked_events: int


def find(conn: Connection, workspace: UUID) -> Found:
    """Count what there is of a workspace."""
    with transaction(conn):
        conn.execute("SET LOCAL statement_timeout = 0")
        return erasing.find(conn, workspace)


def erase(conn: Connection, workspace: UUID) -> Erased:
    """Erase the texts of a workspace. After an interruption run it again. Raises Busy.

    The tables of verify and rebuild are emptied: an interrupted one has left texts there.
    """
    hold_off_rebuilds(conn)
    with transaction(conn):
        shadow.truncate(conn)
    rows, last = 0, erasing.FIRST
    while chunk := with_retries(partial(_erase_rows, conn, workspace, last)):
        rows, last = rows + chunk.erased, chunk.last
    letters, copies = with_retries(partial(_delete, conn, workspace))
    return Erased(rows, letters, copies, delete_parked_of_pruned(conn))


def _erase_rows(conn: Connection, workspace: UUID, after: Place) -> Chunk | None:
    with transaction(conn):
        return erasing.erase_rows(conn, workspace, after, limit=_CHUNK)


def _delete(conn: Connection, workspace: UUID) -> tuple[int, int]:
    with transaction(conn):
        conn.execute("SET LOCAL statement_timeout = 0")  # every dead letter is read
        letters, copies = erasing.delete_dead_letters(conn, workspace), erasing.delete_copies(conn, workspace)
        erasing.close_repeated(conn, workspace)  # after the copies, which are found by what is closed here
        erasing.erase_parked(conn)
        return letters, copies
