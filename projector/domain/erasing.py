"""What is left of a row whose texts were erased. `projector/postgres/erasing.py` has the same rule in SQL."""

from projector.contract.facts import FAILED, Status
from projector.domain.lifecycle import Delegation

ERASED = "[erased]"


def erased(row: Delegation) -> Delegation:
    """The row without its texts. It is never empty where an event could fill it, so nothing fills it again."""
    return row._replace(
        task_preview=ERASED,
        result_preview=ERASED if row.status is Status.COMPLETED or row.result_preview else None,
        error_detail=ERASED if row.status in FAILED or row.error_detail else None,
    )
