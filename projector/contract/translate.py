"""`translate`: from one record to the facts that it reports (events/README.md, section 3)."""

from datetime import datetime

from projector.contract import fast, fields
from projector.contract.envelope import (
    LARGE_ROW_BYTES,
    UNAVAILABLE_VALUE,
    Activity,
    Envelope,
    JsonObject,
    Record,
    is_large,
    open_value,
    read_body,
)
from projector.contract.facts import (
    DEFAULT_DEADLINE,
    FAILED,
    Heartbeat,
    NoEvent,
    Reported,
    Requested,
    Status,
    Translation,
    Verdict,
    is_end,
)
from projector.contract.glimpse import is_unrelated
from projector.contract.row_status import status_of_row, status_of_verdict
from projector.contract.unreadable import Unreadable, quoted


def translate(record: Record) -> Translation | NoEvent:
    """Read a record: the facts that it reports, or why it is no event of a delegation.

    Raises Unreadable if it is a dead letter.
    """
    value = record.value
    if value and is_unrelated(value):
        return NoEvent.UNRELATED
    if value and (ordinary := fast.translate(value)) is not None:
        return ordinary
    return translate_completely(record)


def translate_completely(record: Record) -> Translation | NoEvent:
    """Like `translate`, and the only judge of what is unusual."""
    value = record.value
    activity = open_value(value)
    if isinstance(activity, NoEvent):
        return activity
    row = activity.row
    activity_type = row.get("activity_type")
    if activity_type != "delegation":
        if isinstance(activity_type, str):
            return NoEvent.UNRELATED
        raise fields.not_a_text(activity_type, "activity_type")
    translation = _translate_row(row, _RowTranslator(activity, record.timestamp))
    if translation is None:
        return NoEvent.UNCORRELATED
    if is_end(translation.report):
        translation = translation._replace(row_id=row.get("id"))
    # The length of the record is a cheap test. It saves the exact one for most rows.
    if value and len(value) > LARGE_ROW_BYTES and is_large(row):
        return translation._replace(large_row_id=_row_id(row))
    return translation


def _translate_row(row: JsonObject, translator: "_RowTranslator") -> Translation | None:
    method = row.get("method")
    if method == "delegate":
        return translator.delegate(status_of_row(row))
    if method == "delegate_result":
        return translator.result(status_of_row(row))
    if method == "heartbeat":
        return translator.heartbeat()
    if method == "verdict":
        return translator.verdict(status_of_verdict(row))
    reason = f"unknown method {quoted(method)}: expected delegate, delegate_result, heartbeat or verdict"
    raise Unreadable(reason, "method")


def row_never_seen(field: str | None = None) -> Unreadable:
    """The error for a row whose body the change feed left out, and that was never read with its body."""
    return Unreadable(
        "the change feed left out a large unchanged body of this row, and no earlier record contains the whole row: "
        "set REPLICA IDENTITY FULL on activity_logs, or let the connector reselect only request_body and "
        "response_body, without null columns; then retry the dead letter",
        field,
    )


