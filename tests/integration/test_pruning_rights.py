"""A service that writes with the ledger has rights on `delegations` alone."""

import uuid

import psycopg
import pytest
from psycopg import sql
from rows import CALLEE, CALLER

from projector.ledger import Inserted, rows


def test_service_needs_no_rights_on_the_list_of_pruned(database_url: str) -> None:
    role = sql.Identifier(f"service_{uuid.uuid4().hex[:12]}")
    with psycopg.connect(database_url) as conn, conn.transaction(force_rollback=True):
        conn.execute("INSERT INTO projector.pruned (delegation_id) VALUES ('old')")
        conn.execute(sql.SQL("CREATE ROLE {0}; GRANT SELECT, INSERT ON delegations TO {0}").format(role))
        conn.execute(sql.SQL("SET LOCAL ROLE {}").format(role))
        assert rows.insert(conn, "new", CALLER, CALLEE, "count") == Inserted("new")
        with pytest.raises(psycopg.errors.RaiseException, match="old was pruned"):
            rows.insert(conn, "old", CALLER, CALLEE, "count")
