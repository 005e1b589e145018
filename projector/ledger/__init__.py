"""The ledger: writes one row of `delegations` per call, for services that record a delegation themselves.

The projector later projects the same facts as events, and these change nothing (docs/ledger.md).

    import psycopg
    from projector import ledger

    with psycopg.connect(url) as conn:  # psycopg commits at the end of the block
        ledger.insert(conn, "d-1", caller_id, callee_id, "Summarise the report")
        ledger.heartbeat(conn, "d-1")
        effect = ledger.set_status(conn, "d-1", "completed", result="Three open points")
        assert effect is ledger.Effect.ADVANCED

`conn` is the service's own psycopg connection of any kind; its search path must find `delegations`. No function sets
anything on it. If its client encoding is not UTF-8, or if row-level security may hide a row that was not found, a
function raises `projector.errors.Misconfigured`. With REPEATABLE READ or SERIALIZABLE, an answer is that of the
transaction's snapshot, or psycopg raises a serialization failure.

No function commits. Outside autocommit the row stays locked until the service commits or rolls back, even if
`set_status` or `heartbeat` changed nothing. The projector and other writers of this delegation wait until then.

Bad arguments raise ValueError with the name of the argument. Errors of the database pass unchanged, as psycopg raises
them. `projector.ledger.audit` writes the row of `activity_logs` too.
"""

from projector.contract.facts import Status
from projector.ledger.results import AlreadyExists, Conflict, Effect, Inserted
from projector.ledger.rows import heartbeat, insert, set_status
from projector.ledger.validation import Id, StatusName

__all__ = [
    "AlreadyExists",
    "Conflict",
    "Effect",
    "Id",
    "Inserted",
    "Status",
    "StatusName",
    "heartbeat",
    "insert",
    "set_status",
]
