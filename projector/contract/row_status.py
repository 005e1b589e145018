"""The status in an activity row, and the status of the delegation that it means (events/README.md, section 3)."""

from projector.contract.envelope import JsonObject
from projector.contract.facts import Status
from projector.contract.unreadable import Unreadable, quoted

STATUS_OF_ROW = {
    "pending": Status.QUEUED,
    "queued": Status.QUEUED,
    "dispatched": Status.DISPATCHED,
    "received": Status.IN_PROGRESS,
    "delivered": Status.IN_PROGRESS,
    "in_progress": Status.IN_PROGRESS,
    "completed": Status.COMPLETED,
    "failed": Status.FAILED,
    "error": Status.FAILED,
    "timeout": Status.FAILED,
    "stuck": Status.STUCK,
}


def status_of_row(row: JsonObject) -> Status:
    """The status that a `delegate` or `delegate_result` row reports. Raises Unreadable if it is unknown."""
    status = row.get("status")
    if isinstance(status, str) and status in STATUS_OF_ROW:
        return STATUS_OF_ROW[status]
    raise Unreadable(f"unknown status {quoted(status)}: expected one of {', '.join(STATUS_OF_ROW)}", "status")


def status_of_verdict(row: JsonObject) -> Status:
    """The status of a `verdict` row. Raises Unreadable if it is neither stuck nor failed."""
    status = row.get("status")
    if status == "stuck" or status == "failed":
        return Status(status)
    raise Unreadable(f"unknown status {quoted(status)} of a verdict: expected stuck or failed", "status")
