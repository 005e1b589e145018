"""A model of the sweeper: which verdicts a quiet pass must write, and what is wrong with those in a log.

It is written from the sweeper's rules, without code of `projector`. `overdue` is the model of one pass while nobody
writes. `judge` reads a log in order, in which writers, sweepers and the feed raced.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from testbed.oracle.envelopes import NoEvent, RowImage, open_envelope
from testbed.oracle.fields import first_time
from testbed.oracle.fold import Oracle
from testbed.oracle.log import LogRecord
from testbed.oracle.reading import Event, Reader
from testbed.oracle.rows import IN_FLIGHT, Row
from testbed.oracle.truth import Truth, TruthRow, is_visible

STATUS = {"deadline": "failed", "silence": "stuck", "never_heard": "stuck"}
EVIDENCE = {"deadline": "deadline", "silence": "silent_since", "never_heard": "silent_since"}
CHANGES = ("inserted", "advanced", "heartbeat")


class Rules(NamedTuple):
    """The settings of the sweeper that decide."""

    stuck_after: timedelta = timedelta(seconds=600)
    grace: timedelta = timedelta(seconds=30)
    never_heard: Literal["known", "count", "skip"] = "known"
    spoke_within: timedelta = timedelta(days=7)


class Overdue(NamedTuple):
    """A verdict that a pass must write; `evidence` is the deadline or the last sign of life."""

    rule: str
    status: str
    evidence: datetime


def overdue(view: Mapping[str, Row], truth: Truth, now: datetime, rules: Rules) -> dict[str, Overdue]:
    """Return the verdicts of a pass at this moment, without brake and limits: delegation id → verdict."""
    speakers = _speakers(view, now - rules.spoke_within, now)
    found = {row.delegation_id: _verdict_of(row, truth, now, rules, speakers) for row in view.values()}
    return {delegation_id: verdict for delegation_id, verdict in found.items() if verdict is not None}


def _speakers(view: Mapping[str, Row], since: datetime, until: datetime) -> set[str]:
    """Return the callees of which a heartbeat is known, for any delegation in any status."""
    beats = ((row.callee_id, row.last_heartbeat) for row in view.values())
    return {callee_id for callee_id, at in beats if at is not None and since <= at <= until}


def _verdict_of(row: Row, truth: Truth, now: datetime, rules: Rules, speakers: set[str]) -> Overdue | None:
    ended = any(report.is_terminal for report in truth.reports(row.delegation_id))
    if row.status not in IN_FLIGHT or ended or truth.request(row.delegation_id, row.caller_id) is None:
        return None
    if row.deadline < now:  # the deadline alone decides, also within its grace
        return Overdue("deadline", "failed", row.deadline) if row.deadline < now - rules.grace else None
    rule = "never_heard" if row.last_heartbeat is None else "silence"
    is_known = rules.never_heard == "count" or (rules.never_heard == "known" and row.callee_id in speakers)
    if rule == "never_heard" and not is_known:
        return None
    gap_end = truth.end_of_latest_gap(now, rules.stuck_after) or row.updated_at
    if now - max(row.updated_at, gap_end) <= rules.stuck_after or any(_newer_signs(row, truth, row.updated_at, now)):
        return None
    return Overdue(rule, "stuck", row.updated_at)


def _newer_signs(row: Row, truth: Truth, since: datetime, until: datetime) -> Iterator[TruthRow]:
    signs = truth.signs(row.delegation_id, row.caller_id, row.callee_id)
    return (sign for sign in signs if since < sign.created_at <= until)


class Judgement(NamedTuple):
    """What the judge says about one verdict, at its first place in the log.

    `outcome` is that of the fold. `overtaken`: a newer sign of life lay before it in the log, so that its evidence was
    false when it arrived. That is no fault if the sign was not there yet for the statement that wrote the verdict, and
    if the fold then refused it as stale. `faults` has one sentence per broken rule.
    """

    delegation_id: str
    rule: str
    partition: int
    offset: int
    outcome: str
    overtaken: bool
    faults: tuple[str, ...]


def judge(log: Iterable[LogRecord], truth: Truth, rules: Rules) -> list[Judgement]:
    """Judge every verdict of a log whose records are given in order; a repeated record is judged once."""
    return list(_Judge(truth, rules).judge(log))


def faults(judgements: Iterable[Judgement]) -> list[str]:
    """Return the sentences of all judgements."""
    return [f"{each.delegation_id} ({each.rule}): {fault}" for each in judgements for fault in each.faults]


class _Judge:
    def __init__(self, truth: Truth, rules: Rules) -> None:
        self._truth, self._rules = truth, rules
        self._oracle, self._reader = Oracle(), Reader()
        self._reported: dict[str, datetime] = {}  # newest dated report that changed nothing, per delegation
        self._spoke: dict[str, datetime] = {}  # newest heartbeat, per callee
        self._judged: set[str] = set()
        self._written: Counter[tuple[object, ...]] = Counter()

    def judge(self, log: Iterable[LogRecord]) -> Iterator[Judgement]:
        for record in log:
            event = self._reader.read(record.value, record.timestamp)
            before = None if isinstance(event, NoEvent) else self._last_change(event.delegation_id)
            outcome = self._oracle.apply(record)
            if isinstance(event, NoEvent):
                continue
            image = open_envelope(record.value, record.timestamp)
            assert isinstance(image, RowImage)
            if event.kind != "verdict":
                self._note(event, image, outcome)
            elif image.row["id"] not in self._judged:
                self._judged.add(image.row["id"])
                yield self._judgement(record, event, image.row["id"], outcome, before)

    def _last_change(self, delegation_id: str) -> datetime | None:
        row = self._oracle.rows.get(delegation_id)
        return None if row is None else row.updated_at

    def _note(self, event: Event, image: RowImage, outcome: str) -> None:
        """Remember a report that the fold passed over; of one that was changed in place, nobody knows the time."""
        row = self._oracle.rows.get(event.delegation_id)
        if event.kind == "heartbeat" and row is not None:
            self._spoke[row.callee_id] = max(event.at, self._spoke.get(row.callee_id, event.at))
        if outcome not in CHANGES and event.at == first_time(image.created_at):
            self._reported[event.delegation_id] = max(event.at, self._reported.get(event.delegation_id, event.at))

    def _judgement(
        self, record: LogRecord, event: Event, row_id: str, outcome: str, before: datetime | None
    ) -> Judgement:
        verdict = self._truth.by_id.get(row_id)
        rule = str(verdict.request_body.get("rule")) if verdict else "row is gone"
        newest = max(filter(None, [before, self._reported.get(event.delegation_id)]), default=None)
        overtaken = event.silent_since is not None and newest is not None and newest > event.silent_since
        found = list(self._faults(event, verdict)) if verdict else []
        if overtaken and outcome == "advanced":
            found.append(f"it changed the row, though a sign of life of {newest} lay before it in the log")
        place = record.partition, record.offset
        return Judgement(event.delegation_id, rule, *place, outcome, overtaken, tuple(found))

    def _faults(self, event: Event, verdict: TruthRow) -> Iterator[str]:
        rule, row = str(verdict.request_body.get("rule")), self._oracle.rows.get(event.delegation_id)
        if rule not in STATUS:
            yield f"its rule is {rule}"
            return
        if verdict.status != STATUS[rule]:
            yield f"{verdict.status} for the rule {rule}"
        evidence = datetime.fromisoformat(verdict.request_body[EVIDENCE[rule]])
        self._written[event.delegation_id, rule, evidence] += 1
        if self._written[event.delegation_id, rule, evidence] > 1:
            yield f"a second verdict on the evidence {evidence}"
        if row is None:
            yield "its delegation has no row at this place in the log"
            return
        yield from self._places(row, verdict)
        yield from self._too_early(row, verdict, rule, evidence)
        yield from self._was_known(row, verdict, rule, evidence)

    def _places(self, row: Row, verdict: TruthRow) -> Iterator[str]:
        request = self._truth.request(row.delegation_id, row.caller_id)
        if request is None:
            yield "no delegate row to copy the workspaces from"
            return
        for column in ("workspace_id", "source_id", "target_id"):
            if getattr(request, column) != getattr(verdict, column):
                yield f"{column} is {getattr(verdict, column)}, of the request {getattr(request, column)}"

    def _too_early(self, row: Row, verdict: TruthRow, rule: str, evidence: datetime) -> Iterator[str]:
        if rule == "deadline":
            if row.deadline != evidence:
                yield f"the deadline is {row.deadline} and not {evidence}"
            if verdict.created_at <= evidence + self._rules.grace:
                yield f"judged at {verdict.created_at}, within the grace of the deadline {evidence}"
            return
        if row.deadline < verdict.created_at - self._rules.grace:  # its pass began a little before
            yield f"its deadline {row.deadline} had passed, so the deadline alone decides"
        spoke = self._spoke.get(row.callee_id)
        if rule == "never_heard" and self._rules.never_heard == "known" and spoke is None:
            yield "never heard, of a callee that never beat"
        gap_end = self._truth.end_of_latest_gap(verdict.created_at, self._rules.stuck_after) or evidence
        if verdict.created_at - max(evidence, gap_end) <= self._rules.stuck_after:
            yield f"judged at {verdict.created_at}, silent since {evidence}, the platform itself until {gap_end}"

    def _was_known(self, row: Row, verdict: TruthRow, rule: str, evidence: datetime) -> Iterator[str]:
        """What the statement that inserted the verdict could see (its snapshot), and should not have passed over."""
        assert verdict.snapshot is not None
        ends = [report for report in self._truth.reports(row.delegation_id) if report.is_terminal]
        signs = [] if rule == "deadline" else _newer_signs(row, self._truth, evidence, verdict.created_at)
        for each in (*ends, *signs):
            if is_visible(each.xid, verdict.snapshot):
                yield f"{each.method or each.activity_type} of {each.created_at} was there when it was written"
