-- What a connection runs once before it writes batches: `write_batch.py` and decision 0007 explain why.

-- A plan that reads the whole view looks cheap while the view is small. The connection would keep it while it grows.
SET enable_seqscan = off;
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SET jit = off;

-- Compressing tasks and results takes a fifth of the server's time for a batch with pglz, and little with lz4. A server
-- can be built without it. A column that has a compression of its own keeps it.
SELECT set_config(name, 'lz4', false) FROM pg_settings
 WHERE name = 'default_toast_compression' AND 'lz4' = ANY (enumvals);

-- The parts of a batch are listed here and nowhere else: `write_batch.py` reads names and types from this signature.
-- A parameter `part_column` takes one value per row of the part. The columns have the order of the rows in Python:
-- Move, Delegation, State and version, and so on.
CREATE OR REPLACE FUNCTION pg_temp.write_batch(
    token uuid, unparked bigint,
    moved_topic text[], moved_partition bigint[], moved_start bigint[], moved_next_offset bigint[],
    moved_record_at timestamptz[],
    inserted_delegation_id text[], inserted_caller_id text[], inserted_callee_id text[],
    inserted_task_preview text[], inserted_status text[], inserted_last_heartbeat timestamptz[],
    inserted_deadline timestamptz[], inserted_result_preview text[], inserted_error_detail text[],
    inserted_retry_count bigint[], inserted_created_at timestamptz[],
    inserted_updated_at timestamptz[], inserted_idempotency_key text[],
    updated_delegation_id text[], updated_status text[], updated_last_heartbeat timestamptz[],
    updated_result_preview text[], updated_error_detail text[], updated_updated_at timestamptz[],
    updated_version text[],
    large_row_id text[], large_delegation_id text[],
    requested_delegation_id text[],
    parked_topic text[], parked_partition bigint[], parked_offset bigint[], parked_kind text[],
    parked_delegation_id text[], parked_status text[], parked_at timestamptz[], parked_silent_since timestamptz[],
    parked_result_preview text[], parked_error_detail text[],
    repeated_delegation_id text[], repeated_holder_id text[], repeated_topic text[], repeated_partition bigint[],
    repeated_offset bigint[], repeated_requested_at timestamptz[],
    dead_topic text[], dead_partition bigint[], dead_offset bigint[], dead_record_at timestamptz[],
    dead_key bytea[], dead_value bytea[], dead_reason text[], dead_field text[]
) RETURNS void LANGUAGE plpgsql AS $function$
#variable_conflict use_column
DECLARE
    touched bigint;
