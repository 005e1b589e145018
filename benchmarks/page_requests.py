"""Every page and endpoint of the dashboard over many rows, with filters that are likely, and with some that are nasty.

A request is good if it is answered within a second. One that is not must say so: 503, with the sentence that Postgres
took too long. A likely request must be answered. What shows one delegation also searches the topic, for at most three
seconds, which are added.
"""

import re
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from urllib.parse import unquote, urlencode, urlsplit

import psycopg

from benchmarks.dashboard import Client
from benchmarks.measurement import Failed
from benchmarks.recording import START

GOAL_SECONDS = 1.0
SEARCH_SECONDS = 3.0
TOO_LONG = b"took too long"
_UUID = re.compile(r"([0-9a-f]{4})[0-9a-f]{4}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_TIME = re.compile(r"(\d{4}-\d\d-\d\d)T[\d:+]+")


class Request(NamedTuple):
    """A path with its parameters. `is_likely`: it must be answered, and within a second."""

    path: str
    is_likely: bool = True


class Timed(NamedTuple):
    """The seconds of each round. `first`: those of the round before, which warms up. `size`: bytes of the answer."""

    path: str
    is_likely: bool
    status: int
    size: int
    first: float
    seconds: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)

    @property
    def searches(self) -> bool:
        """Whether the answer needs a search of the topic."""
        page, _, name = urlsplit(self.path).path.removesuffix(".json").rpartition("/")
        return name == "delegation" or (page == "/admin/delegations" and "-" in name)

    @property
    def is_too_long(self) -> bool:
        """Whether the answer said that Postgres took too long."""
        return self.status == 503


class Known(NamedTuple):
    """What the filters name: a workspace with very many delegations, one with few, an ended delegation.

    `in_topic`: one whose records are in the topic; None if nothing was projected.
    """

    heavy: str
    rare: str
    delegation_id: str
    in_topic: str | None


def known(conn: psycopg.Connection[Any]) -> Known:
    """Look them up. The first delegations of the fill are old, and its last workspace is rare."""
    [found] = conn.execute(
        """
        SELECT md5('workspace 0')::uuid::text, md5('workspace 899')::uuid::text,
               (SELECT delegation_id FROM delegations WHERE status = 'failed' AND updated_at < now() - interval '1 hour'
                 ORDER BY updated_at DESC LIMIT 1),
               (SELECT delegation_id FROM delegations WHERE created_at < %s ORDER BY created_at DESC LIMIT 1)
        """,
        [START + timedelta(days=1)],
    ).fetchall()
    return Known(*found)


def requests(of: Known) -> list[Request]:
    """All requests. Each route that reads Postgres is among them (tests/unit/test_bench_pages.py)."""
    heavy, rare, one, in_topic = of
    likely = [
        "/",
        "/overview.json",
        "/delegations",
        *(f"/delegations?status={status}" for status in ("stuck", "failed", "completed", "any")),
        "/delegations?only=overdue&sort=deadline",
        "/delegations?only=silent&sort=silence",
        "/delegations?sort=deadline",
        "/delegations?only=self",
        *(f"/delegations?status=any&{role}={who}" for role in ("caller", "callee") for who in (heavy, rare)),
        *(f"/delegations?status=failed&{role}={who}" for role in ("caller", "callee") for who in (heavy, rare)),
        f"/delegations?status=any&caller={heavy}&callee={rare}",
        "/delegations?" + urlencode({"status": "failed", "since": _days_ago(1)}),
        "/delegations?" + urlencode({"status": "stuck", "since": _days_ago(61), "until": _days_ago(60)}),
        "/delegations?" + urlencode({"status": "any", "until": _days_ago(99)}),
        f"/delegations?status=any&id={one}",
        "/delegations?status=any&limit=1000",
        "/delegations.json?status=failed&limit=1000",
        "/delegations.csv?status=any&limit=1000",
        "/callees",
        "/callees.json?role=caller",
        "/callees.csv?hours=744",
        "/failures",
        "/failures.json?hours=744",
        f"/failures.csv?callee={heavy}",
        f"/failures?hours=744&callee={rare}",
        "/plumbing",
        "/plumbing.json",
        f"/delegation?id={one}",
        f"/delegation.json?id={one}",
        "/delegation?id=unknown",
        *(f"/delegation?id={each}" for each in [in_topic] if each),
        "/admin/delegations",
        "/admin/delegations?status=failed&limit=1000",
        f"/admin/delegations?status=completed&callee={rare}&limit=1000",
        "/admin/delegations/stats",
        f"/admin/delegations/{one}",
        "/admin/delegations/failures",
        "/admin/delegations/callees",
        "/admin/delegations/plumbing",
        "/readyz",
        "/livez",
    ]
    nasty = [
        f"/delegations?status=any&id={one[:8]}",
        f"/delegations?status=stuck&caller={heavy}&callee={heavy}",
        "/delegations?status=any&only=self",
        "/delegations?status=stuck&only=self",
        f"/delegations?status=stuck&only=self&caller={rare}",
        "/delegations?status=any&id=0",
        "/delegations?status=any&id=zzz",
        f"/delegations?status=stuck&callee={rare}&caller={rare}",
        "/delegations?" + urlencode({"status": "stuck", "until": _days_ago(150)}),
        "/delegations?" + urlencode({"status": "any", "caller": "00000000-0000-4000-8000-000000000000"}),
    ]
    return [*map(Request, likely), *(Request(path, is_likely=False) for path in nasty)]


def shown(path: str) -> str:
    """The path as people read it: ids by their beginning, times by their day."""
    text = unquote(path)
    return _UUID.sub(r"\1…", _TIME.sub(r"\1", text))


def measured(client: Client, asked: Sequence[Request], rounds: int) -> list[Timed]:
    """Ask everything once to warm up, then in rounds, in turns. Raises Failed if an answer is none of the expected."""
    first = [client.get(each.path) for each in asked]
    seconds: list[list[float]] = [[] for _ in asked]
    for _ in range(rounds):
        for place, each in enumerate(asked):
            seconds[place].append(client.get(each.path).seconds)
    timed = []
    for each, answer, later in zip(asked, first, seconds, strict=True):
        if answer.status != 200 and not (answer.status == 503 and TOO_LONG in answer.body):
            raise Failed(f"{each.path}: status {answer.status}: {answer.text}")
        timed.append(Timed(*each, answer.status, len(answer.body), answer.seconds, later))
    return timed


def _days_ago(days: int) -> str:
    return (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
