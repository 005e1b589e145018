-- One row a delegation: a task that one workspace (the caller) handed to another (the callee), and how far it got.
-- The row is a view of the activity log, so it can be dropped and projected again; the log is the truth.
--
-- The platform may have this table already. Then it is adopted: compared below, given the indexes it lacks, and
-- otherwise left as it is. What does not fit is named, and nothing is changed. (An index on a large table that is
-- written to holds up its writers: make it CONCURRENTLY before, by the name below.)

-- Postgres does not say whether IF NOT EXISTS found something, so it is noted first, for this transaction.
SELECT set_config('projector.adopts',
                  (to_regclass(format('%I.delegations', current_schema())) IS NOT NULL)::text, true);

CREATE TABLE IF NOT EXISTS delegations (
    delegation_id   TEXT PRIMARY KEY,               -- chosen by the caller, so any text
    caller_id       UUID NOT NULL,                  -- no foreign keys, on purpose: deleting a workspace
    callee_id       UUID NOT NULL,                  -- must not delete the history of what it delegated
    task_preview    TEXT NOT NULL,
    status          TEXT NOT NULL DEFAULT 'queued'
        -- A seventh state would be in flight for nobody and terminal for nobody: the sweeper would never see it.
        CONSTRAINT delegations_status_check
        CHECK (status IN ('queued', 'dispatched', 'in_progress', 'completed', 'failed', 'stuck')),
    last_heartbeat  TIMESTAMPTZ,                    -- null until the first
    deadline        TIMESTAMPTZ NOT NULL DEFAULT now() + interval '6 hours', -- the longest legitimate one ever seen
    result_preview  TEXT,
    error_detail    TEXT,
    retry_count     INT NOT NULL DEFAULT 0,
    created_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    updated_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    idempotency_key TEXT
) WITH (
    -- A row lives through three to ten versions within the hour and then never changes again. None of its updates can
    -- be "heap only": status and last_heartbeat are both in the first index below. Room on the page still pays, since
    -- old versions are cleared there without a vacuum: 100,000 delegations of five updates each wrote 440 MB of
    -- WAL instead of 600, and the table took 178 MB instead of 250 (PostgreSQL 16; 50 instead of 70 gained no more).
    fillfactor = 70,
    -- The default, a fifth of all history, would leave the in-flight index full of the dead for weeks.
    autovacuum_vacuum_scale_factor = 0.02
);

DO $$
DECLARE
    differences text;
