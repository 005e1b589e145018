"""Advisory locks of the sweepers. They only save work: two sweepers at once write nothing twice."""

from projector.postgres.connection import Connection, mapped_errors

FROZEN_AFTER_MS = 60_000
"""Postgres ends a session that is idle for so long in a pass. No statement in between may take longer."""


def try_pass(conn: Connection) -> bool:
    """Lock the pass until `unlock_pass`, or until the session ends; False if another sweeper is in its pass.

    A process that is frozen in its pass loses its session, and with it the lock.
    """
    with mapped_errors():
        [(locked,)] = conn.execute("SELECT pg_try_advisory_lock(hashtext('delegations projector: sweep'))").fetchall()
        if locked:
            _end_if_idle(conn, FROZEN_AFTER_MS)
    return bool(locked)


def unlock_pass(conn: Connection) -> None:
    """Let other sweepers make their pass."""
    with mapped_errors():
        _end_if_idle(conn, 0)
        conn.execute("SELECT pg_advisory_unlock(hashtext('delegations projector: sweep'))")


def _end_if_idle(conn: Connection, milliseconds: int) -> None:
    """End this session if it is idle for this time; 0: never. Postgres has this since version 14."""
    conn.execute(
        """
        SELECT set_config('idle_session_timeout', %(milliseconds)s, false)
         WHERE current_setting('idle_session_timeout', true) IS NOT NULL
        """,
        {"milliseconds": str(milliseconds)},
    )


def try_interval(conn: Connection, seconds: int) -> bool:
    """Take the present interval of this length; False if another sweeper has taken it.

    An interval that was taken earlier is given back. So one sweeper makes a pass per interval, however many run, and
    one that freezes keeps the others from one interval only.
    """
    with mapped_errors():
        [(locked,)] = conn.execute(
            """
            WITH given_back AS MATERIALIZED (SELECT pg_advisory_unlock_all())
            SELECT pg_try_advisory_lock(
                       hashtext('delegations projector: sweep interval'),
                       (floor(extract(epoch FROM clock_timestamp()) / %(seconds)s)::bigint %% 2147483647)::int)
              FROM given_back
            """,
            {"seconds": seconds},
        ).fetchall()
    return bool(locked)
