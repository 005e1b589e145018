"""The two endpoints that the platform had, with the same answers, and what was added beside them.

A request with the parameters of then gets the fields of then. `next`, `as_of` and `total` come with the new ones.
"""

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from projector.web.listing import listing
from projector.web.parameters import STATUSES, BadParameter, Parameters
from projector.web.plain import as_json, plain
from projector.web.reader import Reader

_OLD = {"status", "limit"}


def answer(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    """A JSON document."""
    return Response(as_json(value), status, headers, "application/json")


def listed(reader: Reader, request: Request) -> Response:
    """`GET /admin/delegations`."""
    status = request.query_params.get("status") or "in_flight"
    if status not in STATUSES:
        return answer({"error": "invalid status", "allowed": list(STATUSES), "requested_status": status}, 400)
    try:
        found = listing(reader, Parameters(request.query_params.multi_items()), any_status=False)
    except BadParameter as error:
        return answer({"error": str(error)}, 400)
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
