"""Models of the activity rows about delegations, for the programs that produce them and for tests.

    row = Heartbeat(created_at=now, request_body=HeartbeatBody(delegation_id="d-1"))
    producer.send("activity-log", key=caller_id.encode(), value=row.to_value())

events/README.md has the rules. The models are stricter than the reader, so that a row means what its producer meant:
`created_at` is required, every time has an offset, an id is neither empty nor changed. The reader ignores columns and
keys that are not declared here, so these may hold any JSON value.

events/activity.schema.json is the output of `python -m projector.contract.models`.
"""

import json
import sys
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationInfo, model_validator
from pydantic.json_schema import GenerateJsonSchema

from projector.contract.facts import DEFAULT_DEADLINE
from projector.contract.model_types import (
    ColumnIdentifier,
    ColumnText,
    Identifier,
    Json,
    OrJsonText,
    RowStatus,
    Text,
    Time,
    TimeOfEvidence,
    Uuid,
)

EDITION = 2
"""The edition of the contract: events/README.md lists them."""
MARKERS = ("activity_type", "method")
RESERVED_COLUMNS = ("__deleted", "__op", "__source_ts_ms")
"""Columns with these names would make the reader take the row for an unwrapped change event."""

_STATUS = "The status of the row. events/README.md, section 3, maps it to the status of the delegation."
_ERROR = "The error. It is used if the delegation failed or got stuck."


class _Object(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True, extra="allow")
    __pydantic_extra__: dict[str, Json] = Field(init=False)


class RequestBody(_Object):
    """`request_body` of a `delegate` row: what the caller asks for."""

    delegation_id: Identifier = Field(description="The id of the delegation. It is compared exactly as it is.")
    task: Text | None = Field(None, description="The task. The view keeps its first 4,096 bytes.")
    deadline: Time | None = Field(None, description="The deadline. The default is created_at + 6 hours.")


class ResponseBody(_Object):
    """`response_body`: the result or the error of a delegation."""

    delegation_id: Identifier | None = Field(None, description="The id of the delegation.")
    text: Text | None = Field(None, description="The result. It is used if the delegation completed.")
    error: Text | None = Field(None, description=f"{_ERROR} The column error_detail takes precedence.")


class ResultRequestBody(_Object):
    """`request_body` of a `delegate_result` row."""

    delegation_id: Identifier | None = Field(None, description="The id of the delegation, if response_body has none.")


class HeartbeatBody(_Object):
    """`request_body` of a `heartbeat` row."""

    delegation_id: Identifier = Field(description="The id of the delegation that the callee works on.")


class VerdictBody(_Object):
    """`request_body` of a `verdict` row: the delegation, and the evidence."""

    delegation_id: Identifier = Field(description="The id of the delegation that was judged.")
    silent_since: TimeOfEvidence | None = Field(
        None, description="The last sign of life that the sweeper knew, with six decimals. Required with stuck."
    )


class _Row(_Object):
    """The columns that all rows about delegations share."""

    activity_type: Literal["delegation"] = Field("delegation", description="Marks a row about a delegation.")
    id: Uuid | None = Field(None, description="The id of the row. A change feed that leaves out bodies needs it.")
    workspace_id: Uuid | None = Field(None, description="The workspace of the caller. It is also the record's key.")
    created_at: Time = Field(description="The time of the event.")

    @model_validator(mode="before")
    @classmethod
    def _require_markers(cls, row: Any, info: ValidationInfo) -> Any:
        """JSON must contain the markers. In Python they have defaults, because the class implies them."""
        if info.mode == "json" and isinstance(row, dict):
            for name in MARKERS:
                if name not in row:
                    raise ValueError(f"{name} is missing")
        return row

    @model_validator(mode="after")
    def _refuse_reserved_columns(self) -> Self:
        for name in RESERVED_COLUMNS:
            if name in (self.model_extra or {}):
                raise ValueError(f"a bare row must not have the column {name}: it marks an unwrapped change event")
        return self

    def to_value(self) -> bytes:
        """The value of a Kafka record: the row as JSON in UTF-8, without the columns that are null."""
        return self.model_dump_json(exclude_none=True).encode()


