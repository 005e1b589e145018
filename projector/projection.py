"""One batch, one transaction: rows, parked events, dead letters and positions are written together or not at all."""

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import NamedTuple

from events.envelope import Record
from events.fields import recorded_at
from projector import dead_letters, store
from projector.dead_letters import Letter, Place
from projector.errors import Contested, Unwritable
from projector.fold import DeadLetter, Reading, View, read, recall
from projector.lifecycle import Outcome
from projector.positions import Gate, Move
from projector.session import Connection, reactions, transaction
from projector.writing import write

_TRIES = 10

Outcomes = Counter[Outcome]


def project(conn: Connection, records: Sequence[Record], gate: Gate | None = None) -> Outcomes:
    """Project a batch and move the gate's positions; how its records ended, adding up to their number.

    Without a gate (a replay, a retried dead letter) no position moves. Raises Fenced where a position is no longer
    ours, DatabaseAway where Postgres is away or the rows are changed too fast by others: nothing is written then.
    """
    return Projecting(conn, records, read(records), gate).outcomes()


class Projecting:
    """A batch that Postgres is writing, and commits by itself: meanwhile the next one can be polled and read.

    The session is good for nothing else until `outcomes` were asked for. To make one may raise DatabaseAway.
    """

    def __init__(self, conn: Connection, records: Sequence[Record], reading: Reading, gate: Gate | None = None) -> None:
        self.moves = gate.moves if gate else ()
        self._conn = conn
        self._records = records
        self._reading = reading
        self._gate = gate
        self._sent: _Sent | None = None
        with suppress(Unwritable, Contested):  # `outcomes` meets it again
            self._sent = _send(conn, reading, gate)

    def outcomes(self) -> Outcomes:
        """Wait until the batch is written, whatever it takes; as `project` does, and with its errors."""
        try:
            return _persisted(self._attempt)
        except Unwritable as error:
            return _split(self._conn, self._records, self._gate, error)
        except Contested:
            if len(self._records) < 2:
                raise
            return _halve(self._conn, self._records, self._gate)  # the fewer rows, the fewer others who write them

    def _attempt(self) -> Outcomes:
        sent, self._sent = self._sent or _send(self._conn, self._reading, self._gate), None
        sent.wait()
        return sent.outcomes


def _persisted(attempt: Callable[[], Outcomes]) -> Outcomes:
    """Write, and again where another writer got in between."""
    for _ in range(_TRIES - 1):
        with suppress(Contested):
            return attempt()
    try:
        return attempt()
    except Contested as error:
        raise Contested(f"gave up after {_TRIES} tries: {error}") from error


def _split(conn: Connection, records: Sequence[Record], gate: Gate | None, error: Unwritable) -> Outcomes:
    """Halve the batch until the one record that Postgres refuses is alone, and keep that one as a dead letter."""
    if len(records) > 1:
        return _halve(conn, records, gate)
    if not records:
        raise error
    return Projecting(conn, (), _refused(records, str(error)), gate).outcomes()


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
        return _persisted(lambda: _write_letters(conn, places, read))
    except Unwritable as error:
        if len(places) > 1:
            half = len(places) // 2
            return project_dead_letters(conn, places[:half]) + project_dead_letters(conn, places[half:])
        reason = str(error)
        return _persisted(lambda: _write_letters(conn, places, lambda letters: _refused(letters, reason)))


def _write_letters(
    conn: Connection, places: Sequence[Place], reading: Callable[[Sequence[Letter]], Reading]
) -> Outcomes:
    with transaction(conn):
        letters = dead_letters.take(conn, places)
        sent = _send(conn, reading(letters), None)
        sent.wait()
        dead_letters.settle(conn, letters, sent.dead)
        return sent.outcomes


def _refused(records: Sequence[Record], reason: str) -> Reading:
    return Reading([], [DeadLetter(record, reason, None) for record in records], Counter())


class _Sent(NamedTuple):
    """How the records of a batch end if it is written, the dead letters among them, and how to wait for that."""

    outcomes: Outcomes
    dead: Sequence[DeadLetter]
    wait: Callable[[], None]


def _send(conn: Connection, reading: Reading, gate: Gate | None) -> _Sent:
    """Read what the batch touches, without locks, fold it, and send what changes."""
    with reactions():
        reading, remembered = _recall(conn, reading)
        view, versions = _read_view(conn, reading)
    outcomes = Counter(reading.outcomes)
    for record, translation in reading.said:
        outcomes[view.apply(record, translation)] += 1
    dead = reading.dead_letters
    if dead:
        outcomes[Outcome.DEAD_LETTER] += len(dead)
    return _Sent(outcomes, dead, write(conn, view.changes(), versions, dead=dead, remembered=remembered, gate=gate))


def _recall(conn: Connection, reading: Reading) -> tuple[Reading, dict[str, str]]:
    """Resolve the bodies that were left out; what the batch itself has to remember, as row id → delegation id."""
    wanted = [translation.recalled for _, translation in reading.said if translation.recalled]
    reading = recall(reading, store.read_remembered(conn, wanted) if wanted else {})
    said = (translation for _, translation in reading.said)
    return reading, {each.remembered: each.delegation_id for each in said if each.remembered}


def _read_view(conn: Connection, reading: Reading) -> tuple[View, dict[str, str]]:
    ids = list({translation.delegation_id for _, translation in reading.said})
    requests = [translation.request for _, translation in reading.said if translation.request]
    seen = store.read_states(conn, ids) if ids else []
    known = {each.state.delegation_id: each.version for each in seen}
    keys = [
        (request.caller_id, request.idempotency_key)
        for request in requests
        if request.idempotency_key and request.delegation_id not in known
    ]
    view = View(
        (each.state for each in seen),
        store.read_holders(conn, keys) if keys else {},
        store.read_parked(conn, [request.delegation_id for request in requests]) if requests else (),
    )
    return view, known
