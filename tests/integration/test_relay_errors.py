"""Errors of single replies on a real Postgres: each gives up, or waits, and delays nobody else."""

from datetime import timedelta

import psycopg
import pytest
from activity_table import SEARCH_PATH
from doctoring import execute, role_without_rights
from relaying import OTHER_CALLER, Relaying, ago, create_inbox, passed, push
from rows import CALLER

from projector.errors import DatabaseUnavailable, Misconfigured

NOBODY = "c1c1c1c1-0000-4000-8000-00000000dead"


COUNT_TRIES = """
    CREATE SEQUENCE public.tries;
    CREATE FUNCTION public.count_try() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM nextval('public.tries');  -- no rollback takes it back
        RETURN NEW;
    END $$;
    CREATE TRIGGER count_try BEFORE INSERT ON activity_logs FOR EACH ROW EXECUTE FUNCTION public.count_try()
"""


def refuse(relaying: Relaying, state: str) -> None:
    """Let a trigger refuse the replies to CALLER with this SQLSTATE."""
    relaying.conn.execute(
        """
        CREATE FUNCTION public.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE 'not this one' USING ERRCODE = TG_ARGV[0];
        END $$
        """
    )
    statement = f"""
        CREATE TRIGGER refuse BEFORE INSERT ON activity_logs FOR EACH ROW
        WHEN (NEW.activity_type = 'a2a_receive' AND NEW.workspace_id = '{CALLER}')
        EXECUTE FUNCTION public.refuse('{state}')
        """
    relaying.conn.execute(statement.encode())


@pytest.mark.parametrize("deferred", ["", "DEFERRABLE INITIALLY DEFERRED"])
def test_reply_to_a_workspace_that_is_gone_is_given_up(inbox_url: str, relaying: Relaying, deferred: str) -> None:
    """A deferred foreign key must not fail at COMMIT, and with it the whole batch."""
    relaying.conn.execute("ALTER TABLE activity_logs DROP CONSTRAINT activity_logs_workspace_id_fkey")
    statement = f"ALTER TABLE activity_logs ADD FOREIGN KEY (workspace_id) REFERENCES workspaces (id) {deferred}"
    relaying.conn.execute(statement.encode())
    relaying.answered("before")
    relaying.delegation("gone", "completed", caller=NOBODY)
    relaying.queue("gone", due=ago(2))
    relaying.answered("after")
    assert push(inbox_url) == passed(sent=2, given_up=1)
    assert set(relaying.inbox()) == {"before", "after"}
    reply = relaying.reply("gone")
    assert reply["ended_as"] == "given_up"
    assert "(SQLSTATE 23503)" in reply["last_error"]


@pytest.mark.parametrize("state", ["22000", "22P05", "23514"])
def test_error_of_data_gives_up_at_once(inbox_url: str, relaying: Relaying, state: str) -> None:
    refuse(relaying, state)
    relaying.answered("d-1")
    relaying.answered("d-2", caller=OTHER_CALLER)
    assert push(inbox_url) == passed(sent=1, given_up=1)
    assert relaying.reply("d-1")["last_error"] == f"not this one (SQLSTATE {state})"


@pytest.mark.parametrize("state", ["08006", "40001", "53100", "55000", "57014", "42501", "P0001"])
def test_other_error_is_tried_again_later(inbox_url: str, relaying: Relaying, state: str) -> None:
    refuse(relaying, state)
    relaying.answered("d-1")
    relaying.answered("d-2", caller=OTHER_CALLER)
    assert push(inbox_url) == passed(sent=1, retried_later=1)
    reply = relaying.reply("d-1")
    assert (reply["ended_as"], reply["attempts"]) == (None, 1)
    assert f"(SQLSTATE {state})" in reply["last_error"]
    assert reply["next_attempt_at"] - reply["due_at"] > timedelta(seconds=1)
    assert push(inbox_url) == passed(due_later=1)