BEGIN
    UPDATE positions p
       SET next_offset = m.next_offset, moved_at = clock_timestamp(), record_at = coalesce(m.record_at, p.record_at)
      FROM unnest(moved_topic, moved_partition, moved_start, moved_next_offset, moved_record_at)
           AS m (topic, partition, start, next_offset, record_at)
     WHERE p.topic = m.topic AND p.partition = m.partition AND p.next_offset = m.start AND p.owner = token;
    GET DIAGNOSTICS touched = ROW_COUNT;
    IF touched <> cardinality(moved_topic) THEN
        RAISE 'another member owns one of % now',
              (SELECT string_agg(m.topic || '-' || m.partition, ', ')
                 FROM unnest(moved_topic, moved_partition) AS m (topic, partition))
              USING ERRCODE = 'PJ001';
    END IF;

    -- A part without rows touches no table: it waits for no lock and fires no trigger.
    IF cardinality(inserted_delegation_id) > 0 THEN
        PERFORM set_config('projector.knows_pruned', 'on', true); -- migration 057 explains it
        INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat,
                                 deadline, result_preview, error_detail, retry_count, created_at, updated_at,
                                 idempotency_key)
        SELECT r.delegation_id, r.caller_id::uuid, r.callee_id::uuid, r.task_preview, r.status, r.last_heartbeat,
               r.deadline, r.result_preview, r.error_detail, r.retry_count, r.created_at, r.updated_at,
               r.idempotency_key
          FROM unnest(inserted_delegation_id, inserted_caller_id, inserted_callee_id, inserted_task_preview,
                      inserted_status, inserted_last_heartbeat, inserted_deadline, inserted_result_preview,
                      inserted_error_detail, inserted_retry_count, inserted_created_at, inserted_updated_at,
                      inserted_idempotency_key)
               AS r (delegation_id, caller_id, callee_id, task_preview, status, last_heartbeat, deadline,
                     result_preview, error_detail, retry_count, created_at, updated_at, idempotency_key)
         ORDER BY r.delegation_id
        ON CONFLICT DO NOTHING;
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(inserted_delegation_id) THEN
            PERFORM pg_temp.refuse_unwritten('INSERT', EXISTS (
                SELECT FROM unnest(inserted_delegation_id, inserted_caller_id, inserted_idempotency_key)
                            AS r (delegation_id, caller_id, idempotency_key)
                  JOIN delegations d ON d.delegation_id = r.delegation_id
                       OR (d.caller_id = r.caller_id::uuid AND d.idempotency_key = r.idempotency_key)
                 WHERE d.xmin <> pg_current_xact_id()::xid));
        END IF;
        IF EXISTS (SELECT FROM projector.pruned WHERE delegation_id = ANY (inserted_delegation_id))
           OR EXISTS (SELECT FROM unnest(inserted_caller_id, inserted_idempotency_key) AS r (caller_id, idempotency_key)
                        JOIN projector.pruned p
                          ON p.caller_id = r.caller_id::uuid AND p.idempotency_key = r.idempotency_key) THEN
            RAISE 'a delegation was pruned since the batch was read' USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;

    IF cardinality(updated_delegation_id) > 0 THEN
        -- Times never go back. A time that Python does not have was read as the first or the last one that it has
        -- (`times.py`), and must not become that one: the row keeps it.
        UPDATE delegations d
           SET status = r.status, result_preview = r.result_preview, error_detail = r.error_detail,
               last_heartbeat = coalesce(greatest(d.last_heartbeat, nullif(r.last_heartbeat, '0001-01-01 00:00:00+00')),
                                         r.last_heartbeat),
               updated_at = greatest(d.updated_at, r.updated_at)
          FROM unnest(updated_delegation_id, updated_status, updated_last_heartbeat, updated_result_preview,
                      updated_error_detail, updated_updated_at, updated_version)
               AS r (delegation_id, status, last_heartbeat, result_preview, error_detail, updated_at, version)
         WHERE d.delegation_id = r.delegation_id AND d.xmin = r.version::xid
           AND (d.status = r.status OR d.status IN ('queued', 'dispatched', 'in_progress'));
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> cardinality(updated_delegation_id) THEN
            PERFORM pg_temp.refuse_unwritten('UPDATE', EXISTS (
                SELECT FROM unnest(updated_delegation_id, updated_version) AS r (delegation_id, version)
                  LEFT JOIN delegations d USING (delegation_id)
                 WHERE d.xmin IS NULL OR d.xmin NOT IN (r.version::xid, pg_current_xact_id()::xid)));
        END IF;
    END IF;

    IF cardinality(large_row_id) > 0 THEN
        INSERT INTO large_rows AS known (row_id, delegation_id)
        SELECT r.row_id::uuid, r.delegation_id
          FROM unnest(large_row_id, large_delegation_id) AS r (row_id, delegation_id) ORDER BY r.row_id
        ON CONFLICT (row_id) DO UPDATE SET delegation_id = excluded.delegation_id
          WHERE known.delegation_id <> excluded.delegation_id;
    END IF;

    IF cardinality(repeated_delegation_id) > 0 THEN
        INSERT INTO repeated_requests (delegation_id, holder_id, topic, partition, "offset", requested_at)
        SELECT r.delegation_id, r.holder_id, r.topic, r.partition, r."offset", r.requested_at
          FROM unnest(repeated_delegation_id, repeated_holder_id, repeated_topic, repeated_partition, repeated_offset,
                      repeated_requested_at)
               AS r (delegation_id, holder_id, topic, partition, "offset", requested_at)
         ORDER BY r.delegation_id
        ON CONFLICT DO NOTHING;
    END IF;

    IF cardinality(dead_topic) > 0 THEN
        INSERT INTO dead_letters (topic, partition, "offset", record_at, key, value, reason, field)
        SELECT d.topic, d.partition, d."offset", d.record_at, d.key, d.value, d.reason, d.field
          FROM unnest(dead_topic, dead_partition, dead_offset, dead_record_at, dead_key, dead_value, dead_reason,
                      dead_field) AS d (topic, partition, "offset", record_at, key, value, reason, field)
        ON CONFLICT DO NOTHING;
    END IF;

    -- The rows above are written, and not committed. A batch that parks events now blocks requests until it ends. A batch
    -- with requests blocks parking, but not other requests. So of a request and an early event, on two partitions at the
    -- same time, the second one sees what the first one wrote (decision 0004). No batch waits for a row of the view after
    -- this lock, and it takes the lock once: two batches that wanted it shared first and exclusive then would deadlock.
    IF cardinality(parked_topic) > 0 THEN
        PERFORM pg_advisory_xact_lock(hashtext('delegations projector: parking'));
    ELSIF cardinality(requested_delegation_id) > 0 THEN
        PERFORM pg_advisory_xact_lock_shared(hashtext('delegations projector: parking'));
    END IF;

    IF cardinality(requested_delegation_id) > 0 THEN
        PERFORM set_config('projector.reads_verdicts', 'on', true); -- migration 052 explains it
        DELETE FROM parked WHERE delegation_id = ANY (requested_delegation_id);
        GET DIAGNOSTICS touched = ROW_COUNT;
        IF touched <> unparked THEN
            RAISE 'an event was parked while its delegation was being inserted'
                  USING ERRCODE = 'serialization_failure';
        END IF;
    END IF;

    IF cardinality(parked_topic) > 0 THEN
        IF EXISTS (SELECT FROM delegations WHERE delegation_id = ANY (parked_delegation_id)
                   UNION ALL SELECT FROM projector.pruned WHERE delegation_id = ANY (parked_delegation_id)) THEN
            RAISE 'a delegation was requested, or pruned, while its early event was being parked'
                  USING ERRCODE = 'serialization_failure';
        END IF;
        INSERT INTO parked (topic, partition, "offset", delegation_id, kind, status, at, silent_since, result_preview,
                            error_detail)
        SELECT p.topic, p.partition, p."offset", p.delegation_id, p.kind, p.status, p.at, p.silent_since,
               p.result_preview, p.error_detail
          FROM unnest(parked_topic, parked_partition, parked_offset, parked_kind, parked_delegation_id, parked_status,
                      parked_at, parked_silent_since, parked_result_preview, parked_error_detail) WITH ORDINALITY
               AS p (topic, partition, "offset", kind, delegation_id, status, at, silent_since, result_preview,
                     error_detail, n)
         ORDER BY p.n
        ON CONFLICT DO NOTHING;
    END IF;
END
$function$
