"""Large rows: a change feed may leave the bodies of such a row out of later updates (events/README.md, section 1)."""

import json

from projector.contract.envelope import Row

LARGE_ROW_BYTES = 1500
"""Postgres may store a body of a larger row out of line. A change feed may then leave it out of an update."""


def is_large(row: Row) -> bool:
    """Whether the texts of the row's columns have more than 1,500 bytes of UTF-8 together."""
    at_least = 0  # a lower bound in characters: cheap, and enough to recognise most large rows
    for column in row.values():
        if isinstance(column, dict):
            for text in column.values():
                if isinstance(text, str):
                    at_least += len(text)
        elif isinstance(column, str):
            at_least += len(column)
        if at_least > LARGE_ROW_BYTES:
            return True
    return sum(map(_bytes, row.values())) > LARGE_ROW_BYTES


def _bytes(column: object) -> int:
    if column is None:
        return 0
    text = column if isinstance(column, str) else json.dumps(column, ensure_ascii=False, separators=(",", ":"))
    return len(text) if text.isascii() else len(text.encode(errors="surrogatepass"))
