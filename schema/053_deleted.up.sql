-- What a rebuild deletes is kept here first, in the transaction of the delete. `projector deleted restore` puts it back.
CREATE TABLE projector.deleted (
    id            BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    run_id        UUID NOT NULL,        -- of the rebuild that deleted it
    deleted_at    TIMESTAMPTZ NOT NULL DEFAULT now(),
    source        TEXT NOT NULL,        -- which did not have it: topic activity-log
    kind          TEXT NOT NULL CHECK (kind IN ('row', 'parked event')),
    delegation_id TEXT NOT NULL,
    content       JSONB NOT NULL        -- every column, also those that the platform added to the table
);
CREATE INDEX deleted_delegation ON projector.deleted (delegation_id);
CREATE INDEX deleted_run ON projector.deleted (run_id);

-- Inserts a row of `delegations` from its content; false if a row with its id or its idempotency key exists. Columns
-- that were added since get their defaults.
CREATE FUNCTION projector.insert_delegation(content jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    names text;
    inserted boolean;
BEGIN
    SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) INTO names FROM pg_attribute
     WHERE attrelid = to_regclass('delegations') AND attnum > 0 AND NOT attisdropped AND attgenerated = ''
       AND content ? attname::text;
    EXECUTE format('INSERT INTO delegations (%1$s) OVERRIDING SYSTEM VALUE SELECT %1$s '
                   'FROM jsonb_populate_record(NULL::delegations, $1) ON CONFLICT DO NOTHING', names) USING content;
    GET DIAGNOSTICS inserted = ROW_COUNT;
    RETURN inserted;
END
$$;

-- The deletions that the plan of a rebuild has shown. A rebuild asks again before it deletes anything else.
CREATE UNLOGGED TABLE projector_shadow.planned_deletions (
    delegation_id TEXT PRIMARY KEY
);

-- What the order between partitions may have decided: the delegations in question, each with the idempotency keys of its
-- rows ('' for none), and the facts of their records and of other delegations that requested these keys.
CREATE UNLOGGED TABLE projector_shadow.order_groups (
    delegation_id   TEXT NOT NULL,
    caller_id       TEXT NOT NULL DEFAULT '',
    idempotency_key TEXT NOT NULL DEFAULT '',
    is_read         BOOLEAN NOT NULL DEFAULT false, -- whether its facts are collected from the start of the source
    PRIMARY KEY (delegation_id, caller_id, idempotency_key)
);
CREATE INDEX order_groups_key ON projector_shadow.order_groups (caller_id, idempotency_key);
CREATE UNLOGGED TABLE projector_shadow.order_facts (
    delegation_id   TEXT NOT NULL,
    topic           TEXT NOT NULL,
    partition       INT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('request', 'event', 'verdict')),
    status          TEXT NOT NULL, -- a terminal one, else ''
    caller_id       TEXT NOT NULL, -- of a request with an idempotency key, else ''
    idempotency_key TEXT NOT NULL,
    PRIMARY KEY (delegation_id, topic, partition, kind, status, caller_id, idempotency_key)
);
CREATE INDEX order_facts_key ON projector_shadow.order_facts (caller_id, idempotency_key);
