-- Creates the tables of the shadow again, from the tables that they copy as they are now. No migration: the command
-- `projector migrate recreate-shadow` runs it, for a shadow that was changed by hand or lacks a column of `delegations`.
DROP TABLE IF EXISTS
    projector_shadow.suspects, projector_shadow.work, projector_shadow.repeated_requests, projector_shadow.large_rows,
    projector_shadow.dead_letters, projector_shadow.parked, projector_shadow.positions, projector_shadow.delegations,
    projector_shadow.planned_deletions, projector_shadow.order_groups, projector_shadow.order_facts;

CREATE UNLOGGED TABLE projector_shadow.delegations (
    LIKE delegations INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING GENERATED INCLUDING IDENTITY,
    projector_carried_over BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (delegation_id)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX shadow_idempotency ON projector_shadow.delegations (caller_id, idempotency_key)
    WHERE idempotency_key IS NOT NULL;

CREATE UNLOGGED TABLE projector_shadow.positions (LIKE projector.positions INCLUDING ALL) WITH (fillfactor = 50);
CREATE UNLOGGED TABLE projector_shadow.parked (LIKE projector.parked INCLUDING ALL);
CREATE UNLOGGED TABLE projector_shadow.dead_letters (LIKE projector.dead_letters INCLUDING ALL);
CREATE UNLOGGED TABLE projector_shadow.large_rows (LIKE projector.large_rows INCLUDING ALL);
CREATE UNLOGGED TABLE projector_shadow.repeated_requests (LIKE projector.repeated_requests INCLUDING ALL);

CREATE UNLOGGED TABLE projector_shadow.work (
    one          BOOLEAN PRIMARY KEY DEFAULT true CHECK (one),
    source       TEXT NOT NULL,
    owner        TEXT NOT NULL,
    since        TIMESTAMPTZ NOT NULL DEFAULT now(),
    coverage     JSONB NOT NULL,
    carried_over BIGINT NOT NULL
);
CREATE UNLOGGED TABLE projector_shadow.suspects (delegation_id TEXT PRIMARY KEY);

CREATE UNLOGGED TABLE projector_shadow.planned_deletions (
    delegation_id TEXT PRIMARY KEY
);

CREATE UNLOGGED TABLE projector_shadow.order_groups (
    delegation_id   TEXT NOT NULL,
    caller_id       TEXT NOT NULL DEFAULT '',
    idempotency_key TEXT NOT NULL DEFAULT '',
    is_read         BOOLEAN NOT NULL DEFAULT false,
    PRIMARY KEY (delegation_id, caller_id, idempotency_key)
);
CREATE INDEX order_groups_key ON projector_shadow.order_groups (caller_id, idempotency_key);
CREATE UNLOGGED TABLE projector_shadow.order_facts (
    delegation_id   TEXT NOT NULL,
    topic           TEXT NOT NULL,
    partition       INT NOT NULL,
    kind            TEXT NOT NULL CHECK (kind IN ('request', 'event', 'verdict')),
    status          TEXT NOT NULL,
    caller_id       TEXT NOT NULL,
    idempotency_key TEXT NOT NULL,
    PRIMARY KEY (delegation_id, topic, partition, kind, status, caller_id, idempotency_key)
);
CREATE INDEX order_facts_key ON projector_shadow.order_facts (caller_id, idempotency_key);