def test_reply_is_sent_when_its_error_has_gone(inbox_url: str, relaying: Relaying) -> None:
    refuse(relaying, "40001")
    relaying.answered("d-1")
    assert push(inbox_url).retried_later == 1
    relaying.conn.execute(b"DROP TRIGGER refuse ON activity_logs; UPDATE outbox SET next_attempt_at = now()")
    assert push(inbox_url) == passed(sent=1)
    assert relaying.reply("d-1")["attempts"] == 2


def test_one_caller_that_fails_delays_no_other(inbox_url: str, relaying: Relaying) -> None:
    """Acceptance 6, small. The replies that fail are due first."""
    refuse(relaying, "55000")
    for number in range(150):
        relaying.answered(f"poison-{number}", due=ago(100))
    for number in range(150):
        relaying.answered(f"d-{number}", caller=OTHER_CALLER)
    assert push(inbox_url) == passed(sent=150, retried_later=150)
    assert len(relaying.inbox()) == 150


def test_caller_whose_workspace_is_locked_is_tried_once(inbox_url: str, relaying: Relaying) -> None:
    """The foreign key waits for the lock. The other replies to this caller do not wait again."""
    for number in range(20):
        relaying.answered(f"locked-{number}", due=ago(100))
    relaying.answered("d-1", caller=OTHER_CALLER)
    relaying.conn.execute(COUNT_TRIES.encode())
    with psycopg.connect(inbox_url) as other:
        other.execute("SELECT FROM workspaces WHERE id = %s FOR UPDATE", [CALLER])
        assert push(inbox_url, lock_timeout_ms=100) == passed(sent=1, retried_later=20)
    assert relaying.conn.execute("SELECT last_value FROM tries").fetchall() == [(2,)], "one of each caller"
    assert "(SQLSTATE 55P03)" in relaying.reply("locked-19")["last_error"]


def test_row_that_a_trigger_swallows_is_not_sent(inbox_url: str, relaying: Relaying) -> None:
    relaying.conn.execute(
        """
        CREATE FUNCTION public.swallow() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$
        """
    )
    relaying.answered("d-1")
    relaying.conn.execute(
        "CREATE TRIGGER swallow BEFORE INSERT ON activity_logs FOR EACH ROW EXECUTE FUNCTION public.swallow()"
    )
    assert push(inbox_url) == passed(retried_later=1)
    assert "trigger" in relaying.reply("d-1")["last_error"]


def test_read_only_inbox_is_an_outage(database_url: str, empty_url: str) -> None:
    """It does not count as a try."""
    create_inbox(empty_url)
    own = {"activity_database_url": empty_url}
    name = psycopg.conninfo.conninfo_to_dict(empty_url)["dbname"]
    with (
        psycopg.connect(database_url, options=SEARCH_PATH, autocommit=True) as conn,
        psycopg.connect(empty_url, autocommit=True) as activity,
    ):
        relaying = Relaying(conn, activity)
        relaying.answered("d-1")
        activity.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on".encode())
        with pytest.raises(DatabaseUnavailable, match="read-only"):
            push(database_url, **own)
        assert relaying.reply("d-1")["attempts"] == 0
        activity.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only".encode())
        assert push(database_url, **own) == passed(sent=1)


# --- what must be there at the start


def test_missing_right_is_named_with_its_grant(inbox_url: str) -> None:
    with role_without_rights(inbox_url) as role:
        role.execute(
            "GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role}",
            "GRANT USAGE ON SCHEMA projector TO {role}",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA projector TO {role}",
        )
        with pytest.raises(Misconfigured, match=r"inbox: GRANT INSERT ON public\.activity_logs TO ") as raised:
            push(role.url)
        execute(role.admin, str(raised.value).partition(": ")[2])
        assert push(role.url) == passed()


def test_missing_table_is_named(database_url: str) -> None:
    with pytest.raises(Misconfigured, match="no table activity_logs"):
        push(database_url)


def test_table_without_a_unique_id_is_refused(inbox_url: str, relaying: Relaying) -> None:
    relaying.conn.execute("ALTER TABLE activity_logs DROP CONSTRAINT activity_logs_pkey")
    with pytest.raises(Misconfigured, match="no unique index on id alone"):
        push(inbox_url)
