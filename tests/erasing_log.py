"""A log whose texts of one workspace are erased: each has the word `canary` in it."""

from typing import Any
from uuid import UUID

from reconciling import Log, request
from rows import CALLEE, CALLER, answer, delegate, verdict

from projector.postgres.connection import connect
from projector.pruning import erase as erasing
from projector.pruning.erase import Erased
from projector.settings import PostgresSettings

OTHER = "0ca00000-0000-4000-8000-000000000003"
CANARY = "canary"
FILL = """
    INSERT INTO deleted (run_id, source, kind, delegation_id, content)
    SELECT gen_random_uuid(), 't', 'row', 'gone', to_jsonb(d) || '{"delegation_id": "gone"}' FROM delegations d
     WHERE delegation_id = 'done'
    UNION ALL SELECT gen_random_uuid(), 't', 'parked event', 'done', to_jsonb(p) FROM parked p;
    INSERT INTO outbox (delegation_id, due_at, next_attempt_at, last_error, ended_as, given_up_at)
    VALUES ('done', now(), now(), 'canary error of the relay', 'given_up', now())
"""


def texts(of: str, minute: int, caller: str = CALLER, callee: str = CALLEE, **columns: Any) -> dict[str, Any]:
    body = {"delegation_id": of, "task": f"{CANARY} task of {of}"}
    return delegate(minute, request_body=body, workspace_id=caller, target_id=callee, **columns)


def produce(log: Log) -> Log:
    """Project delegations of CALLEE as callee and as caller that have ended, one in flight, and one of others."""
    log.produce(texts("done", 0, idempotency_key="k"), answer(1, "completed", of="done", text=f"{CANARY} result"))
    log.produce(texts("failed", 2, CALLEE, OTHER), answer(3, "failed", of="failed", error=f"{CANARY} error"))
    log.produce(
        texts("empty", 4),
        answer(5, "completed", of="empty"),
        texts("judged", 6),
        verdict(40, of="judged", silent=6),
    )
    log.produce(texts("lost", 7, idempotency_key="k"), answer(8, "completed", of="lost", text=f"{CANARY} parked"))
    log.produce({**texts("dead", 9), "status": CALLEE.upper()}, {**texts("other", 9, CALLER, OTHER), "status": "?"})
    log.produce(request(10, "flying"), request(11, "others", target_id=OTHER))
    log.produce(answer(12, "failed", of="others", error="theirs"))
    return log.project()


def erase(log: Log) -> Erased:
    """Erase the texts of CALLEE."""
    with connect(PostgresSettings(database_url=log.url)) as conn:
        return erasing.erase(conn, UUID(CALLEE))
