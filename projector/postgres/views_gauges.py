"""What the dashboard exports about the view as a whole. Counts stop at a limit, so a scrape always costs the same."""

from collections.abc import Mapping
from typing import NamedTuple

from psycopg.rows import class_row

from projector.postgres.connection import Connection, mapped_errors

MOST = 100_000


class Gauges(NamedTuple):
    """Numbers of delegations in flight, and the metrics of these names. Ages are in seconds, 0 if there is none.

    Times are in seconds since 1970. None: it never happened.
    """

    queued: int
    dispatched: int
    in_progress: int
    oldest_in_flight_seconds: float
    oldest_silent_seconds: float
    overdue: int
    parked: int
    parked_of_repeated_requests: int
    parked_oldest_seconds: float
    dead_letters: int
    dead_letters_newest_timestamp_seconds: float | None
    push_due: int
    push_oldest_due_seconds: float
    push_given_up: int
    push_expired: int
    sweep_last_pass_timestamp_seconds: float | None
    push_last_pass_timestamp_seconds: float | None


def gauges(conn: Connection) -> Gauges:
    """All of them, in one statement."""
    with mapped_errors(), conn.cursor(row_factory=class_row(Gauges)) as cursor:
        [found] = cursor.execute(
            """
            WITH flying AS (
                SELECT count(*) FILTER (WHERE status = 'queued') AS queued,
                       count(*) FILTER (WHERE status = 'dispatched') AS dispatched,
                       count(*) FILTER (WHERE status = 'in_progress') AS in_progress,
                       min(created_at) FILTER (WHERE isfinite(created_at)) AS oldest,
                       min(updated_at) FILTER (WHERE isfinite(updated_at)) AS most_silent,
                       count(*) FILTER (WHERE deadline < now()) AS overdue
                  FROM delegations WHERE status IN ('queued', 'dispatched', 'in_progress')
            ), waiting AS (
                SELECT p.parked_at,
                       EXISTS (SELECT FROM repeated_requests r WHERE r.delegation_id = p.delegation_id) AS is_repeated
                  FROM parked p ORDER BY p.seq LIMIT %(most)s
            ), parked AS (
                SELECT count(*) FILTER (WHERE NOT is_repeated) AS parked,
                       count(*) FILTER (WHERE is_repeated) AS of_repeated_requests,
                       min(parked_at) FILTER (WHERE NOT is_repeated) AS oldest
                  FROM waiting
            ), letters AS (
                SELECT count(*) AS dead_letters, max(died_at) AS newest
                  FROM (SELECT died_at FROM dead_letters ORDER BY died_at DESC LIMIT %(most)s) AS latest
            ), due AS (
                SELECT count(*) AS replies, min(due_at) AS oldest
                  FROM (SELECT due_at FROM outbox WHERE ended_as IS NULL AND next_attempt_at <= now()
                         ORDER BY next_attempt_at LIMIT %(most)s) AS first
            ), unsent AS (
                SELECT count(*) FILTER (WHERE ended_as = 'given_up') AS given_up,
                       count(*) FILTER (WHERE ended_as = 'expired') AS expired
                  FROM (SELECT ended_as FROM outbox WHERE given_up_at IS NOT NULL
                         ORDER BY given_up_at DESC LIMIT %(most)s) AS latest
            ), passed AS (
                SELECT max(ended_at) FILTER (WHERE kind = 'sweep' AND result ->> 'skipped' IS DISTINCT FROM 'behind')
                           AS swept_at,
                       max(ended_at) FILTER (WHERE kind = 'push') AS pushed_at
                  FROM passes WHERE kind IN ('sweep', 'push')
            )
            SELECT flying.queued, flying.dispatched, flying.in_progress,
                   greatest(extract(epoch FROM now() - flying.oldest)::float, 0) AS oldest_in_flight_seconds,
                   greatest(extract(epoch FROM now() - flying.most_silent)::float, 0) AS oldest_silent_seconds,
                   flying.overdue, parked.parked, parked.of_repeated_requests AS parked_of_repeated_requests,
                   greatest(extract(epoch FROM now() - parked.oldest)::float, 0) AS parked_oldest_seconds,
                   letters.dead_letters,
                   extract(epoch FROM letters.newest)::float AS dead_letters_newest_timestamp_seconds,
                   due.replies AS push_due,
                   greatest(extract(epoch FROM now() - due.oldest)::float, 0) AS push_oldest_due_seconds,
                   unsent.given_up AS push_given_up, unsent.expired AS push_expired,
                   extract(epoch FROM passed.swept_at)::float AS sweep_last_pass_timestamp_seconds,
                   extract(epoch FROM passed.pushed_at)::float AS push_last_pass_timestamp_seconds
              FROM flying, parked, letters, due, unsent, passed
            """,
            {"most": MOST},
        ).fetchall()
    return found


def rebuild_progress(conn: Connection, topic: str, beginnings: Mapping[int, int]) -> float | None:
    """How much of the topic the running `verify` or `rebuild` has read, from 0 to 1. `beginnings`: its first offsets.

    None if none runs, if it reads another source, or if the role may not read the shadow.
    """
    with mapped_errors():
        may_read = conn.execute(
            """
            SELECT has_schema_privilege('projector_shadow', 'USAGE')
                   AND NOT EXISTS (
                       SELECT FROM pg_class c
                        WHERE c.relnamespace = to_regnamespace('projector_shadow')
                          AND c.relname IN ('work', 'positions') AND NOT has_table_privilege(c.oid, 'SELECT'))
            """
        ).fetchone()
        if may_read != (True,) or not beginnings:
            return None
        row = conn.execute(
            """
            SELECT sum(greatest(s.next_offset - b.beginning, 0))::float
                   / nullif(sum(greatest(p.next_offset - b.beginning, 0)), 0)
              FROM unnest(%(partitions)s::int[], %(beginnings)s::bigint[]) AS b (partition, beginning)
              JOIN positions p ON p.topic = %(topic)s AND p.partition = b.partition
              JOIN projector_shadow.positions s ON s.topic = %(topic)s AND s.partition = b.partition
             WHERE EXISTS (SELECT FROM projector_shadow.work WHERE source ~ '^(verify|rebuild) topic ')
               AND EXISTS (
                   SELECT FROM pg_locks
                    WHERE locktype = 'advisory' AND database = (
                              SELECT oid FROM pg_database WHERE datname = current_database())
                      AND objid::bigint = hashtext('delegations projector: shadow')::bigint & 4294967295)
            """,
            {"topic": topic, "partitions": list(beginnings), "beginnings": list(beginnings.values())},
        ).fetchone()
    return None if row is None or row[0] is None else min(row[0], 1.0)
