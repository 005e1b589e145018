"""What a person must know about the platform's table before the first pass: missing indexes, and deleted requests."""

from datetime import datetime

from projector.postgres import queries, sweep_access, sweep_candidates
from projector.postgres.connection import Connection
from projector.postgres.sweep_access import BY_TIME
from projector.sweep.sink import truth
from projector.texts import counted, duration


def notes(view: Connection, platform: Connection) -> list[str]:
    """One sentence per index that is missing, and one if requests of delegations in flight were deleted."""
    with truth():
        missing, now = sweep_access.missing_indexes(platform), queries.clock(platform)
        # Without the index, to look for the oldest row would read the whole table.
        oldest_row = None if BY_TIME in missing else sweep_access.oldest_row(platform)
    found = [_missing(", ".join(columns)) for columns in missing]
    return found + (_deleted_requests(view, oldest_row, now) if oldest_row else [])


def _missing(columns: str) -> str:
    return (
        f"activity_logs has no index that begins with ({columns}), so each pass reads more than it needs: "
        f"CREATE INDEX CONCURRENTLY ON activity_logs ({columns});"
    )


def _deleted_requests(view: Connection, oldest_row: datetime, now: datetime) -> list[str]:
    count, oldest = sweep_candidates.requested_before(view, oldest_row)
    if oldest is None:
        return []
    kept, needed = duration((now - oldest_row).total_seconds()), duration((now - oldest).total_seconds())
    sentence = (
        f"{counted(count, 'delegation')} in flight requested before the oldest row of activity_logs, which is {kept} "
        f"old: their requests were deleted, so they get no verdict (they count as unknown). Keep activity rows for "
        f"longer than the longest deadline: the oldest of these delegations was requested {needed} ago"
    )
    return [sentence]
