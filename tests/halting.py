"""Points in a pass at which a test makes the projector wait, with its transaction open."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, LiteralString

import psycopg
from cluster import wait_until
from stage import Stage
from staged_process import Process

WAIT: LiteralString = """
    CREATE FUNCTION public.wait_here() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM pg_advisory_xact_lock_shared(4715);
        RETURN NEW;
    END $$;
"""
VERDICT_POINTS: dict[str, LiteralString] = {
    "in the insert": """
        CREATE TRIGGER wait_here AFTER INSERT ON activity_logs
            FOR EACH ROW WHEN (NEW.method = 'verdict') EXECUTE FUNCTION public.wait_here()""",
    "in the commit": """
        CREATE CONSTRAINT TRIGGER wait_here AFTER INSERT ON activity_logs DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW WHEN (NEW.method = 'verdict') EXECUTE FUNCTION public.wait_here()""",
}
"""Where a sweeper can be halted."""
REPLY_POINTS: dict[str, LiteralString] = {
    "in the insert": """
        CREATE TRIGGER wait_here AFTER INSERT ON activity_logs
            FOR EACH ROW WHEN (NEW.activity_type = 'a2a_receive') EXECUTE FUNCTION public.wait_here()""",
    "between insert and mark": """
        CREATE TRIGGER wait_here BEFORE UPDATE ON projector.outbox
            FOR EACH ROW WHEN (NEW.ended_as = 'sent') EXECUTE FUNCTION public.wait_here()""",
}
"""Where a relay can be halted."""


@contextmanager
def halting(stage: Stage, point: LiteralString) -> Iterator[psycopg.Connection[Any]]:
    """Halt every session that comes to this point, until the yielded connection commits, is lost, or the block ends."""
    with suppress(psycopg.OperationalError), stage.connect() as conn:
        conn.execute(WAIT)
        conn.execute(point)
        conn.commit()
        conn.execute("SELECT pg_advisory_xact_lock(4715)")
        yield conn


def wait_until_halted(stage: Stage, process: Process) -> None:
    """Block until a session of the projector waits for a lock."""
    wait_until(lambda: stage.waiting_sessions() or not process.is_running, f"a halted process:\n{process.text()}")
    assert process.is_running, process.text()
