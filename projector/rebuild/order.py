"""The facts about groups, from which `domain.order` finds what the order between partitions may have decided.

They are collected in the shadow, by a second read of the source. Every function takes a connection to the shadow.
"""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

from projector.domain.fold import TranslatedBatch, TranslatedRecord, resolve_unavailable
from projector.domain.order import Fact, Undecided, facts, undecided
from projector.postgres import delegations
from projector.postgres.connection import Connection
from projector.rebuild.drift import Difference, keyed_rows


def add_groups(conn: Connection, differences: Sequence[Difference]) -> None:
    """Add the groups of these delegations, unless they are known."""
    groups = [
        (each.delegation_id, *key)
        for each in differences
        for key in {("", ""), *((row.caller_id, row.idempotency_key) for row in keyed_rows(each))}
    ]
    conn.execute(
        """
        INSERT INTO projector_shadow.order_groups (delegation_id, caller_id, idempotency_key)
        SELECT * FROM unnest(%(ids)s::text[], %(callers)s::text[], %(keys)s::text[]) ON CONFLICT DO NOTHING
        """,
        dict(zip(("ids", "callers", "keys"), map(list, zip(*groups, strict=True)), strict=True)),
    )


def has_unread_groups(conn: Connection) -> bool:
    """Whether the source must be read for a group that was added."""
    row = conn.execute("SELECT EXISTS (SELECT FROM projector_shadow.order_groups WHERE NOT is_read)").fetchone()
    return bool(row and row[0])


def begin_read(conn: Connection) -> None:
    """The source is going to be read from its start, for all groups that are known now."""
    conn.execute("UPDATE projector_shadow.order_groups SET is_read = true WHERE NOT is_read")


def add_facts(conn: Connection, batch: TranslatedBatch) -> None:
    """Store the facts about the groups that these records report.

    A delegation that requests the key of a group becomes known: it belongs to the group, with all its records.
    """
    found = [fact for each in _resolved(conn, batch) for fact in facts(each)]
    if not found:
        return
    names = ("ids", "topics", "partitions", "kinds", "statuses", "callers", "keys")
    conn.execute(
        """
        WITH added AS (
            INSERT INTO projector_shadow.order_facts
            SELECT DISTINCT f.*
              FROM unnest(%(ids)s::text[], %(topics)s::text[], %(partitions)s::int[], %(kinds)s::text[],
                          %(statuses)s::text[], %(callers)s::text[], %(keys)s::text[])
                   AS f (delegation_id, topic, partition, kind, status, caller_id, idempotency_key)
             WHERE EXISTS (SELECT FROM projector_shadow.order_groups g WHERE g.delegation_id = f.delegation_id)
                OR (f.idempotency_key <> '' AND EXISTS (
                    SELECT FROM projector_shadow.order_groups g
                     WHERE g.caller_id = f.caller_id AND g.idempotency_key = f.idempotency_key))
            ON CONFLICT DO NOTHING RETURNING delegation_id
        )
        INSERT INTO projector_shadow.order_groups (delegation_id) SELECT DISTINCT delegation_id FROM added
        ON CONFLICT DO NOTHING
        """,
        dict(zip(names, map(list, zip(*found, strict=True)), strict=True)),
    )


def _resolved(conn: Connection, batch: TranslatedBatch) -> list[TranslatedRecord]:
    wanted = [each.translation.unavailable_row_id for each in batch.records if each.translation.unavailable_row_id]
    return resolve_unavailable(batch, delegations.read_large_rows(conn, wanted) if wanted else {}).records


def read_undecided(conn: Connection, ids: Sequence[str]) -> dict[str, Undecided]:
    """What the order may have decided for each of these delegations, by the facts of its group."""
    rows = conn.execute(
        """
        WITH members AS (  -- each delegation, and the others that were requested with its keys
            SELECT id AS candidate, id AS delegation_id FROM unnest(%(ids)s::text[]) AS id
            UNION
            SELECT g.delegation_id, f.delegation_id
              FROM projector_shadow.order_groups g
              JOIN projector_shadow.order_facts f USING (caller_id, idempotency_key)
             WHERE g.delegation_id = ANY(%(ids)s) AND g.idempotency_key <> '' AND f.kind = 'request'
        )
        SELECT m.candidate, f.delegation_id, f.topic, f.partition, f.kind, f.status, f.caller_id, f.idempotency_key
          FROM members m JOIN projector_shadow.order_facts f USING (delegation_id)
         ORDER BY m.candidate
        """,
        {"ids": ids},
    )
    groups = groupby(rows, key=itemgetter(0))
    return {candidate: undecided(candidate, [Fact(*row[1:]) for row in group]) for candidate, group in groups}


def keep_columns(view: Connection, ids: Sequence[str]) -> None:
    """Take the view's values of the columns that order decides, for delegations with drift in other columns.

    `view` is a connection to the view.
    """
    view.execute(
        """
        UPDATE projector_shadow.delegations s
           SET status = d.status, last_heartbeat = d.last_heartbeat, result_preview = d.result_preview,
               error_detail = d.error_detail, updated_at = d.updated_at
          FROM delegations d WHERE d.delegation_id = s.delegation_id AND s.delegation_id = ANY(%(ids)s)
        """,
        {"ids": ids},
    )
