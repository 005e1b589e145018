"""Callees and callers: who has work in flight, who was heard, and how the latest work went."""

from datetime import datetime, timedelta
from typing import NamedTuple, cast

from projector.postgres import queries, views_workspaces
from projector.postgres.views_workspaces import LATEST, Pair, Role, Workspace
from projector.web.parameters import Parameters
from projector.web.reader import Reader

_LISTED = 200
_PAIRS = 20


class Workspaces(NamedTuple):
    """The workspaces in one role, and who waits for whom. At most `latest` delegations of the window are counted."""

    as_of: datetime
    role: str
    hours: int
    latest: int
    workspaces: list[Workspace]
    pairs: list[Pair]


def workspaces(reader: Reader, given: Parameters) -> Workspaces:
    """Read the callees, or the callers. Raises BadParameter."""
    role = cast(Role, given.choice("role", ("callee", "caller")) or "callee")
    hours = given.hours()
    given.refuse_unknown()
    with reader.connection() as conn:
        now = queries.clock(conn)
        found = views_workspaces.workspaces(conn, role, window=timedelta(hours=hours), limit=_LISTED)
        pairs = views_workspaces.pairs(conn, limit=_PAIRS)
    return Workspaces(now, role, hours, LATEST, found, pairs)
