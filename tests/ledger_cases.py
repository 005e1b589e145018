"""Calls of the ledger with the results that they must have, for its synchronous and its asynchronous functions."""

import asyncio
from collections.abc import Callable
from contextlib import nullcontext
from datetime import datetime
from typing import Any, NamedTuple, TypeAlias
from uuid import UUID

import psycopg
from rows import CALLEE, CALLER

from projector import ledger
from projector.errors import Misconfigured
from projector.ledger import AlreadyExists, Conflict, Effect, Inserted, aio, audit
from projector.ledger.aio import audit as aio_audit
from projector.ledger.audit import Failed, Recorded, Written

D_1, KEY = UUID("0DE1E6A7-0000-4000-8000-00000000000A"), UUID("4b000000-0000-4000-8000-00000000000b")
FUNCTIONS: dict[str, tuple[Any, Any]] = {
    "insert": (ledger.insert, aio.insert),
    "set_status": (ledger.set_status, aio.set_status),
    "heartbeat": (ledger.heartbeat, aio.heartbeat),
    "record_request": (audit.record_request, aio_audit.record_request),
    "record_status": (audit.record_status, aio_audit.record_status),
    "record_heartbeat": (audit.record_heartbeat, aio_audit.record_heartbeat),
}
"""The synchronous and the asynchronous function of each name."""


class Call(NamedTuple):
    """One call after the connection."""

    function: str
    arguments: tuple[Any, ...]
    options: dict[str, Any]


Case: TypeAlias = list[tuple[Call, object]]
RAISED = (TypeError, ValueError, Misconfigured, psycopg.Error)


def call(function: str, *arguments: Any, **options: Any) -> Call:
    return Call(function, arguments, options)


def insert(delegation_id: object = "d-1", task: object = "count", **options: Any) -> Call:
    return call("insert", delegation_id, CALLER, CALLEE, task, **options)


def status(new: object, delegation_id: object = "d-1", **texts: Any) -> Call:
    return call("set_status", delegation_id, new, **texts)


def heartbeat(delegation_id: object = "d-1") -> Call:
    return call("heartbeat", delegation_id)


def bad(sentence: str) -> str:
    return f"ValueError: {sentence}"


