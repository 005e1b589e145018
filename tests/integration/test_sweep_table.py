"""What must be true of the platform's table before the sweeper may judge by it."""

from datetime import datetime

import pytest
from roles import plain_role
from rows import CALLEE, Columns
from sweeping import ADVANCED, Platform, counts

from projector.errors import Misconfigured
from projector.postgres import sweep_access
from projector.postgres.connection import connect
from projector.settings import PostgresSettings


@pytest.mark.parametrize("writes", [True, False])
def test_table_that_may_hide_rows_is_refused(it: Platform, *, writes: bool) -> None:
    """A callee whose rows are hidden from the sweeper would look silent."""
    with plain_role(it.url) as url, connect(PostgresSettings(database_url=url)) as conn:
        it.conn.execute(f"GRANT SELECT, INSERT ON activity_logs TO {conn.info.user}".encode())
        sweep_access.require_access(conn, writes=writes)
        it.conn.execute("ALTER TABLE activity_logs ENABLE ROW LEVEL SECURITY")
        it.conn.execute(f"CREATE POLICY others ON activity_logs USING (workspace_id <> '{CALLEE}')".encode())
        with pytest.raises(Misconfigured, match=r"row-level security may hide rows of public\.activity_logs") as raised:
            sweep_access.require_access(conn, writes=writes)
        it.conn.execute(str(raised.value).partition("seen: ")[2].encode())
        sweep_access.require_access(conn, writes=writes)


def test_table_without_a_unique_id_is_refused(it: Platform) -> None:
    """Nothing would keep a verdict from being written twice. A dry run writes none."""
    it.conn.execute("ALTER TABLE activity_logs DROP CONSTRAINT activity_logs_pkey")
    it.conn.execute("ALTER TABLE activity_logs ADD PRIMARY KEY (id, created_at)")
    sweep_access.require_access(it.sweeper, writes=False)
    with pytest.raises(Misconfigured, match="no unique index on id alone") as raised:
        sweep_access.require_access(it.sweeper, writes=True)
    it.conn.execute(str(raised.value).partition("twice: ")[2].encode())
    sweep_access.require_access(it.sweeper, writes=True)


def cut(row: Columns) -> Columns:
    """The row of a change feed whose times have milliseconds, such as a JDBC source connector."""
    at = datetime.fromisoformat(row["created_at"])
    return row | {"created_at": int(at.timestamp() * 1000)}


@pytest.mark.parametrize("last", ["beat", "report of the callee"])
def test_feed_that_cuts_times_to_milliseconds_lets_the_sweeper_judge(it: Platform, last: str) -> None:
    """The table has the same event with microseconds: it is no later sign of life than itself."""
    it.start = it.start.replace(microsecond=123_456)
    it.is_alive()
    rows = [it.request(), it.beat(minutes=21)]
    rows += [it.beat()] if last == "beat" else [it.answer(status="in_progress", minutes=20, workspace_id=CALLEE)]
    it.write(*rows)
    it.project(*map(cut, rows))
    assert counts(it.sweep()) == {"candidates": 1, "stuck": 1}
    assert it.feed_verdicts() == {ADVANCED: 1}


def test_later_sign_after_such_a_feed_spares(it: Platform) -> None:
    it.start = it.start.replace(microsecond=123_456)
    rows = [it.request(), it.beat()]
    it.is_alive().write(*rows, it.beat(minutes=20 - 0.001 / 60))
    it.project(*map(cut, rows))
    assert counts(it.sweep()) == {"candidates": 1, "spared": 1}


def test_grace_of_the_setting_counts(it: Platform) -> None:
    it.is_alive().both(it.request(due=1))
    assert counts(it.sweep(deadline_grace_seconds=120)) == {}
    assert counts(it.sweep(deadline_grace_seconds=45)) == {"candidates": 1, "failed": 1}


def test_verdict_that_a_trigger_swallows_is_named(it: Platform) -> None:
    """It would count as repeated in each pass, and nobody would learn that it is not there."""
    it.is_alive().both(it.request(), it.beat(), it.request("d-2"), it.beat("d-2"))
    it.conn.execute(
        """
        CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
        CREATE TRIGGER swallow BEFORE INSERT ON activity_logs FOR EACH ROW EXECUTE FUNCTION public.swallow()
        """
    )
    assert it.sweep().sentences == ["a trigger or a rule of activity_logs did not let 2 verdicts in"]
    it.conn.execute("DROP TRIGGER swallow ON activity_logs")
    report = it.sweep()
    assert (counts(report), report.sentences) == ({"candidates": 2, "stuck": 2}, [])
