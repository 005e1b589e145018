-- The shadow: where `projector verify` and `projector rebuild` fold the log anew, to be compared with the view.
-- The tables have the names of those that they stand for, in a schema of its own that a session puts first on its
-- search path: what is compared was made by the very statements that make the view.
--
-- Unlogged, all of them: a crash of the server empties them together, and the fold starts again.
-- An administrator may have made the schema for a role that may not create any.
DO $$
BEGIN
    IF to_regnamespace('projector_shadow') IS NULL THEN
        CREATE SCHEMA projector_shadow;
    END IF;
END
$$;

-- No index but those that the statements need: nobody looks in here.
CREATE UNLOGGED TABLE projector_shadow.delegations (
    LIKE delegations INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING IDENTITY,
    projector_carried_over BOOLEAN NOT NULL DEFAULT false, -- older than the log: taken from the view as it was, never compared
    PRIMARY KEY (delegation_id)
) WITH (fillfactor = 70);

CREATE UNIQUE INDEX shadow_idempotency ON projector_shadow.delegations (caller_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE UNLOGGED TABLE projector_shadow.positions (LIKE projector.positions INCLUDING ALL) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE projector_shadow.parked (LIKE projector.parked INCLUDING ALL);
CREATE UNLOGGED TABLE projector_shadow.dead_letters (LIKE projector.dead_letters INCLUDING ALL);
CREATE UNLOGGED TABLE projector_shadow.large_rows (LIKE projector.large_rows INCLUDING ALL);

-- What is being folded and by whom: at most one row, and none while there is no shadow.
CREATE UNLOGGED TABLE projector_shadow.work (
    one          BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    source       TEXT NOT NULL,     -- what the shadow is folded from; another source starts another shadow
    owner        TEXT NOT NULL,     -- host and process, for whoever comes second
    since        TIMESTAMPTZ NOT NULL DEFAULT now(),
    coverage     JSONB NOT NULL,    -- what of the view the source can speak of, as it was when the fold began
    carried_over BIGINT NOT NULL    -- rows of the view that are older than that, and were taken as they are
);

-- Rows of the view that are not as the shadow has them, or may not be: found without a lock, looked at under it.
CREATE UNLOGGED TABLE projector_shadow.suspects (
    delegation_id TEXT PRIMARY KEY
);
