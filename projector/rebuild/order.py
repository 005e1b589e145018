"""What the order between partitions may have decided (events/README.md, section 4).

Kafka orders the records of one partition only. Where the records of a group (a delegation, and all that asked with its
idempotency key) lie in several partitions, the view may have been projected in another order than the source is read.

The facts about the groups in question are collected in the shadow, by a second read of the source. Every function takes
a connection to the shadow.
"""

from collections.abc import Iterator, Sequence

from projector.contract.facts import TERMINAL, Heartbeat, Report, Verdict
from projector.domain.fold import TranslatedBatch, TranslatedRecord, resolve_unavailable
from projector.postgres import delegations
from projector.postgres.connection import Connection
from projector.rebuild.drift import Difference, Undecided, keyed_rows

_Fact = tuple[str, str, int, str, str, str, str]
"""Delegation id, topic, partition, kind, terminal status, caller and idempotency key; '' for none."""


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
    """Store what these records say about the groups.

    A delegation that asks with the key of a group becomes known: it belongs to the group, with all its records.
    """
    facts = [fact for each in _resolved(conn, batch) for fact in _facts(each)]
    if not facts:
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
        dict(zip(names, map(list, zip(*facts, strict=True)), strict=True)),
    )


def _resolved(conn: Connection, batch: TranslatedBatch) -> list[TranslatedRecord]:
    wanted = [each.translation.unavailable_row_id for each in batch.records if each.translation.unavailable_row_id]
    return resolve_unavailable(batch, delegations.read_large_rows(conn, wanted) if wanted else {}).records


def _facts(each: TranslatedRecord) -> Iterator[_Fact]:
    record, translation = each
    place = (translation.delegation_id, record.topic, record.partition)
    request = translation.request
    if request is not None:
        key = (request.caller_id, request.idempotency_key) if request.idempotency_key else ("", "")
        yield (*place, "request", "", *key)
    yield (*place, *_reported(translation.report), "", "")


def _reported(report: Report) -> tuple[str, str]:
    """The kind of an event, and its terminal status. A verdict without evidence is a plain status."""
    if isinstance(report, Heartbeat):
        return "event", ""
    kind = "verdict" if isinstance(report, Verdict) and report.silent_since is not None else "event"
    return kind, report.status if report.status in TERMINAL else ""


def undecided(conn: Connection, ids: Sequence[str]) -> dict[str, Undecided]:
    """What order may have decided, for those of these delegations whose groups lie in several partitions."""
    rows = conn.execute(
        """
        WITH requests AS (  -- of each delegation, and of the others with its keys
            SELECT DISTINCT g.delegation_id AS candidate, f.delegation_id, f.caller_id, f.idempotency_key
              FROM projector_shadow.order_groups g
              JOIN projector_shadow.order_facts f USING (caller_id, idempotency_key)
             WHERE g.delegation_id = ANY(%(ids)s) AND g.idempotency_key <> '' AND f.kind = 'request'
        ), members AS (
            SELECT candidate, delegation_id FROM requests UNION SELECT id, id FROM unnest(%(ids)s::text[]) AS id
        )
        SELECT m.candidate,
               count(DISTINCT f.status) FILTER (WHERE f.status <> '') > 1
               OR (bool_or(f.kind = 'verdict') AND bool_or(f.kind <> 'verdict')),
               EXISTS (SELECT FROM requests own JOIN requests other USING (candidate, caller_id, idempotency_key)
                        WHERE own.candidate = m.candidate AND own.delegation_id = m.candidate
                          AND other.delegation_id <> m.candidate)
          FROM members m JOIN projector_shadow.order_facts f USING (delegation_id)
         GROUP BY m.candidate HAVING count(DISTINCT (f.topic, f.partition)) > 1
        """,
        {"ids": ids},
    )
    return {row[0]: Undecided(*row[1:]) for row in rows}


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