class Delegate(_Row):
    """A caller delegates a task to a callee. A change feed repeats the row whenever its status changes."""

    method: Literal["delegate"] = Field("delegate", description="Marks a request.")
    status: RowStatus = Field(description=_STATUS)
    workspace_id: Uuid = Field(description="The workspace of the caller: the caller itself, if source_id is null.")
    source_id: Uuid | None = Field(None, description="The caller, if it is not workspace_id.")
    target_id: Uuid = Field(description="The callee.")
    request_body: Annotated[RequestBody, OrJsonText()] = Field(description="What the caller asks for.")
    response_body: Annotated[ResponseBody | None, OrJsonText()] = Field(None, description="The result or the error.")
    error_detail: ColumnText | None = Field(None, description=_ERROR)
    idempotency_key: ColumnIdentifier | None = Field(
        None, description="A later request of this caller with the same key is a duplicate."
    )

    @model_validator(mode="after")
    def _require_deadline(self) -> Self:
        last = datetime.max.replace(tzinfo=UTC) - DEFAULT_DEADLINE
        if self.request_body.deadline is None and self.created_at > last:
            raise ValueError("request_body.deadline is missing, and created_at + 6 hours is after the year 9999")
        return self


class DelegateResult(_Row):
    """A result or a status of a delegation. The id of the delegation is in response_body or in request_body."""

    method: Literal["delegate_result"] = Field("delegate_result", description="Marks a result.")
    status: RowStatus = Field(description=_STATUS)
    request_body: Annotated[ResultRequestBody | None, OrJsonText()] = Field(
        None, description="It is used only if response_body has no delegation_id."
    )
    response_body: Annotated[ResponseBody | None, OrJsonText()] = Field(None, description="The result or the error.")
    error_detail: ColumnText | None = Field(None, description=_ERROR)

    @model_validator(mode="after")
    def _require_delegation_id(self) -> Self:
        if not any(body and body.delegation_id for body in (self.response_body, self.request_body)):
            raise ValueError("response_body.delegation_id is missing: the result would be uncorrelated")
        return self


class Heartbeat(_Row):
    """The callee is alive and works on the delegation."""

    method: Literal["heartbeat"] = Field("heartbeat", description="Marks a heartbeat.")
    request_body: Annotated[HeartbeatBody, OrJsonText()] = Field(description="It names the delegation.")


class Verdict(_Row):
    """A sweeper judged that a delegation is stuck or failed. It is not an answer of the callee."""

    method: Literal["verdict"] = Field("verdict", description="Marks a verdict.")
    status: Literal["stuck", "failed"] = Field(description="The status that the delegation gets.")
    request_body: Annotated[VerdictBody, OrJsonText()] = Field(description="The delegation, and the evidence.")
    error_detail: ColumnText | None = Field(None, description="The error: why the sweeper judged so.")

    @model_validator(mode="after")
    def _require_evidence(self) -> Self:
        if self.status == "stuck" and self.request_body.silent_since is None:
            raise ValueError("request_body.silent_since is missing: a stuck verdict needs its evidence")
        return self


DelegationRow: TypeAlias = Delegate | DelegateResult | Heartbeat | Verdict
"""Any activity row about a delegation."""

_ROW: TypeAdapter[DelegationRow] = TypeAdapter(Annotated[DelegationRow, Field(discriminator="method")])


def parse_row(row: str | bytes) -> DelegationRow:
    """Validate the JSON of a row without an envelope. Raises pydantic.ValidationError, which names the wrong fields."""
    return _ROW.validate_json(row)


class _PlainSchema(GenerateJsonSchema):
    """Without titles: they only repeat the names of the fields."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a row about a delegation, as events/activity.schema.json contains it."""
    schema = _ROW.json_schema(schema_generator=_PlainSchema)
    rows = {model: schema["$defs"][model] for model in ("Delegate", "DelegateResult", "Heartbeat", "Verdict")}
    for row in rows.values():
        row["required"] = [*MARKERS, *row["required"]]
        row["propertyNames"] = {"not": {"enum": list(RESERVED_COLUMNS)}}
    rows["DelegateResult"]["anyOf"] = [_text_in(body, "delegation_id") for body in ("response_body", "request_body")]
    rows["Verdict"]["if"] = {"properties": {"status": {"const": "stuck"}}}
    rows["Verdict"]["then"] = _text_in("request_body", "silent_since")
    head = {"title": "Activity row about a delegation", "$comment": f"Edition {EDITION} of the event contract"}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **head, **schema}


def _text_in(body: str, key: str) -> dict[str, Any]:
    """A body with a text under this key. The schema cannot look into a body that is JSON text."""
    with_key = {"type": "object", "required": [key], "properties": {key: {"type": "string"}}}
    return {"required": [body], "properties": {body: {"anyOf": [with_key, {"type": "string"}]}}}


def schema_text() -> str:
    """The text of events/activity.schema.json."""
    return json.dumps(json_schema(), indent=2) + "\n"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