CASES: dict[str, Case] = {
    "requests": [
        (insert(idempotency_key="k"), Inserted("d-1")),
        (insert(), AlreadyExists("d-1", Conflict.SAME_ID)),
        (insert("d-2", idempotency_key="k"), AlreadyExists("d-1", Conflict.SAME_KEY)),
        (insert("d-2", idempotency_key=""), Inserted("d-2")),
        (insert("d-2", idempotency_key="k"), AlreadyExists("d-2", Conflict.SAME_ID)),
    ],
    "steps": [
        (insert(), Inserted("d-1")),
        (heartbeat(), Effect.HEARTBEAT),
        (status("in_progress", result="not used"), Effect.ADVANCED),
        (status("dispatched"), Effect.STALE),
        (status("completed", error="not used"), Effect.ADVANCED),
        (status("completed"), Effect.DUPLICATE),
        (status("completed", result="1 2 3\x00" + "é" * 3000), Effect.FILLED),
        (status("completed", result="4 5 6"), Effect.DUPLICATE),
        (status("failed", error="late"), Effect.REFUSED),
        (heartbeat(), Effect.REFUSED),
        (status("stuck", "d-2"), Effect.MISSING),
        (heartbeat("d-2"), Effect.MISSING),
    ],
    "ids are texts or uuids": [
        (call("insert", D_1, UUID(CALLER), UUID(CALLEE), "count", idempotency_key=KEY), Inserted(str(D_1))),
        (call("insert", str(D_1), CALLER.upper(), CALLEE, "count"), AlreadyExists(str(D_1), Conflict.SAME_ID)),
        (insert("d-2", idempotency_key=str(KEY)), AlreadyExists(str(D_1), Conflict.SAME_KEY)),
        (heartbeat(D_1), Effect.HEARTBEAT),
        (status(ledger.Status.FAILED, D_1, error="lost count"), Effect.ADVANCED),
    ],
    "bad arguments": [
        (insert("", ""), bad("required, but empty: delegation_id, task")),
        (insert(7), bad("delegation_id must be a text: found 7")),
        (insert("é" * 257), bad("delegation_id has 514 bytes: the maximum is 512")),
        (insert(task=["count"]), bad('task must be a text: found ["count"]')),
        (insert(deadline="now"), bad("deadline must be a datetime with an offset: found 'now'")),
        (call("insert", "d-1", "c", CALLEE, "count"), bad('caller_id must be a uuid: found "c"')),
        (heartbeat("d\x00"), bad('delegation_id must not contain U+0000 or a lone surrogate: found "d\\u0000"')),
        (
            status("done"),
            bad('status must be one of queued, dispatched, in_progress, completed, failed, stuck: found "done"'),
        ),
        (status("completed", result=3), bad("result must be a text: found 3")),
        (status("failed", error=3), bad("error must be a text: found 3")),
    ],
}
AUDIT_CASES: dict[str, Case] = {
    "steps": [
        (
            call("record_request", "d-1", CALLER, UUID(CALLEE), "count", idempotency_key=KEY),
            ("written", Inserted("d-1")),
        ),
        (
            call("record_request", "d-1", CALLER, CALLEE, "count"),
            ("written", AlreadyExists("d-1", Conflict.SAME_ID)),
        ),
        (call("record_heartbeat", "d-1", caller_id=UUID(CALLER)), ("written", Effect.HEARTBEAT)),
        (
            call("record_status", "d-1", "failed", caller_id=CALLER, result="no", error="lost"),
            ("written", Effect.ADVANCED),
        ),
        (call("record_status", "d-1", "completed", caller_id=CALLER, result="late"), ("written", Effect.REFUSED)),
        (call("record_heartbeat", D_1, caller_id=CALLER), ("written", Effect.MISSING)),
    ],
    "bad arguments": [
        (
            call("record_request", "d-1", CALLER, CALLEE, "count", deadline=datetime(2030, 1, 1)),  # noqa: DTZ001
            (bad("deadline must be a datetime with an offset: found datetime.datetime(2030, 1, 1, 0, 0)"),) * 2,
        ),
        (
            call("record_status", "d-1", "completed", caller_id="c"),
            (bad('caller_id must be a uuid: found "c"'), Effect.MISSING),
        ),
        (call("record_heartbeat", "", caller_id=CALLER), (bad("required, but empty: delegation_id"),) * 2),
    ],
}


def by_sync(url: str, case: Case, *, pipeline: bool = False, **options: Any) -> list[object]:
    """The result of each call by the synchronous functions, on one connection; an error as its text."""
    with psycopg.connect(url, **options) as conn, conn.pipeline() if pipeline else nullcontext():
        results = list[object]()
        for step, _ in case:
            try:
                results.append(_plain(FUNCTIONS[step.function][0](conn, *step.arguments, **step.options)))
            except RAISED as error:
                results.append(_plain(error))
        return results


def by_async(url: str, case: Case, *, pipeline: bool = False, **options: Any) -> list[object]:
    """As `by_sync`, by the asynchronous functions."""

    async def played() -> list[object]:
        results = list[object]()
        async with (
            await psycopg.AsyncConnection.connect(url, **options) as conn,
            conn.pipeline() if pipeline else nullcontext(),
        ):
            for step, _ in case:
                try:
                    results.append(_plain(await FUNCTIONS[step.function][1](conn, *step.arguments, **step.options)))
                except RAISED as error:
                    results.append(_plain(error))
        return results

    return asyncio.run(played())


TWINS: dict[str, Callable[..., list[object]]] = {"synchronous": by_sync, "asynchronous": by_async}


def results(case: Case) -> list[object]:
    """What each call of the case must return."""
    return [result for _, result in case]


def _plain(result: object) -> object:
    """A result that can be compared: an error as its text, and an activity row without its random id."""
    match result:
        case Recorded(activity, view):
            return _plain(activity), _plain(view)
        case Written():
            return "written"
        case Failed(error):
            return _plain(error)
        case Exception():
            return f"{type(result).__name__}: {result}"
    return result