BEGIN
    IF NOT current_setting('projector.adopts')::boolean THEN
        -- 049_delegations.down.sql drops the table only where it finds this sentence.
        COMMENT ON TABLE delegations IS 'One row a delegation; made by the delegations projector.';
        RETURN;
    END IF;

    WITH expected (part, shape) AS (VALUES -- lists of states in alphabetical order, however they were written
        ('relation', 'an ordinary table'),
        ('column delegation_id', 'text NOT NULL'),
        ('column caller_id', 'uuid NOT NULL'),
        ('column callee_id', 'uuid NOT NULL'),
        ('column task_preview', 'text NOT NULL'),
        ('column status', 'text NOT NULL'),
        ('column last_heartbeat', 'timestamp with time zone'),
        ('column deadline', 'timestamp with time zone NOT NULL'),
        ('column result_preview', 'text'),
        ('column error_detail', 'text'),
        ('column retry_count', 'integer NOT NULL'),
        ('column created_at', 'timestamp with time zone NOT NULL'),
        ('column updated_at', 'timestamp with time zone NOT NULL'),
        ('column idempotency_key', 'text'),
        ('default of status', 'there'),
        ('default of deadline', 'there'),
        ('default of retry_count', 'there'),
        ('default of created_at', 'there'),
        ('default of updated_at', 'there'),
        ('primary key', 'PRIMARY KEY (delegation_id)'),
        ('CHECK of status',
         'CHECK ((status = ANY (ARRAY[completed, dispatched, failed, in_progress, queued, stuck])))'),
        ('index idx_delegations_inflight_heartbeat',
         'btree (last_heartbeat NULLS FIRST) WHERE (status = ANY (ARRAY[dispatched, in_progress, queued]))'),
        ('index idx_delegations_caller_created', 'btree (caller_id, created_at DESC)'),
        ('index idx_delegations_callee_created', 'btree (callee_id, created_at DESC)'),
        ('index idx_delegations_idempotency',
         'UNIQUE btree (caller_id, idempotency_key) WHERE (idempotency_key IS NOT NULL)')
    ), adopted AS (
        SELECT * FROM pg_class WHERE oid = to_regclass(format('%I.delegations', current_schema()))
    ), columns AS (
        SELECT pg_attribute.* FROM pg_attribute JOIN adopted ON attrelid = adopted.oid
        WHERE attnum > 0 AND NOT attisdropped
    ), constraints AS (
        SELECT pg_constraint.*, pg_get_constraintdef(pg_constraint.oid) AS definition
        FROM pg_constraint JOIN adopted ON conrelid = adopted.oid
    ), indexes AS ( -- by the names in the schema, where another table may hold one of ours
        SELECT named.relname, pg_index.*, coalesce(indrelid = adopted.oid, false) AS is_here,
               regexp_replace(regexp_replace(pg_get_indexdef(named.oid),
                   '^CREATE (UNIQUE )?INDEX .* USING ', '\1'), ' WITH \([^)]*\)', '') AS definition
        FROM adopted JOIN pg_class AS named USING (relnamespace) LEFT JOIN pg_index ON indexrelid = named.oid
    ), described (part, shape) AS (
        SELECT 'relation', CASE WHEN relkind <> 'r' THEN 'a view or some other kind of relation'
                                WHEN relpersistence <> 'p' THEN 'an unlogged table, which a crash empties'
                                ELSE 'an ordinary table' END
        FROM adopted
        UNION ALL
        SELECT 'column ' || attname,
               concat_ws(' ', format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'NOT NULL' END,
                         CASE WHEN attgenerated <> '' OR attidentity = 'a' THEN 'GENERATED ALWAYS' END)
        FROM columns
        UNION ALL
        SELECT 'default of ' || attname, 'there' FROM columns WHERE atthasdef
        UNION ALL
        SELECT 'primary key', definition FROM constraints WHERE contype = 'p'
        UNION ALL
        SELECT 'CHECK of status', string_agg(definition, ' and ' ORDER BY conname)
        FROM constraints JOIN columns ON attnum = ANY (conkey)
        WHERE contype = 'c' AND attname = 'status' HAVING count(*) > 0
        UNION ALL
        SELECT 'index ' || relname, CASE WHEN NOT is_here THEN 'the name of something else'
                                         WHEN NOT indisvalid THEN definition || ' INVALID'
                                         ELSE definition END
        FROM indexes
    ), standing (part, shape) AS (
        SELECT part, regexp_replace(shape, '''.*''::text', coalesce(
            (SELECT string_agg(literal[1], ', ' ORDER BY literal[1] COLLATE "C")
             FROM regexp_matches(shape, '''(\w+)''::text', 'g') AS literal), ''))
        FROM described
    ), difference (sentence) AS (
        SELECT format('%s is %s, expected %s', part, coalesce(standing.shape, 'missing'), expected.shape)
        FROM expected LEFT JOIN standing USING (part)
        WHERE standing.shape IS DISTINCT FROM expected.shape
          AND NOT (part LIKE 'index %' AND standing.shape IS NULL) -- made below
        UNION ALL
        SELECT format('column %s is NOT NULL without a default, and nothing here would fill it', attname)
        FROM columns
        WHERE attnotnull AND NOT atthasdef AND attidentity = ''
          AND 'column ' || attname NOT IN (SELECT part FROM expected)
        UNION ALL -- deleting a workspace would fail, or take the history with it
        SELECT format('constraint %s is %s, expected no foreign key', conname, definition)
        FROM constraints WHERE contype = 'f'
        UNION ALL -- ON CONFLICT DO NOTHING would drop delegations in silence
        SELECT format('index %s is %s, expected no other unique one', relname, definition)
        FROM indexes
        WHERE is_here AND (indisunique OR indisexclusion) AND NOT indisprimary
          AND definition NOT IN (SELECT shape FROM expected)
          AND 'index ' || relname NOT IN (SELECT part FROM expected)
    )
    SELECT string_agg(sentence, '; ' ORDER BY sentence COLLATE "C") INTO differences FROM difference;

    IF differences IS NOT NULL THEN
        RAISE EXCEPTION 'the existing table delegations does not fit: %', differences;
    END IF;
    RAISE NOTICE 'the existing table delegations fits and is adopted';
END
$$;

-- The sweeper: in flight, and silent since X or never heard of (hence NULLS FIRST: one stretch holds both).
-- Only rows in flight are in it, so it stays small while history grows.
CREATE INDEX IF NOT EXISTS idx_delegations_inflight_heartbeat ON delegations (last_heartbeat NULLS FIRST)
    WHERE status IN ('queued', 'dispatched', 'in_progress');

-- "What did this workspace hand out lately?"
CREATE INDEX IF NOT EXISTS idx_delegations_caller_created ON delegations (caller_id, created_at DESC);

-- "What was this workspace asked to do lately?"
CREATE INDEX IF NOT EXISTS idx_delegations_callee_created ON delegations (callee_id, created_at DESC);

-- A caller that repeats a request with its key gets the delegation it already has: two inserts at once, one row.
CREATE UNIQUE INDEX IF NOT EXISTS idx_delegations_idempotency ON delegations (caller_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
