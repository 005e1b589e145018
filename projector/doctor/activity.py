"""The checks of the platform's table `activity_logs`, from which a change feed makes the topic."""

from collections.abc import Sequence

from projector.doctor.checks import Check, Checks, change, note, ok
from projector.doctor.postgres import in_transaction
from projector.postgres import activity_table, inspection, replication
from projector.postgres.activity_table import Access
from projector.postgres.connection import Connection
from projector.postgres.inspection import open_inspection, reading
from projector.postgres.login import UrlSetting
from projector.postgres.replication import ActivityTable, Publication, Slot
from projector.settings import Settings
from projector.texts import size

NAME = "activity_logs"
SLOTS = "replication slots"
_IDENTITIES = {"d": "the default", "n": "NOTHING", "i": "an index"}
REMEDY = "start this Postgres, or correct PROJECTOR_ACTIVITY_DATABASE_URL"


class Feed:
    """The checks of the database of PROJECTOR_ACTIVITY_DATABASE_URL, or of the database of the view."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.has_own_database = bool(settings.activity_database_url.get_secret_value())

    def check(self, checks: Checks) -> None:
        """Make the checks. Raises ProjectorError if the database cannot be reached."""
        setting: UrlSetting = "activity_database_url" if self.has_own_database else "database_url"
        with open_inspection(self._settings, setting) as conn:
            self._check(conn, checks)

    def _check(self, conn: Connection, checks: Checks) -> None:
        with reading(conn):
            role = inspection.server(conn).quoted_role
            table = replication.activity_table(conn)
            access = activity_table.find(conn)
        if table is None or access is None:
            checks.append(self._missing())
            return
        with reading(conn):
            found = replication.publications(conn)
        checks += [
            _table(table, role),
            _sweep(access),
            _identity(table, found),
            _publication(table, found),
            _wal_level(table, found),
        ]
        checks.add(SLOTS, in_transaction(conn, lambda: [_slots(replication.slots(conn), found)]))

    def _missing(self) -> Check:
        where = "that database" if self.has_own_database else "the database of the view"
        return note(
            NAME,
            f"{where} has no table activity_logs on the search path: the change feed is not checked",
            "set PROJECTOR_ACTIVITY_DATABASE_URL to the platform's database, for a role with its search_path",
        )


def _table(table: ActivityTable, role: str) -> Check:
    if not table.readable:
        found = f"the role may not read {table.name}, so --from activity-logs is not possible"
        return note(NAME, found, f"GRANT SELECT ON {table.name} TO {role};")
    if table.hides_rows:
        found = f"row-level security hides rows of {table.name}, so --from activity-logs is not possible"
        return note(NAME, found, f"ALTER ROLE {role} BYPASSRLS;")
    return ok(NAME, f"the role can read {table.name}")


def _sweep(access: Access) -> Check:
    name = "rights of sweep"
    if lacks := access.lacks(writes=True):
        return note(name, f"{lacks}: `sweep` needs it, unless it writes to the topic", lacks.grant)
    return ok(name, f"the role has them on {access.table}")


def _identity(table: ActivityTable, publications: Sequence[Publication]) -> Check:
    name, full = "replica identity", f"ALTER TABLE {table.name} REPLICA IDENTITY FULL;"
    if table.identity == "f":
        return ok(name, f"{table.name} has FULL")
    has_none = table.identity == "n" or (table.identity == "d" and not table.has_primary_key)
    if has_none and any(each.updates for each in publications):
        return change(name, f"{table.name} has none: Postgres refuses every UPDATE of the published table", full)
    found = f"{table.name} has {_IDENTITIES[table.identity]}: the feed leaves large bodies out of updates"
    return note(name, f"{found}, and an update of a row that was never read whole is a dead letter", full)


def _publication(table: ActivityTable, publications: Sequence[Publication]) -> Check:
    name = "publication"
    if not publications:
        return note(
            name,
            f"no publication has {table.name}: right only if no Debezium with pgoutput feeds the topic",
            f"CREATE PUBLICATION activity FOR TABLE {table.name};",
        )
    faults = [(_fault(each), each) for each in publications if _fault(each)]
    if faults:
        remedies = [_publish_all(table, each) for _, each in faults]
        return change(name, "; ".join(f"{each.name} {fault}" for fault, each in faults), "\n".join(remedies))
    filters = [f"{each.name} has the row filter {each.row_filter}" for each in publications if each.row_filter]
    if filters:
        return note(name, "; ".join(filters), "it must let every row with activity_type = 'delegation' pass")
    return ok(name, f"{', '.join(each.name for each in publications)}: inserts and updates, with every column")


def _fault(publication: Publication) -> str | None:
    missing = [word for word, has in (("inserts", publication.inserts), ("updates", publication.updates)) if not has]
    if publication.left_out:
        missing.append(f"the columns {', '.join(publication.left_out)}")
    return f"leaves out {' and '.join(missing)}" if missing else None


def _publish_all(table: ActivityTable, publication: Publication) -> str:
    alter = f"ALTER PUBLICATION {publication.quoted_name}"
    statements = []
    if not (publication.inserts and publication.updates):
        statements.append(f"{alter} SET (publish = '{publication.wanted}');")
    if publication.left_out:
        statements.append(f"BEGIN; {alter} DROP TABLE {table.name}; {alter} ADD TABLE {table.name}; COMMIT;")
    return "\n".join(statements)


def _wal_level(table: ActivityTable, publications: Sequence[Publication]) -> Check:
    name = "wal_level"
    if table.wal_level == "logical":
        return ok(name, "it is logical")
    remedy = "ALTER SYSTEM SET wal_level = logical;  -- then restart Postgres"
    if publications:
        return change(name, f"it is {table.wal_level}: no change feed can read this server", remedy)
    return note(name, f"it is {table.wal_level}: a change feed needs logical", remedy)


def _slots(slots: Sequence[Slot], publications: Sequence[Publication]) -> Check:
    name = SLOTS
    lost = [slot for slot in slots if slot.wal_status == "lost"]
    if idle := [slot for slot in slots if not slot.active]:
        found = "; ".join(f"{slot.name} is inactive{_retained(slot)}" for slot in idle)
        drop = "\n".join(f"SELECT pg_drop_replication_slot({slot.literal_name});" for slot in idle)
        remedy = f"start its connector. Or if it is not needed any more:\n{drop}"
        return change(name, found, remedy) if publications or lost else note(name, found, remedy)
    if not slots:
        return note(name, "this database has no logical slot: right only if no Debezium feeds the topic")
    return ok(name, ", ".join(f"{slot.name} is active" for slot in slots))


def _retained(slot: Slot) -> str:
    if slot.wal_status == "lost":
        return " and lost: the server has removed WAL that it needs, so the feed has a gap"
    return f" and keeps {size(slot.retained)} of WAL" if slot.retained is not None else ""
