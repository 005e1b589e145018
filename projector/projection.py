"""One batch, one transaction: rows, parked events, dead letters and positions are written together or not at all."""

from collections import Counter
from collections.abc import Callable, Sequence

from events.envelope import Record
from events.fields import recorded_at
from projector import dead_letters, staging, store
from projector.dead_letters import Letter, Place
from projector.errors import Contested, Unwritable
from projector.fold import DeadLetter, Reading, View, read, recall
from projector.lifecycle import Outcome
from projector.positions import Gate, Move
from projector.session import Connection, transaction
from projector.writing import write

_TRIES = 10

Outcomes = Counter[Outcome]


def project(conn: Connection, records: Sequence[Record], gate: Gate | None = None) -> Outcomes:
    """Project a batch and move the gate's positions; how its records ended, adding up to their number.

    Without a gate (a replay, a retried dead letter) no position moves. Raises Fenced where a position is no longer
    ours, DatabaseAway where Postgres is away or the rows are changed too fast by others: nothing is written then.
    """
    try:
        return _write(conn, read(records), gate)
    except Unwritable as error:
        return _split(conn, records, gate, error)
    except Contested:
        if len(records) < 2:
            raise
        return _halve(conn, records, gate)  # the fewer rows, the fewer others who write them in between


def _split(conn: Connection, records: Sequence[Record], gate: Gate | None, error: Unwritable) -> Outcomes:
    """Halve the batch until the one record that Postgres refuses is alone, and keep that one as a dead letter."""
    if len(records) == 1:
        return _write(conn, _refused(records, str(error)), gate)
    if not records:
        raise error
    return _halve(conn, records, gate)


def _halve(conn: Connection, records: Sequence[Record], gate: Gate | None) -> Outcomes:
    half = len(records) // 2
    first, second = _split_gate(gate, records[:half]) if gate else (None, None)
    return project(conn, records[:half], first) + project(conn, records[half:], second)


def _split_gate(gate: Gate, head: Sequence[Record]) -> tuple[Gate, Gate]:
    """The gate for `head`, and the gate for what comes after it."""
    reached = {(record.topic, record.partition): record for record in head}
    first, second = [], []
    for move in gate.moves:
        last = reached.get((move.topic, move.partition))
        if last is None:
            second.append(move)
        elif last.offset + 1 == move.now:
            first.append(move)
        else:
            first.append(Move(move.topic, move.partition, move.was, last.offset + 1, recorded_at(last.timestamp)))
            second.append(move._replace(was=last.offset + 1))
    return Gate(gate.token, first), Gate(gate.token, second)


def project_dead_letters(conn: Connection, places: Sequence[Place]) -> Outcomes:
    """Project dead letters once more; in the same transaction each leaves, or is kept with its new reason.

    No position moves. Letters that are no longer there count for nothing. Raises DatabaseAway as `project` does.
    """
    try:
        return _persist(conn, lambda: _write_letters(conn, places, read))
    except Unwritable as error:
        if len(places) > 1:
            half = len(places) // 2
            return project_dead_letters(conn, places[:half]) + project_dead_letters(conn, places[half:])
        reason = str(error)
        return _persist(conn, lambda: _write_letters(conn, places, lambda letters: _refused(letters, reason)))


def _write_letters(
    conn: Connection, places: Sequence[Place], reading: Callable[[Sequence[Letter]], Reading]
) -> Outcomes:
    letters = dead_letters.take(conn, places)
    outcomes = _write_once(conn, reading(letters), None)
    dead_letters.settle(conn, letters)
    return outcomes


def _refused(records: Sequence[Record], reason: str) -> Reading:
    return Reading([], [DeadLetter(record, reason, None) for record in records], Counter())


def _write(conn: Connection, reading: Reading, gate: Gate | None) -> Outcomes:
    return _persist(conn, lambda: _write_once(conn, reading, gate))


def _persist(conn: Connection, write: Callable[[], Outcomes]) -> Outcomes:
    """Write in one transaction, and again where another writer got in between."""
    for _ in range(_TRIES):
        try:
            with transaction(conn):
                return write()
        except Contested as error:
            contested = error
    raise Contested(f"gave up after {_TRIES} tries: {contested}") from contested


def _write_once(conn: Connection, reading: Reading, gate: Gate | None) -> Outcomes:
    """Read, fold, stage; then the gate and all rows in one statement, and under its locks nothing that is slow."""
    reading, remembered = _recall(conn, reading)
    view, versions = _read_view(conn, reading)
    outcomes = Counter(reading.outcomes)
    for record, translation in reading.said:
        outcomes[view.apply(record, translation)] += 1
    changes = view.changes()
    if reading.dead_letters:
        outcomes[Outcome.DEAD_LETTER] += len(reading.dead_letters)
        staging.stage_dead_letters(conn, reading.dead_letters)
    if changes.parked:
        staging.stage_parked(conn, changes.parked)
    write(conn, changes, versions, remembered=remembered, gate=gate)
    if changes.requested:
        staging.release_parked(conn, changes.requested, changes.released)
    if changes.parked:
        staging.merge_parked(conn, len(changes.parked))
    if reading.dead_letters:
        staging.merge_dead_letters(conn)
    return outcomes


def _recall(conn: Connection, reading: Reading) -> tuple[Reading, dict[str, str]]:
    """Resolve the bodies that were left out; what the batch itself has to remember, as row id → delegation id."""
    wanted = [translation.recalled for _, translation in reading.said if translation.recalled]
    reading = recall(reading, store.read_remembered(conn, wanted) if wanted else {})
    said = (translation for _, translation in reading.said)
    return reading, {each.remembered: each.delegation_id for each in said if each.remembered}


def _read_view(conn: Connection, reading: Reading) -> tuple[View, dict[str, int]]:
    ids = list({translation.delegation_id for _, translation in reading.said})
    requests = [translation.request for _, translation in reading.said if translation.request]
    seen = store.read_delegations(conn, ids) if ids else []
    known = {each.delegation.delegation_id: each.version for each in seen}
    keys = [
        (request.caller_id, request.idempotency_key)
        for request in requests
        if request.idempotency_key and request.delegation_id not in known
    ]
    view = View(
        (each.delegation for each in seen),
        store.read_holders(conn, keys) if keys else {},
        store.read_parked(conn, [request.delegation_id for request in requests]) if requests else (),
    )
    return view, known
