"""What a batch writes: all of it by one call of a function on the server, the gate first.

The server takes the first lock when it has the whole call, so whoever freezes while sending holds nobody up; and each
statement of the function sees what others committed before it began, under the locks of those before it. The session
makes the function for itself, so that two versions of it never meet (decision 0007).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources

from projector.contract.facts import Reported
from projector.contract.fields import recorded_at
from projector.domain.fold import Changes, DeadLetter, Parked
from projector.domain.lifecycle import Delegation, State
from projector.domain.positions import Fence, Move
from projector.postgres.connection import Connection, mapped_errors, oid, send

_SESSION = resources.files(__package__).joinpath("write_batch.sql").read_bytes()
_TIMES = frozenset({"record_at", "last_heartbeat", "deadline", "created_at", "updated_at", "at"})
_BYTES = frozenset({"key", "value"})
_NUMBERS = frozenset({"partition", "start", "next_offset", "offset", "retry_count"})
_PARKED = ("topic", "partition", "offset", "delegation_id", "status", "at", "result_preview", "error_detail")
_DEAD = ("topic", "partition", "offset", "record_at", "key", "value", "reason", "field")
_COLUMNS = {
    "moved": Move._fields,
    "inserted": Delegation._fields,
    "updated": (*State._fields, "version"),
    "remembered": ("row_id", "delegation_id"),
    "requested": ("delegation_id",),
    "parked": _PARKED,
    "dead": _DEAD,
}


def _type(column: str) -> str:
    if column in _TIMES:
        return "timestamptz[]"
    if column in _BYTES:
        return "bytea[]"
    return "bigint[]" if column in _NUMBERS else "text[]"


_TYPES = [oid("uuid"), oid("bigint"), *(oid(_type(column)) for columns in _COLUMNS.values() for column in columns)]


def prepare(conn: Connection) -> None:
    """Make the session's function, and have all statements find rows by their keys, however few or many there are."""
    with mapped_errors():
        conn.execute(_SESSION)


def write(
    conn: Connection,
    changes: Changes,
    versions: Mapping[str, str],
    *,
    dead: Iterable[DeadLetter] = (),
    remembered: Mapping[str, str] | None = None,
    fence: Fence | None = None,
) -> Callable[[], None]:
    """Send a batch to be written, if the gate's positions can be moved; what is returned waits until that is done.

    `versions`: delegation id → the version of its row that was read; `remembered`: activity row id → delegation id of
    large rows. To wait raises Fenced where somebody else owns one of the positions by now, Contested where another
    writer made or changed a row, took an idempotency key, or parked an event in the meantime: nothing is written then.
    """
    rows: dict[str, Collection[Sequence[object]]] = {
        "moved": fence.moves if fence else (),
        "inserted": changes.inserted,
        "updated": [(*row, versions[row.delegation_id]) for row in changes.updated],
        "remembered": list((remembered or {}).items()),
        "requested": [(delegation_id,) for delegation_id in changes.requested],
        "parked": list(map(_parked, changes.parked)),
        "dead": list(map(_dead, dead)),
    }
    columns = (column for part, names in _COLUMNS.items() for column in _columns(rows[part], len(names)))
    return send(
        conn,
        """
        SELECT pg_temp.write_batch(
            $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22,
            $23, $24, $25, $26, $27, $28, $29, $30, $31, $32, $33, $34, $35, $36, $37, $38, $39, $40, $41, $42,
            $43, $44, $45, $46
        )
        """,
        _TYPES,
        [fence and fence.token, changes.unparked, *columns],
    )


def _columns(rows: Collection[Sequence[object]], width: int) -> Iterator[list[object]]:
    return map(list, zip(*rows, strict=True)) if rows else iter([[] for _ in range(width)])


def _parked(parked: Parked) -> Sequence[object]:
    event = parked.event
    told = event[1:] if isinstance(event, Reported) else (None, event.at, None, None)
    return (parked.topic, parked.partition, parked.offset, event.delegation_id, *told)


def _dead(letter: DeadLetter) -> Sequence[object]:
    record = letter.record
    return (
        record.topic,
        record.partition,
        record.offset,
        recorded_at(record.timestamp),
        record.key,
        record.value,
        letter.reason,
        letter.field,
    )


def exclude_requests(conn: Connection) -> None:
    """Wait until nobody projects a request, and keep requests out until the end of this transaction (decision 0004)."""
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('delegations projector: parking'))")
