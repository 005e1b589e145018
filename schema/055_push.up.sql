-- For the push of results (docs/pushing.md): since when results are pushed, the ends that records reported, and one reply
-- per delegation. Nothing is written into these tables while the push is off.

CREATE TABLE projector.push (
    topic          TEXT PRIMARY KEY,
    switched_on_at TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    pruned_before  TIMESTAMPTZ           -- replies that were sent before then may be deleted
);

-- The positions at that moment. Records before them are history. A partition without a row is newer: it counts from 0.
CREATE TABLE projector.push_from (
    topic       TEXT NOT NULL REFERENCES projector.push ON DELETE CASCADE,
    partition   INT NOT NULL CHECK (partition >= 0),
    next_offset BIGINT NOT NULL CHECK (next_offset >= 0),
    PRIMARY KEY (topic, partition)
);

-- Every terminal report and verdict that was read since, whatever its outcome was. The coordinates alone would not tell
-- it from another one: a topic that was created again starts at 0.
CREATE TABLE projector.ends (
    delegation_id TEXT NOT NULL,
    topic         TEXT NOT NULL,
    partition     INT NOT NULL CHECK (partition >= 0),
    "offset"      BIGINT NOT NULL CHECK ("offset" >= 0),
    kind          TEXT NOT NULL CHECK (kind IN ('report', 'verdict')), -- a report of `stuck` is a verdict
    status        TEXT NOT NULL CHECK (status IN ('completed', 'failed', 'stuck')),
    row_id        UUID,              -- the activity row, which has the whole text
    has_text      BOOLEAN NOT NULL,
    at            TIMESTAMPTZ NOT NULL,
    PRIMARY KEY (delegation_id, topic, partition, "offset"),
    CHECK (kind = 'verdict' OR status <> 'stuck')
);

-- One reply per delegation, ever: the row also proves that it was told, so it outlives the reply. The id of the reply is
-- computed from that of the delegation (uuid5), so it is not stored.
CREATE TABLE projector.outbox (
    delegation_id   TEXT PRIMARY KEY,
    queued_at       TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    due_at          TIMESTAMPTZ NOT NULL,
    next_attempt_at TIMESTAMPTZ NOT NULL,
    attempts        INT NOT NULL DEFAULT 0 CHECK (attempts >= 0),
    ended_as        TEXT CHECK (ended_as IN ('sent', 'told_by_platform', 'given_up', 'expired', 'discarded')),
    sent_at         TIMESTAMPTZ,          -- by us or by the platform
    sent_to         TEXT CHECK (sent_to IN ('inbox', 'topic')), -- by us
    given_up_at     TIMESTAMPTZ,          -- given up, expired or discarded
    last_error      TEXT,
    CHECK ((sent_at IS NOT NULL) = (coalesce(ended_as, '') IN ('sent', 'told_by_platform'))),
    CHECK ((given_up_at IS NOT NULL) = (coalesce(ended_as, '') IN ('given_up', 'expired', 'discarded')))
);
CREATE INDEX outbox_next_attempt ON projector.outbox (next_attempt_at) WHERE ended_as IS NULL;
CREATE INDEX outbox_given_up ON projector.outbox (given_up_at) WHERE given_up_at IS NOT NULL;

-- A member of an earlier release would move a position past an end without queueing its reply. It is fenced instead,
-- and waits until a member of this release takes the partition. A member of this release says so once per session. The
-- function has the rights of its owner: the role of the earlier member may have none on the tables of this migration.
CREATE FUNCTION projector.require_push() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = '' AS $$
BEGIN
    IF EXISTS (SELECT FROM projector.push p WHERE p.topic = NEW.topic) THEN
        RAISE 'results of topic % are pushed, and this release of the projector cannot do that: upgrade this process',
              NEW.topic USING ERRCODE = 'PJ001';
    END IF;
    RETURN NEW;
END
$$;
CREATE TRIGGER require_push BEFORE UPDATE OF next_offset ON projector.positions FOR EACH ROW
    WHEN (current_setting('projector.knows_push', true) IS DISTINCT FROM 'on' AND NEW.owner IS NOT NULL)
    EXECUTE FUNCTION projector.require_push();
