"""The sweeper and its model, which is written without its code, judge the same: on random tables and views."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rows import CALLEE, CALLER
from sweeping import OTHER, Platform

from projector.domain.overdue import as_text
from projector.postgres import queries
from testbed.oracle import Rules, Truth, TruthRow, overdue, stored_rows
from testbed.oracle.truth import body_of

WORKSPACES = st.sampled_from([CALLER, CALLEE, OTHER])
MINUTES = st.integers(-3, 32).map(lambda minutes: minutes + 0.25)
"""Nothing happens within seconds of a threshold, so both judge by the same minute."""
CALLEES = {"d-1": CALLEE, "d-2": CALLER, "d-3": OTHER}
NAMES = st.sampled_from(sorted(CALLEES))
CHATS = st.fixed_dictionaries(
    {"activity_type": st.sampled_from(["chat", "delegation", "a2a_receive"])},
    optional={"method": st.sampled_from(["verdict", "heartbeat", "delegate_result", "other"])},
)


SIGNS = st.sampled_from(["always", "always", "always", "is back", "is away", "never"])
Event = tuple[str, str, dict[str, Any]]
"""Where it is known, the method of the platform that makes its row, and the arguments."""


@st.composite
def delegations(draw: st.DrawFn) -> list[Event]:
    """Requests of more than ten minutes ago, and perhaps a heartbeat of then: most of them may be judged."""
    made: list[Event] = []
    for name in draw(st.sets(NAMES, min_size=1)):
        asked = {"of": name, "minutes": draw(st.sampled_from([25.25, 31.25, 9.25])), "target_id": CALLEES[name]}
        due = draw(st.sampled_from([-60.0, -60.0, -60.0, 5.25, 0.25]))
        made.append((draw(st.sampled_from(["both", "both", "both", "view"])), "request", {**asked, "due": due}))
        if draw(st.booleans()):
            made.append(("both", "beat", {"of": name, "minutes": draw(st.integers(11, 24)) + 0.25}))
    return made


@st.composite
def others(draw: st.DrawFn) -> Event:
    """Anything that may speak for a delegation, or only looks so."""
    kind = draw(st.sampled_from(["beat", "answer", "sign"]))
    minutes = draw(MINUTES)
    if kind == "sign":
        return "table", kind, {"minutes": minutes, "workspace": draw(WORKSPACES)} | draw(CHATS)
    name = draw(NAMES)
    arguments: dict[str, Any] = {"of": name, "minutes": minutes}
    if kind == "answer":
        # an answer of more than five minutes before its request is not searched for
        arguments["minutes"] = min(minutes, 13.25)
        arguments |= {"status": draw(st.sampled_from(["in_progress", "completed", "error", "queued"]))}
        arguments |= {"workspace_id": draw(st.sampled_from([CALLER, CALLEES[name]]))}
    return draw(st.sampled_from(["both", "table", "table", "view"])), kind, arguments


def alive(it: Platform, how: str) -> list[dict[str, Any]]:
    """The signs of another workspace: all the time, since three minutes, until seven minutes ago."""
    minutes = {"always": range(32), "is back": range(3), "is away": range(7, 32), "never": range(0)}[how]
    return [it.sign(each + 0.25) for each in minutes]


def truth_of(it: Platform) -> Truth:
    rows = it.conn.execute(
        """
        SELECT id::text, workspace_id::text, activity_type, source_id::text, target_id::text, method, status,
               request_body, response_body, error_detail, created_at, 1, NULL FROM activity_logs
        """
    ).fetchall()
    read = (TruthRow(*row) for row in rows)
    return Truth(
        row._replace(request_body=body_of(row.request_body), response_body=body_of(row.response_body)) for row in read
    )


@pytest.mark.parametrize("never_heard", ["known", "count", "skip"])
def test_sweeper_and_model_write_the_same(it: Platform, never_heard: Any) -> None:
    rules = Rules(never_heard=never_heard)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(
        st.sampled_from(["always", "always", "always", "is back", "is away", "never"]),
        delegations(),
        st.lists(others(), max_size=3),
    )
    def check(how: str, made: list[Event], later: list[Event]) -> None:
        it.conn.execute("DELETE FROM activity_logs")
        it.conn.execute("DELETE FROM delegations")
        it.conn.execute("DELETE FROM projector.parked")
        it.start = queries.clock(it.conn)
        it.write(*alive(it, how))
        for place, kind, arguments in made + later:
            row = getattr(it, kind)(**arguments)
            if place in ("both", "table"):
                it.write(row)
            if place in ("both", "view"):
                it.project(row)
        report = it.sweep(writes=False, anyway=True, never_heard=never_heard)
        assert report.judged_at is not None
        assert report.judged_at - it.start < timedelta(seconds=10), "too slow for minutes"
        expected = overdue(stored_rows(it.conn), truth_of(it), report.judged_at, rules)
        assert {
            each.row.delegation_id: (str(each.rule), str(each.status), as_text(each.evidence))
            for each in report.unwritten
        } == {name: (each.rule, each.status, as_text(each.evidence)) for name, each in expected.items()}

    check()