class _RowTranslator:
    """Translates one row. Each method reads only the columns that its rule uses."""

    def __init__(self, activity: Activity, timestamp: int | None) -> None:
        self.activity = activity
        self.row = activity.row
        self.timestamp = timestamp
        self.unavailable_row_id: str | None = None

    def delegate(self, status: Status) -> Translation:
        row = self.row
        body = self._body("request_body", row.get("request_body"))
        delegation_id = fields.identifier(body.get("delegation_id"), "request_body.delegation_id") or ""
        if not delegation_id and not self.unavailable_row_id:
            raise fields.missing("request_body.delegation_id")
        caller = "workspace_id" if row.get("source_id") is None else "source_id"
        created_at = self._created_at()
        request = Requested(  # by position, which takes half the time of names
            delegation_id,
            fields.required(fields.uuid(row.get(caller), caller), caller),
            fields.required(fields.uuid(row.get("target_id"), "target_id"), "target_id"),
            fields.preview(body.get("task"), "request_body.task") or "",
            fields.identifier(_available(row.get("idempotency_key")), "idempotency_key"),
            fields.time(body.get("deadline"), "request_body.deadline") or _default_deadline(created_at),
            created_at,
        )
        # A bare row has no other time: created_at is not parsed twice.
        happened_at = self._happened_at() if self.activity.time is not None or self.activity.is_update else created_at
        report = self._report(delegation_id, status, happened_at)
        return Translation(delegation_id, request, report, self.unavailable_row_id)

    def result(self, status: Status) -> Translation | None:
        response = self._body("response_body", self.row.get("response_body"))
        delegation_id = fields.identifier(response.get("delegation_id"), "response_body.delegation_id") or ""
        if not delegation_id and not self.unavailable_row_id:
            delegation_id = self._requested_id()
        if not delegation_id and not self.unavailable_row_id:
            return None
        report = self._report(delegation_id, status, self._happened_at(), response)
        return Translation(delegation_id, None, report, self.unavailable_row_id)

    def heartbeat(self) -> Translation | None:
        delegation_id = self._requested_id()
        if not delegation_id and not self.unavailable_row_id:
            return None
        return Translation(delegation_id, None, Heartbeat(delegation_id, self._happened_at()), self.unavailable_row_id)

    def verdict(self, status: Status) -> Translation:
        row = self.row
        if row.get("request_body") == UNAVAILABLE_VALUE:
            raise Unreadable("the change feed left out request_body, which a verdict needs", "request_body")
        body = self._body("request_body", row.get("request_body"))
        field = "request_body.delegation_id"
        delegation_id = fields.required(fields.identifier(body.get("delegation_id"), field), field)
        field = "request_body.silent_since"
        silent_since = fields.time(body.get("silent_since"), field)
        if status is Status.STUCK:
            fields.required(silent_since, field)
        error = fields.preview(_available(row.get("error_detail")), "error_detail")
        return Translation(
            delegation_id, None, Verdict(delegation_id, status, self._happened_at(), silent_since, error)
        )

    def _requested_id(self) -> str:
        request = self._body("request_body", self.row.get("request_body"))
        return fields.identifier(request.get("delegation_id"), "request_body.delegation_id") or ""

    def _report(self, delegation_id: str, status: Status, at: datetime, response: JsonObject | None = None) -> Reported:
        result = error = None
        if status is Status.COMPLETED:
            if response is None:
                response = self._body("response_body", self.row.get("response_body"))
            result = fields.preview(response.get("text"), "response_body.text")
        elif status in FAILED:
            error = fields.preview(_available(self.row.get("error_detail")), "error_detail")
            if error is None:
                if response is None:
                    response = self._body("response_body", self.row.get("response_body"))
                error = fields.preview(response.get("error"), "response_body.error")
        return Reported(delegation_id, status, at, result, error)

    def _body(self, field: str, column: object) -> JsonObject:
        """The body in a column. One that was left out is empty, and the row's id is kept to look up the delegation."""
        if column is None:
            return {}
        if column == UNAVAILABLE_VALUE:
            self.unavailable_row_id = _row_id(self.row)
            if self.unavailable_row_id is None:
                raise row_never_seen(field)
            return {}
        return read_body(column, field)

    def _created_at(self) -> datetime:
        created_at = fields.time(self.row.get("created_at"), "created_at")
        if created_at is None and self.activity.envelope is Envelope.CLOUD_EVENT:
            created_at = fields.time(self.activity.time, "time")
        return created_at or self._recorded_at("created_at")

    def _happened_at(self) -> datetime:
        activity = self.activity
        if activity.is_update:
            field = "__source_ts_ms" if activity.envelope is Envelope.UNWRAPPED else "source.ts_ms"
            return fields.epoch_ms(activity.time, field) or self._recorded_at(field)
        if activity.envelope is Envelope.CLOUD_EVENT and activity.time is not None:
            return fields.required(fields.time(activity.time, "time"), "time")
        return fields.time(self.row.get("created_at"), "created_at") or self._recorded_at("created_at")

    def _recorded_at(self, field: str) -> datetime:
        """The record's own timestamp, for a value without a time."""
        if self.timestamp is None or self.timestamp < 0:
            raise Unreadable(f"{field} is missing, and the record has no timestamp to use instead", field)
        return fields.required(fields.epoch_ms(self.timestamp, "timestamp"), "timestamp")


def _available(column: object) -> object:
    """A text column's value. One that the change feed left out counts as absent: it did not change."""
    return None if column == UNAVAILABLE_VALUE else column


def _default_deadline(created_at: datetime) -> datetime:
    try:
        return created_at + DEFAULT_DEADLINE
    except OverflowError:
        reason = f"no default deadline: created_at + {DEFAULT_DEADLINE} is after the year 9999"
        raise Unreadable(reason, "created_at") from None


def _row_id(row: JsonObject) -> str | None:
    try:
        return fields.uuid(row.get("id"), "id")
    except Unreadable:
        return None
