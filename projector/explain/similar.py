"""Which id was meant, if nothing is known of the one that was typed."""

from datetime import timedelta
from difflib import get_close_matches
from typing import NamedTuple

from projector.postgres import similar_ids
from projector.postgres.connection import Connection

_TIMEOUT = timedelta(seconds=3)
_SHOWN = 5
_CANDIDATES = 1_000
_MIN_PREFIX = 3
"""A shorter text begins too many ids by chance."""


class Similar(NamedTuple):
    """Ids that are like the one that was typed.

    `meant`: the only id that begins with it, regardless of case and of spaces around it. `ids`: several of those, or
    else the most similar ones. `is_whole`: false if the time was over before all ids were compared.
    """

    meant: str | None
    ids: list[str]
    is_whole: bool = True


def find_similar(conn: Connection, typed: str) -> Similar:
    """Ask Postgres for a few seconds. An id that is equal to the typed one is never among the found ones."""
    text = typed.strip()
    begun: list[str] | None = []
    if len(text) >= _MIN_PREFIX:
        begun = similar_ids.beginning(conn, text, limit=_SHOWN + 1, timeout=_TIMEOUT)
    found = [each for each in begun or () if each != typed]
    if found:
        same = [each for each in found if each.strip().lower() == text.lower()]
        meant = same if len(same) == 1 else found
        return Similar(meant[0] if len(meant) == 1 else None, found[:_SHOWN])
    length = max(len(text) // 3, 1)
    shared = similar_ids.sharing(conn, text, length=length, limit=_CANDIDATES, timeout=_TIMEOUT)
    by_lower = {each.strip().lower(): each for each in shared or () if each != typed}
    close = get_close_matches(text.lower(), by_lower, n=_SHOWN, cutoff=0.75)
    return Similar(None, [by_lower[each] for each in close], begun is not None and shared is not None)
