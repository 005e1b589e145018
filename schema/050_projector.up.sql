-- What the projector keeps for itself, beside the view and written in the same transactions as the view.
-- In a schema of its own, so that nobody takes these tables for the platform's.

-- An administrator may have made the schema for a role that may not create any. (CREATE SCHEMA IF NOT EXISTS
-- demands the right to create even where there is nothing to do.)
DO $$
BEGIN
    IF to_regnamespace('projector') IS NULL THEN
        CREATE SCHEMA projector;
    END IF;
END
$$;

-- How far each partition is projected, and who may move it: the row a stale writer is fenced by.
CREATE TABLE projector.positions (
    topic       TEXT NOT NULL,
    partition   INT NOT NULL,
    next_offset BIGINT NOT NULL,    -- the first record that is not projected yet
    owner       UUID,               -- random token of the member that claimed it; null = nobody
    topic_id    TEXT,               -- Kafka's id of the topic: a topic made anew under the old name is refused
    generation  INT,                -- of the consumer group, for diagnosis only: it restarts at 1 with a new group
    member      TEXT,               -- host, process and client id, for diagnosis only
    claimed_at  TIMESTAMPTZ,
    moved_at    TIMESTAMPTZ,        -- when next_offset last moved
    record_at   TIMESTAMPTZ,        -- the timestamp of the last record projected: lag in seconds
    PRIMARY KEY (topic, partition),
    CHECK (partition >= 0),
    CHECK (next_offset >= 0)        -- Kafka's -1 and -2 mean "end" and "beginning", never a position
) WITH (
    -- A few rows that every batch updates, a hundred times a second when busy. No index holds a column that moves, so
    -- an update stays on its page while the page has room, and the next one clears what it left, without a vacuum:
    -- with half of each page free, all of them (200 partitions moving at once, measured); on full pages, a third.
    fillfactor = 50,
    -- A fraction of a dozen rows is no measure; and truncating takes a lock that would hold up the gate.
    autovacuum_vacuum_scale_factor = 0,
    autovacuum_vacuum_threshold = 1000,
    vacuum_truncate = off
);

-- Events that came before the delegation they belong to, kept until its request comes, and then applied in order.
CREATE TABLE projector.parked (
    seq            BIGINT GENERATED ALWAYS AS IDENTITY, -- the order in which they were parked, across partitions
    topic          TEXT NOT NULL,
    partition      INT NOT NULL,
    "offset"       BIGINT NOT NULL,
    delegation_id  TEXT NOT NULL,
    kind           TEXT NOT NULL CHECK (kind IN ('status', 'heartbeat')),
    status         TEXT CHECK (status IN ('queued', 'dispatched', 'in_progress', 'completed', 'failed', 'stuck')),
    at             TIMESTAMPTZ NOT NULL,
    result_preview TEXT,
    error_detail   TEXT,
    parked_at      TIMESTAMPTZ NOT NULL DEFAULT now(),
    -- A record is parked once, however often it is read. Coordinates alone would not tell it from another one: two
    -- exports can have the same name, and a topic made anew starts at 0 again.
    PRIMARY KEY (topic, partition, "offset", delegation_id, kind, at),
    CHECK (partition >= 0 AND "offset" >= 0),
    -- Healing must never meet a status event that says no status.
    CONSTRAINT parked_status_with_kind CHECK ((kind = 'status') = (status IS NOT NULL))
) WITH (
    -- Rows come in bursts and all leave again: what they leave behind is cleared early, or healing reads through it.
    autovacuum_vacuum_scale_factor = 0.02
);

-- Healing: all that is parked for the delegations of a batch, in order.
CREATE INDEX parked_delegation ON projector.parked (delegation_id, seq);

-- Records that could not be read or written, whole, with the reason: nothing is dropped.
CREATE TABLE projector.dead_letters (
    topic     TEXT NOT NULL,
    partition INT NOT NULL,
    "offset"  BIGINT NOT NULL,
    record_at TIMESTAMPTZ,          -- null where the record carries no time, or one that Postgres cannot hold
    key       BYTEA,
    value     BYTEA NOT NULL,       -- the bytes as they came: a tombstone is never a dead letter
    reason    TEXT NOT NULL CHECK (reason <> ''),
    field     TEXT,
    died_at   TIMESTAMPTZ NOT NULL DEFAULT now(),
    value_hash BYTEA GENERATED ALWAYS AS (sha256(value)) STORED,
    -- A record dies once, however often it is read; another one at the same coordinates dies beside it.
    PRIMARY KEY (topic, partition, "offset", value_hash),
    CHECK (partition >= 0 AND "offset" >= 0)
);

-- The listing, newest first: a bad release of a producer makes a million of these, and one wants to see the last fifty.
CREATE INDEX dead_letters_died ON projector.dead_letters (died_at DESC, topic, partition, "offset");

-- Activity rows so large that the change feed may leave a body out of their updates (`__debezium_unavailable_value`):
-- which delegation each belongs to, since that can then not be read from the event.
CREATE TABLE projector.large_rows (
    row_id        UUID PRIMARY KEY,
    delegation_id TEXT NOT NULL
);
