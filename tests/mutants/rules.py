"""Mistakes in the rules: the lifecycle, the fold, the order of records, verdicts and replies."""

from mutants.mutant import mutants

_LIFECYCLE = mutants(
    "projector/domain/lifecycle.py",
    "lifecycle verdict_records",
    ("a delegation that has ended moves on", "    if before.status not in IN_FLIGHT:\n        return Step(before, Outcome.REFUSED)\n    if event.status in IN_FLIGHT", "    if event.status in IN_FLIGHT"),
    ("a status goes back", "RANK[event.status] < RANK[before.status]", "RANK[event.status] > RANK[before.status]"),
    ("the same status again is a step", "if event.status is before.status:", "if False:"),
    ("an end is stale", "if event.status in IN_FLIGHT and RANK[event.status] <", "if RANK.get(event.status, 0) <"),
    ("every status sets the result", "event.result_preview if event.status is Status.COMPLETED else before.result_preview", "event.result_preview"),
    ("only failed sets the error", "event.error_detail if event.status in FAILED else", "event.error_detail if event.status is Status.FAILED else"),
    ("updated_at of a step goes back", "        event.error_detail if event.status in FAILED else before.error_detail,\n        max(before.updated_at, event.at),", "        event.error_detail if event.status in FAILED else before.error_detail,\n        event.at,"),
    ("updated_at of a fill goes back", "def _fill(before: Row, event: Reported) -> Step:\n    updated_at = max(before.updated_at, event.at)", "def _fill(before: Row, event: Reported) -> Step:\n    updated_at = event.at"),
    ("a stored result is replaced", "and event.result_preview and not before.result_preview:", "and event.result_preview:"),
    ("a stored error is replaced", "and event.error_detail and not before.error_detail:", "and event.error_detail:"),
    ("an empty text fills", "if event.status is Status.COMPLETED and event.result_preview and not", "if event.status is Status.COMPLETED and not"),
    ("a verdict beats a sign of life", "before.updated_at > event.silent_since:", "before.updated_at < event.silent_since:"),
    ("a verdict with equal evidence is stale", "before.updated_at > event.silent_since:", "before.updated_at >= event.silent_since:"),
    ("a verdict is stale after the end", "if before.status in IN_FLIGHT and event.silent_since is not None and", "if event.silent_since is not None and"),
    ("a verdict has no error", "Reported(event.delegation_id, event.status, event.at, error_detail=event.error_detail)", "Reported(event.delegation_id, event.status, event.at)"),
    ("a heartbeat after the end counts", "def _heartbeat(before: Row, event: Heartbeat) -> Step:\n    if before.status not in IN_FLIGHT:", "def _heartbeat(before: Row, event: Heartbeat) -> Step:\n    if False:"),
    ("last_heartbeat goes back", "last = max(before.last_heartbeat or event.at, event.at)", "last = event.at"),
    ("updated_at of a heartbeat goes back", "    updated_at = max(before.updated_at, event.at)\n    after = _changed(before, before.status, last,", "    updated_at = event.at\n    after = _changed(before, before.status, last,"),
    ("a heartbeat does not move updated_at", "if last == before.last_heartbeat and event.at <= before.updated_at:", "if last == before.last_heartbeat:"),
    ("a second request makes the row again", "if before is None else Step(before, Outcome.DUPLICATE)", "if before is None else Step(requested(event), Outcome.INSERTED)"),
    ("a report without a row is refused", "return Step(None, Outcome.PARKED)", "return Step(None, Outcome.REFUSED)"),
    ("a request begins as dispatched", "task_preview, Status.QUEUED, None, deadline", "task_preview, Status.DISPATCHED, None, deadline"),
)  # fmt: skip
_FOLD = mutants(
    "projector/domain/fold.py",
    "fold repeated_requests",
    ("a held key makes a second row", "if (holder_id := self._holder_of_key(request)) != request.delegation_id:", "if (holder_id := self._holder_of_key(request)) is None:"),
    ("a key is not remembered in its batch", "                self._holders[request.caller_id, request.idempotency_key] = request.delegation_id", "                pass"),
    ("callers share their keys", "return self._holders.get((request.caller_id, request.idempotency_key), request.delegation_id)", "return next((held for (_, key), held in self._holders.items() if key == request.idempotency_key), request.delegation_id)"),
    ("parked events stay parked", "        self._apply_parked(request.delegation_id)\n", ""),
    ("a request's own status is lost", "        self._apply_parked(request.delegation_id)\n        outcome = self._report(report)", "        self._apply_parked(request.delegation_id)\n        outcome = Outcome.DUPLICATE"),
    ("a request's own status comes before what was parked", "        self._apply_parked(request.delegation_id)\n        outcome = self._report(report)", "        outcome = self._report(report)\n        self._apply_parked(request.delegation_id)"),
    ("events parked here come before older ones", "for parked in (*before, *self._parked_here.pop(delegation_id, ())):", "for parked in (*self._parked_here.pop(delegation_id, ()), *before):"),
    ("events of this batch are not applied", "for parked in (*before, *self._parked_here.pop(delegation_id, ())):", "for parked in before:"),
    ("the number of stored parked events is wrong", "self._unparked += len(before)", "self._unparked += 1"),
    ("a repetition is stored again", "self._repeated.setdefault(request.delegation_id, repeated)", "self._repeated[request.delegation_id] = repeated"),
    ("a repetition of a known delegation is stored", "            if before is None:\n                place =", "            if True:\n                place ="),
    ("unchanged rows are written", "elif row is not (before := self._read[delegation_id]) and row != before:", "elif row is not (before := self._read[delegation_id]) or row == before:"),
    ("an unreadable record stops the batch", "            entries.append(DeadLetter(record, error.reason, error.field))\n            continue", "            raise"),
    ("a left-out body of an unknown row is projected", "if (delegation_id := large_rows.get(translation.unavailable_row_id)) is None:", "if (delegation_id := large_rows.get(translation.unavailable_row_id, '')) is None:"),
    ("a left-out body keeps its empty id", "            if not translation.delegation_id:\n                translation = translation.about", "            if translation.delegation_id:\n                translation = translation.about"),
    ("a large row is known only from the next batch on", "            large_rows[translation.large_row_id] = translation.delegation_id\n", "            pass\n"),
)  # fmt: skip
_PRUNED = mutants(
    "projector/domain/fold.py",
    "integration/pruning",
    ("a pruned delegation is requested again", "        if before is None and request.delegation_id in self._pruned:\n            return Outcome.DUPLICATE\n", ""),
    ("an event of a pruned delegation is parked", "        elif event.delegation_id in self._pruned:\n            return Outcome.REFUSED\n", ""),
)  # fmt: skip
_MERGE = mutants(
    "projector/domain/merge.py",
    "merge",
    ("equal times: the higher partition first", "return bisect_right(keys, level) if partition <= number else", "return bisect_right(keys, level) if partition >= number else"),
    ("a record without a time comes first", "initial=self.level", "initial=_UNKNOWN"),
    ("times inside a partition decide", "accumulate(times, max,", "accumulate(times, lambda _, time: time,"),
    ("a partition that may go on does not hold back", "for number, queue in self._queues.items() if not queue.has_ended)\n        bound", "for number, queue in self._queues.items() if queue.has_ended)\n        bound"),
    ("the next offset is that of the last record", "next_offset = records[-1].offset + 1 if records", "next_offset = records[-1].offset if records"),
)  # fmt: skip
_ENDS = mutants(
    "projector/domain/ends.py",
    "ends ends_in_batches",
    ("a report of stuck is an answer", "Kind.VERDICT if status is Status.STUCK or isinstance(event, Verdict)", "Kind.VERDICT if isinstance(event, Verdict)"),
    ("an end of another status agrees", "agrees = row is not None and row.status is status", "agrees = row is not None"),
    ("parked ends are not found", "        for each in parked:  # they were read before, and the request applies them", "        for each in ():  # they were read before, and the request applies them"),
    ("an end has no text", "has_text = bool(event.error_detail or (", "has_text = bool((not event.error_detail) and ("),
    ("a repetition read again counts as new", "if outcome is Outcome.ADVANCED and request and report.at == request.created_at", "if request and report.at == request.created_at"),
)  # fmt: skip
_OVERDUE = mutants(
    "projector/domain/overdue.py",
    "overdue",
    ("the grace does not count", "if overdue_for > thresholds.grace:", "if overdue_for > timedelta(0):"),
    ("the threshold itself is too long", "if silent_for <= thresholds.stuck_after:", "if silent_for < thresholds.stuck_after:"),
    ("a row of the future is stuck", "if silent_for < timedelta(0):", "if False:"),
    ("silence counts during an outage", "now - gap_ended_at <= thresholds.stuck_after:", "now - gap_ended_at > thresholds.stuck_after:"),
    ("skip judges", 'if thresholds.never_heard == "skip":', 'if thresholds.never_heard == "never":'),
    ("an unknown callee is judged", 'if thresholds.never_heard == "known" and not callee_speaks:', 'if thresholds.never_heard == "known" and callee_speaks:'),
    ("the brake takes the smaller limit", "return max(minimum, in_flight * percent // 100)", "return min(minimum, in_flight * percent // 100)"),
    ("two verdicts share an id", "(row.delegation_id, judgement.rule, as_text(evidence))", "(row.delegation_id, judgement.rule)"),
    ("times are cut to milliseconds", 'isoformat(timespec="microseconds")', 'isoformat(timespec="milliseconds")'),
)  # fmt: skip
_REPLY = mutants(
    "projector/domain/reply.py",
    "reply",
    ("the caller hears of an end that the row does not have", "agreeing = [end for end in ends if end.status is status]", "agreeing = list(ends)"),
    ("a verdict is told although an answer came", "if is_judged and reports:", "if is_judged and not reports:"),
    ("an end without a text comes before one with", "return next(iter(with_text or agreeing), None)", "return next(iter(agreeing), None)"),
    ("the text of another end is sent", "    if status is not row.status:\n        preview = None", "    if False:\n        preview = None"),
    ("each reply has an id of its own time", "return uuid5(_NAMESPACE, delegation_id)", "return uuid5(_NAMESPACE, delegation_id.upper())"),
    ("a refused content is tried for ever", 'return sqlstate.startswith(_DEFINITE)', "return False"),
    ("the delay never ends", "LONGEST_DELAY)\n", "LONGEST_DELAY * 2)\n"),
)  # fmt: skip
_POSITIONS = mutants(
    "projector/domain/positions.py",
    "log_gap",
    ("a topic that was created again goes on", "position.topic_id is not None and topic_id != position.topic_id:", "position.topic_id is not None and topic_id == position.topic_id:"),
    ("deleted records are no gap", "if log is None or log.beginning <= position.offset <= log.end:", "if log is None or position.offset <= log.end:"),
    ("a truncated topic is no gap", "if log is None or log.beginning <= position.offset <= log.end:", "if log is None or log.beginning <= position.offset:"),
)  # fmt: skip

RULES = [*_LIFECYCLE, *_FOLD, *_PRUNED, *_MERGE, *_ENDS, *_OVERDUE, *_REPLY, *_POSITIONS]
