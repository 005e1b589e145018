"""Callees and callers: who has work in flight, who was heard, and how the latest work went."""

from datetime import datetime, timedelta
from typing import NamedTuple, cast

from projector.postgres import queries, views_workspaces
from projector.postgres.views_workspaces import LATEST, Role, Workspace
from projector.web.parameters import Parameters
from projector.web.reader import Reader

_HOURS = 24
_MOST_HOURS = 24 * 31
_LISTED = 200


class Workspaces(NamedTuple):
    """The workspaces in one role. `latest`: so many delegations of the window were looked at, at most."""

    as_of: datetime
    role: str
    hours: int
    latest: int
    workspaces: list[Workspace]


def workspaces(reader: Reader, given: Parameters) -> Workspaces:
    """Read the callees, or the callers. Raises BadParameter."""
    role = cast(Role, given.choice("role", ("callee", "caller")) or "callee")
    hours = given.number("hours", _HOURS, _MOST_HOURS)
    given.refuse_unknown()
    with reader.connection() as conn:
        now = queries.clock(conn)
        found = views_workspaces.workspaces(conn, role, window=timedelta(hours=hours), limit=_LISTED)
    return Workspaces(now, role, hours, LATEST, found)
