"""The two endpoints that the platform had, with the same answers, and what was added beside them.

A request with the parameters of then gets the fields of then. `next`, `as_of` and `total` come with the new ones.
"""

from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from projector.contract.facts import Status
from projector.postgres.views_delegations import DelegationRow
from projector.web.hiding import without_texts
from projector.web.listing import Total, listing
from projector.web.openapi import PARAMETERS, STATUSES, Endpoint, Schemas
from projector.web.parameters import STATUSES as STATUS_GROUPS
from projector.web.parameters import BadParameter, Parameters
from projector.web.plain import as_json, plain
from projector.web.reader import Reader

_OLD = {"status", "limit"}
_ALWAYS = (
    "delegation_id",
    "caller_id",
    "callee_id",
    "task_preview",
    "status",
    "retry_count",
    "created_at",
    "updated_at",
)


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON document."""
    return Response(as_json(value), status, headers, "application/json")


def listed(reader: Reader, request: Request) -> Response:
    """`GET /admin/delegations`."""
    status = request.query_params.get("status") or "in_flight"
    if status not in STATUS_GROUPS:
        return answer({"error": "invalid status", "allowed": list(STATUS_GROUPS), "requested_status": status}, 400)
    try:
        found = listing(reader, Parameters(request.query_params.multi_items()), any_status=False)
    except BadParameter as error:
        return answer({"error": str(error)}, 400)
    if reader.hides_texts:
        found = without_texts(found)
    rows = [{name: value for name, value in plain(row).items() if value is not None} for row in found.delegations]
    reply = {"delegations": rows, "count": len(rows), "status": status, "limit": found.limit}
    if not set(request.query_params) <= _OLD:
        reply |= {"next": found.next, "as_of": found.as_of, "total": found.total}
    return answer(reply)


def stats(reader: Reader, _: Request) -> Response:
    """`GET /admin/delegations/stats`: six counts, at most a minute old."""
    counts, at, error = reader.stats.snapshot
    if counts is None or at is None:
        return answer({"error": error or "the first count is not finished"}, 503, {"Retry-After": "5"})
    return answer(counts, headers={"X-As-Of": at.isoformat()})


def endpoints(schemas: Schemas) -> list[Endpoint]:
    """The description of both."""
    row = schemas.model(DelegationRow)
    fields = {name: each["anyOf"][0] if "anyOf" in each else each for name, each in row["properties"].items()}
    reply: dict[str, Any] = {
        "delegations": {"type": "array", "items": {**row, "properties": fields, "required": list(_ALWAYS)}},
        "count": {"type": "integer"},
        "status": STATUSES,
        "limit": {"type": "integer"},
    }
    added = {"next": schemas.of(str | None), "as_of": schemas.of(datetime), "total": schemas.of(Total)}
    counts = {str(status): {"type": "integer"} for status in Status}
    return [
        Endpoint(
            "/admin/delegations",
            "Delegations, the newest first. next, as_of and total come with any parameter but status and limit.",
            {"type": "object", "properties": reply | added, "required": list(reply), "additionalProperties": False},
            {**PARAMETERS["delegations"], "status": STATUSES},
        ),
        Endpoint(
            "/admin/delegations/stats",
            "The number of delegations of each status. The header X-As-Of is the time of the count.",
            {"type": "object", "properties": counts, "required": list(counts), "additionalProperties": False},
            {},
        ),
    ]
