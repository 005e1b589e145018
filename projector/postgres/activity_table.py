"""The platform's table `activity_logs`: what the role of a session may do with it, for those who write into it."""

from typing import NamedTuple

from projector.errors import Misconfigured
from projector.postgres.connection import Connection, mapped_errors

_INSERTED = ["id", "workspace_id", "activity_type", "source_id", "target_id", "method", "status", "request_body"]
_INSERTED += ["error_detail", "created_at"]


class Access(NamedTuple):
    """The table and the role, as SQL names them, and what the role may do.

    `may_insert`: into the columns that every writer of this product fills.
    """

    table: str
    role: str
    may_select: bool
    may_insert: bool
    hides_rows: bool
    has_unique_id: bool

    def lacks(self, *, writes: bool) -> "Lacks | None":
        """The rights that the role lacks; None if it has them."""
        rights = [*([] if self.may_select else ["SELECT"]), *([] if self.may_insert or not writes else ["INSERT"])]
        return Lacks(self.table, self.role, ", ".join(rights)) if rights else None

    def require_all_rows(self) -> None:
        """Raise Misconfigured, with the cure, if row-level security applies to the session."""
        if self.hides_rows:
            raise Misconfigured(
                f"row-level security may hide rows of {self.table}, and all must be seen: "
                f"ALTER ROLE {self.role} BYPASSRLS;"
            )

    def require_unique_id(self) -> None:
        """Raise Misconfigured if nothing keeps a second row with the same id out."""
        if not self.has_unique_id:
            raise Misconfigured(
                f"{self.table} has no unique index on id alone, so a row could be written twice: "
                f"CREATE UNIQUE INDEX CONCURRENTLY ON {self.table} (id);"
            )


class Lacks(NamedTuple):
    """A sentence about rights, and the SQL that gives them."""

    table: str
    role: str
    rights: str

    @property
    def grant(self) -> str:
        """The SQL that gives the role what it lacks."""
        return f"GRANT {self.rights} ON {self.table} TO {self.role};"

    def __str__(self) -> str:
        return f"the role {self.role} lacks {self.rights} on {self.table}"


def find(conn: Connection) -> Access | None:
    """The table on the search path; None if there is none."""
    with mapped_errors():
        row = conn.execute(
            """
            SELECT format('%%I.%%I', nspname, relname), quote_ident(current_user),
                   has_table_privilege(c.oid, 'SELECT'),
                   (SELECT bool_and(has_column_privilege(c.oid, attname, 'INSERT')) FROM pg_attribute
                     WHERE attrelid = c.oid AND attname = ANY (%(inserted)s)),
                   row_security_active(c.oid),
                   EXISTS (SELECT FROM pg_index i JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'id'
                            WHERE i.indrelid = c.oid AND i.indisunique AND i.indisvalid AND i.indpred IS NULL
                              AND i.indnkeyatts = 1 AND i.indkey[0] = a.attnum)
              FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE c.oid = to_regclass('activity_logs')
            """,
            {"inserted": _INSERTED},
        ).fetchone()
    return Access._make(row) if row else None


def is_readable(conn: Connection) -> bool:
    """Whether there is such a table, and the role can read it."""
    found = find(conn)
    return found is not None and found.may_select
