"""What a batch writes: everything in one call of a function on the server, the fence first.

The server takes the first lock when it has the whole call, so a process that freezes while it sends blocks none. Each
statement of the function sees what others committed before it began, under the locks of the statements before it. Each
connection creates the function for itself, so two releases never share one (decision 0007).
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import groupby

from projector.contract.facts import Heartbeat, Report, Reported, Verdict
from projector.contract.fields import recorded_at
from projector.domain.fold import Changes, DeadLetter, Parked
from projector.domain.positions import Fence
from projector.postgres.connection import Connection, mapped_errors, oid, send

_FUNCTION = resources.files(__package__).joinpath("write_batch.sql").read_text()
_NOT_WRITTEN = resources.files(__package__).joinpath("not_written.sql").read_text()
_SIGNATURE = _FUNCTION.partition("pg_temp.write_batch(")[2].partition(") RETURNS")[0]
_PARAMETERS = [tuple(parameter.split()) for parameter in _SIGNATURE.split(",")]
_TYPES = [oid(type_name) for _, type_name in _PARAMETERS]
_CALL = f"SELECT pg_temp.write_batch({', '.join(f'${n}' for n in range(1, len(_PARAMETERS) + 1))})"
_WIDTHS = {
    part: len(list(columns))
    for part, columns in groupby(name.partition("_")[0] for name, type_name in _PARAMETERS if type_name.endswith("[]"))
}
"""Part → number of its columns, in the order of the signature."""


def prepare(conn: Connection) -> None:
    """Create the connection's functions, and make every statement find rows by key, however many there are."""
    with mapped_errors():
        conn.execute(_NOT_WRITTEN)
        conn.execute(_FUNCTION)


def write(
    conn: Connection,
    changes: Changes,
    versions: Mapping[str, str],
    *,
    dead_letters: Iterable[DeadLetter] = (),
    large_rows: Mapping[str, str] | None = None,
    fence: Fence | None = None,
) -> Callable[[], None]:
    """Send a batch, to be written if the fence's positions can be moved. The returned function waits for the end.

    `versions`: delegation id → the version of its row that was read. `large_rows`: activity row id → delegation id.
    Waiting raises Fenced if another process owns one of the positions now. It raises WriteConflict if another writer
    inserted or changed a row, took an idempotency key, or parked an event in between. In both cases nothing is written.
    """
    rows: dict[str, Collection[Sequence[object]]] = {
        "moved": fence.moves if fence else (),
        "inserted": changes.inserted,
        "updated": [(*row, versions[row.delegation_id]) for row in changes.updated],
        "large": list((large_rows or {}).items()),
        "requested": [(delegation_id,) for delegation_id in changes.requested],
        "parked": list(map(_parked, changes.parked)),
        "repeated": changes.repeated,
        "dead": list(map(_dead_letter, dead_letters)),
    }
    columns = (column for part, width in _WIDTHS.items() for column in _columns(rows[part], width))
    return send(conn, _CALL, _TYPES, [fence and fence.token, changes.unparked, *columns])


def _columns(rows: Collection[Sequence[object]], width: int) -> Iterator[list[object]]:
    return map(list, zip(*rows, strict=True)) if rows else iter([[] for _ in range(width)])


def _parked(parked: Parked) -> Sequence[object]:
    return (*parked[:3], *_event_columns(parked.event))


def _event_columns(event: Report) -> Sequence[object]:
    """Kind, delegation id, status, time, evidence, result and error of an event."""
    match event:
        case Reported(delegation_id, status, at, result, error):
            return "status", delegation_id, status, at, None, result, error
        case Verdict(delegation_id, status, at, silent_since, error):
            return "verdict", delegation_id, status, at, silent_since, None, error
        case Heartbeat(delegation_id, at):
            return "heartbeat", delegation_id, None, at, None, None, None


def _dead_letter(letter: DeadLetter) -> Sequence[object]:
    record = letter.record
    place = (record.topic, record.partition, record.offset, recorded_at(record.timestamp))
    return (*place, record.key, record.value, letter.reason, letter.field)


def exclude_requests(conn: Connection) -> None:
    """Lock parked events until this transaction ends (decision 0004).

    A batch that has parked events, or applied them to a request, has committed or starts again.
    """
    conn.execute("SELECT pg_advisory_xact_lock(hashtext('delegations projector: parking'))")
