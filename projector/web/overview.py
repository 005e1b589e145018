"""The first page: is this screen true, and what needs me?"""

from datetime import datetime, timedelta
from typing import NamedTuple

from projector.postgres import passes, push, queries, views_delegations, views_overview
from projector.postgres.connection import Connection
from projector.postgres.views_delegations import DelegationRow, Sort, Wanted
from projector.postgres.views_overview import Failures, Hour, InFlight, WedgedCallee
from projector.web.condition import Facts, Sentence, condition
from projector.web.parameters import IN_FLIGHT, Parameters
from projector.web.reader import Reader

_LISTED = 5


class Attention(NamedTuple):
    """A delegation that needs a person, and why: stuck, overdue, silent or oldest."""

    reason: str
    delegation: DelegationRow


class Overview(NamedTuple):
    """Everything on the first page. `last_day` is of `last_day_at`, `totals` of `totals_at`, None before the first."""

    as_of: datetime
    condition: list[Sentence]
    in_flight: InFlight
    failures: Failures
    attention: list[Attention]
    wedged: list[WedgedCallee]
    last_day: list[Hour]
    last_day_at: datetime
    totals: dict[str, int] | None
    totals_at: datetime | None


def overview(reader: Reader, given: Parameters) -> Overview:
    """Read the first page. Raises Unavailable."""
    given.refuse_unknown()
    silent_after = timedelta(seconds=reader.settings.stuck_after_seconds)
    totals, last_day = reader.stats.snapshot, reader.last_day.snapshot
    with reader.connection() as conn:
        now = queries.clock(conn)
        in_flight = views_overview.in_flight(conn, silent_after=silent_after)
        facts = _facts(reader, conn, now, in_flight)
        return Overview(
            now,
            condition(facts),
            in_flight,
            views_overview.failures(conn),
            _attention(conn, now, silent_after),
            views_overview.wedged_callees(conn, limit=_LISTED),
            last_day.value or views_overview.last_day(conn),
            last_day.at or now,
            totals.value,
            totals.at,
        )


def _facts(reader: Reader, conn: Connection, now: datetime, in_flight: InFlight) -> Facts:
    leftovers = views_overview.leftovers(conn)
    return Facts(
        now,
        reader.topic.snapshot,
        passes.latest(conn),
        in_flight.queued + in_flight.dispatched + in_flight.in_progress,
        leftovers if push.switched_on_at(conn, reader.settings.topic) else leftovers._replace(unsent=None, given_up=0),
        reader.settings.sweep_interval_seconds,
    )


def _attention(conn: Connection, now: datetime, silent_after: timedelta) -> list[Attention]:
    """A few of each kind. One delegation is listed once, with the first reason."""
    wanted: dict[str, tuple[Wanted, Sort]] = {
        "stuck": (Wanted(("stuck",), since=now - timedelta(days=1)), "created"),
        "overdue": (Wanted(IN_FLIGHT, only="overdue"), "deadline"),
        "silent": (Wanted(IN_FLIGHT, only="silent", silent_after=silent_after), "silence"),
        "oldest": (Wanted(IN_FLIGHT, until=now - timedelta(hours=1)), "age"),
    }
    found: dict[str, Attention] = {}
    for reason, (which, sort) in wanted.items():
        for row in views_delegations.listed(conn, which, sort, None, limit=_LISTED):
            found.setdefault(row.delegation_id, Attention(reason, row))
    return list(found.values())
