"""Advisory locks of the sweepers. They only save work: two sweepers at once write nothing twice."""

from projector.postgres.connection import Connection, mapped_errors


def try_pass(conn: Connection) -> bool:
    """Lock the pass until `unlock_pass`, or until the session ends; False if another sweeper is in its pass."""
    with mapped_errors():
        [(locked,)] = conn.execute("SELECT pg_try_advisory_lock(hashtext('delegations projector: sweep'))").fetchall()
    return bool(locked)


def unlock_pass(conn: Connection) -> None:
    """Let other sweepers make their pass."""
    with mapped_errors():
        conn.execute("SELECT pg_advisory_unlock(hashtext('delegations projector: sweep'))")


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
