"""The list of delegations: its filter, its order and its pages, as a page and as JSON."""

import base64
import json
from datetime import datetime, timedelta
from typing import NamedTuple, cast

from projector.contract.fields import storable
from projector.postgres import queries, views_delegations
from projector.postgres.views_delegations import COUNTED, Cursor, DelegationRow, Only, Sort, Wanted
from projector.web.parameters import ALL_STATUSES, IN_FLIGHT, MAX_LIMIT, STATUSES, BadParameter, Parameters
from projector.web.reader import Reader

_SORTS = ("created", "age", "silence", "deadline")
_ONLY = ("overdue", "silent", "self")
_PAGE = 100


class Total(NamedTuple):
    """How many delegations the filter selects: exactly (eq), or at least (gte)."""

    value: int
    relation: str


class Listing(NamedTuple):
    """One page. `next` is the cursor of the following page, or None on the last."""

    delegations: list[DelegationRow]
    shown: int
    status: str
    sort: str
    limit: int
    next: str | None
    as_of: datetime
    total: Total


def listing(reader: Reader, given: Parameters, *, any_status: bool = True) -> Listing:
    """The page that the parameters select. Raises BadParameter.

    Overdue and silent ones are in flight. Where others are listed too, the order is by the newest: they have no other.
    """
    choices = [*STATUSES, *IN_FLIGHT, "any"] if any_status else list(STATUSES)
    status = given.choice("status", choices) or "in_flight"
    only = cast(Only | None, given.choice("only", _ONLY))
    sort = cast(Sort, given.choice("sort", _SORTS) or "created")
    limit = given.number("limit", _PAGE, MAX_LIMIT)
    statuses = ALL_STATUSES if status == "any" else STATUSES.get(status, (status,))
    if only in ("overdue", "silent"):
        statuses = tuple(each for each in statuses if each in IN_FLIGHT)
    if not set(statuses) <= set(IN_FLIGHT):
        sort = "created"
    wanted = Wanted(
        statuses,
        caller_id=given.workspace("caller"),
        callee_id=given.workspace("callee"),
        since=given.instant("since"),
        until=given.instant("until"),
        delegation_id=given.text("id"),
        only=only,
        silent_after=timedelta(seconds=reader.settings.stuck_after_seconds),
    )
    cursor = _decoded(given.text("cursor"), sort)
    given.refuse_unknown()
    with reader.connection() as conn:
        if wanted.delegation_id and views_delegations.one(conn, wanted.delegation_id):
            wanted = wanted._replace(delegation_id=None, whole_id=wanted.delegation_id)
        rows = views_delegations.listed(conn, wanted, sort, cursor, limit=limit + 1)
        number = views_delegations.count(conn, wanted)
        now = queries.clock(conn)
    return Listing(
        rows[:limit],
        len(rows[:limit]),
        status,
        sort,
        limit,
        _encoded(rows[limit - 1], sort) if len(rows) > limit else None,
        now,
        _total(number, len(rows)),
    )


def _total(number: int | None, shown: int) -> Total:
    if number is None:  # counting took too long
        return Total(shown, "gte")
    return Total(min(number, COUNTED), "eq" if number <= COUNTED else "gte")


def _encoded(row: DelegationRow, sort: Sort) -> str:
    created, silence, deadline = row.created_at, row.updated_at, row.deadline
    at = {"created": created, "age": created, "silence": silence, "deadline": deadline}[sort]
    place = [at and at.isoformat(), row.delegation_id]
    return base64.urlsafe_b64encode(json.dumps(place).encode()).decode().rstrip("=")


def _decoded(text: str | None, sort: Sort) -> Cursor | None:
    if text is None:
        return None
    try:
        at, delegation_id = json.loads(base64.urlsafe_b64decode(text + "=="))
        if not (isinstance(delegation_id, str) and storable(delegation_id) == delegation_id):
            raise TypeError
        if at is None and sort != "deadline":
            raise TypeError
        return Cursor(None if at is None else _instant(at), delegation_id)
    except (ValueError, TypeError, RecursionError):
        raise BadParameter("cursor is not one that this page gave: leave it out to begin again") from None


def _instant(text: str) -> datetime:
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError
    return at
