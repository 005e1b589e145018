"""Samples of the positions while members catch up: when every partition was claimed, and the rate from then on.

All values of a sample come from one statement, so they belong to one moment of the server's clock, which is that of
this machine.
"""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple
from uuid import UUID

import psycopg

from benchmarks.measurement import Failed
from benchmarks.recording import PARTITIONS

CATCH_UP_TIMEOUT_SECONDS = 1800.0
SAMPLE_EVERY_SECONDS = 0.1  # more often would slow down what is measured
_LEFT = 0.1


class Claim(NamedTuple):
    """A partition, the member that owns it, and since when."""

    partition: int
    owner: UUID
    at: float


class Sample(NamedTuple):
    """`at` and `moved_at`, the time of the last commit, are in seconds since 1970."""

    at: float
    projected: int
    moved_at: float
    claims: frozenset[Claim]


def sample_until(url: str, count: int, require_running: Callable[[], None]) -> list[Sample]:
    """Sample until `count` records are projected. Raises Failed if that takes too long."""
    samples: list[Sample] = []
    deadline = time.monotonic() + CATCH_UP_TIMEOUT_SECONDS
    with psycopg.connect(url, autocommit=True) as conn:
        while not samples or samples[-1].projected != count:
            require_running()
            if time.monotonic() > deadline:
                raise Failed(f"`projector run` did not catch up within {CATCH_UP_TIMEOUT_SECONDS:,.0f} s")
            time.sleep(SAMPLE_EVERY_SECONDS)
            samples.append(_sample(conn))
    return samples


def _sample(conn: psycopg.Connection[tuple[float, int, int, UUID | None, float, float]]) -> Sample:
    rows = conn.execute(
        """
        SELECT extract(epoch FROM clock_timestamp())::float, partition, next_offset, owner,
               extract(epoch FROM claimed_at)::float, extract(epoch FROM coalesce(moved_at, 'epoch'))::float
          FROM projector.positions
        """
    ).fetchall()
    claims = frozenset(Claim(partition, owner, at) for _, partition, _, owner, at, _ in rows if owner)
    moved_at = max((row[5] for row in rows), default=0.0)
    return Sample(rows[0][0] if rows else 0.0, sum(row[2] for row in rows), moved_at, claims)


def settled(samples: Sequence[Sample], members: int, partitions: int = PARTITIONS) -> Sample | None:
    """The first sample with the claims of the last one: a rebalance after it would have changed them.

    None if they are not those of all partitions and all members.
    """
    claims = samples[-1].claims
    if len(claims) != partitions or len({claim.owner for claim in claims}) != members:
        return None
    return next(sample for sample in samples if sample.claims == claims)


def claimed_at(sample: Sample) -> float:
    """When the last partition was claimed, in seconds since 1970."""
    return max(claim.at for claim in sample.claims)


def rate_after(sample: Sample, last: Sample) -> float | None:
    """Records per second from a sample to the last commit; None if fewer than a tenth of the records were left."""
    left = last.projected - sample.projected
    return left / (last.moved_at - sample.at) if left >= last.projected * _LEFT else None
