"""Formats activity rows as JSON: bare, or in the envelope of a Debezium change event."""

import json
from typing import NamedTuple

UNAVAILABLE_FROM_CHARACTERS = 2_000
"""From this length on, an update in a Debezium envelope omits an unchanged body, as a real connector does."""


class Row(NamedTuple):
    """An activity row; bodies are JSON texts, and `quoted_…` are JSON literals (a quoted string or null)."""

    row_id: str
    workspace_id: str
    kind: str
    target_id: str
    method: str
    status: str
    created_at: str
    request: str | None = None
    response: str | None = None
    quoted_error: str = "null"
    quoted_key: str = "null"
    is_update: bool = False


def bare(row: Row) -> str:
    """Format the row as a platform's publisher does: bodies are objects."""
    return _columns(row, row.request or "null", row.response or "null")


def change(row: Row, ms: int) -> str:
    """Format the row as a change feed does: bodies are JSON texts, and updates omit large ones."""
    omitted = row.is_update and row.request is not None and len(row.request) > UNAVAILABLE_FROM_CHARACTERS
    request = '"__debezium_unavailable_value"' if omitted else _as_text(row.request)
    after = _columns(row, request, _as_text(row.response))
    return (
        f'{{"before":null,"after":{after},"source":{{"version":"3.5.0.Final","connector":"postgresql",'
        f'"name":"platform","ts_ms":{ms},"snapshot":"false","db":"platform","sequence":"[\\"33227160\\",'
        f'\\"33227160\\"]","ts_us":{ms}000,"ts_ns":{ms}000000,"schema":"public","table":"activity_logs","txId":978,'
        f'"lsn":33227160,"xmin":null,"origin":null,"origin_lsn":null}},"transaction":null,'
        f'"op":"{"u" if row.is_update else "c"}","ts_ms":{ms + 40},"ts_us":{ms + 40}123,"ts_ns":{ms + 40}123456}}'
    )


def _as_text(body: str | None) -> str:
    return "null" if body is None else json.dumps(body, ensure_ascii=False)


def _columns(row: Row, request: str, response: str) -> str:
    return (
        f'{{"id":"{row.row_id}","workspace_id":"{row.workspace_id}","activity_type":"{row.kind}",'
        f'"source_id":"{row.workspace_id}","target_id":"{row.target_id}","method":"{row.method}",'
        f'"summary":"{row.kind} by an agent","request_body":{request},"response_body":{response},"duration_ms":null,'
        f'"status":"{row.status}","error_detail":{row.quoted_error},"idempotency_key":{row.quoted_key},'
        f'"tool_trace":null,"created_at":"{row.created_at}"}}'
    )
