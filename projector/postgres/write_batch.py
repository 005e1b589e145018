"""What a batch writes: everything in one call of a function on the server, the fence first.

The server takes the first lock when it has the whole call, so a process that freezes while it sends blocks none. Each
statement of the function sees what others committed before it began, under the locks of the statements before it. Each
connection creates the function for itself, so two releases never share one (decision 0007).

A batch with ends is a call of two functions, `write_batch` first. Without ends the call is the one without a push.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from importlib import resources
from itertools import groupby

from projector.contract.facts import Heartbeat, Report, Reported, Verdict
from projector.contract.fields import recorded_at
from projector.domain.ends import End
from projector.domain.fold import Changes, DeadLetter, Parked
from projector.domain.positions import Fence
from projector.postgres.connection import Connection, mapped_errors, oid, send

_FUNCTION = resources.files(__package__).joinpath("write_batch.sql").read_text()
_ENDS_FUNCTION = resources.files(__package__).joinpath("write_ends.sql").read_text()
_NOT_WRITTEN = resources.files(__package__).joinpath("not_written.sql").read_text()


def _parameters(function: str, name: str) -> list[tuple[str, ...]]:
    """The names and types of its parameters."""
    signature = function.partition(f"pg_temp.{name}(")[2].partition(") RETURNS")[0]
    return [tuple(parameter.split()) for parameter in signature.split(",")]


_PARAMETERS = _parameters(_FUNCTION, "write_batch")
_ENDS_PARAMETERS = _parameters(_ENDS_FUNCTION, "write_ends")
_TYPES = [oid(type_name) for _, type_name in _PARAMETERS]
_ENDS_TYPES = [oid(type_name) for _, type_name in _ENDS_PARAMETERS]
_PLACES = [f"${n}" for n in range(1, len(_PARAMETERS) + len(_ENDS_PARAMETERS) + 1)]
_WRITE_BATCH = f"pg_temp.write_batch({', '.join(_PLACES[: len(_PARAMETERS)])})"
_WRITE_ENDS = f"pg_temp.write_ends({', '.join(_PLACES[len(_PARAMETERS) :])})"
_CALL = f"SELECT {_WRITE_BATCH}"
_CALL_WITH_ENDS = f"SELECT {_WRITE_ENDS} FROM {_WRITE_BATCH}"  # noqa: S608 - both are made of constants
"""FROM is evaluated first: the fence, and the rows that the ends are about."""
_WIDTHS = {
    part: len(list(columns))
    for part, columns in groupby(name.partition("_")[0] for name, type_name in _PARAMETERS if type_name.endswith("[]"))
}
"""Part → number of its columns, in the order of the signature."""


def prepare(conn: Connection, *, push: bool = False, deadline_grace_seconds: float = 30) -> None:
    """Create the connection's functions, and make every statement find rows by key, however many there are.

    `push`: the connection may write ends. Every connection says that it could: migration 055 explains it. The reply
    about a verdict waits until the deadline and this grace.
    """
    with mapped_errors():
        conn.execute(_NOT_WRITTEN)
        conn.execute(_FUNCTION)
        conn.execute("SELECT set_config('projector.knows_push', 'on', false)")
        if push:
            conn.execute(_ENDS_FUNCTION)
            grace = {"grace": f"{deadline_grace_seconds} seconds"}
            conn.execute("SELECT set_config('projector.deadline_grace', %(grace)s, false)", grace)


def write(
    conn: Connection,
    changes: Changes,
    versions: Mapping[str, str],
    *,
    dead_letters: Iterable[DeadLetter] = (),
    large_rows: Mapping[str, str] | None = None,
    fence: Fence | None = None,
    ends: Sequence[End] = (),
) -> Callable[[], None]:
    """Send a batch, to be written if the fence's positions can be moved. The returned function waits for the end.

    `versions`: delegation id → the version of its row that was read. `large_rows`: activity row id → delegation id.
    `ends` need a connection that was prepared for the push.
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
    values = [fence and fence.token, changes.unparked, *columns]
    if not ends:
        return send(conn, _CALL, _TYPES, values)
    return send(conn, _CALL_WITH_ENDS, _TYPES + _ENDS_TYPES, [*values, *_columns(ends, len(_ENDS_TYPES))])


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
