-- For two rules of the contract: verdicts of a sweeper wait with the evidence that they rest on, and requests that
-- repeat an idempotency key are remembered.

DO $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('delegations projector: shadow')) THEN
        RAISE EXCEPTION 'a verify or rebuild is running: wait until it ends, or stop it';
    END IF;
END
$$;

-- `seq` becomes the primary key: a list in the order of parking then reads only the rows that it shows. `silent_since`
-- belongs to the key of an event and may be null, which a primary key does not allow.
ALTER TABLE projector.parked
    ADD COLUMN silent_since TIMESTAMPTZ, -- verdicts only: the last sign of life that the sweeper knew
    DROP CONSTRAINT parked_pkey,
    ADD PRIMARY KEY (seq),
    DROP CONSTRAINT parked_kind_check,
    ADD CONSTRAINT parked_kind_check CHECK (kind IN ('status', 'heartbeat', 'verdict')),
    DROP CONSTRAINT parked_status_with_kind,
    ADD CONSTRAINT parked_status_with_kind CHECK (
        (kind = 'heartbeat') = (status IS NULL)
        AND (kind <> 'verdict' OR status IN ('stuck', 'failed'))
        AND (kind = 'verdict' OR silent_since IS NULL)
        AND (kind <> 'verdict' OR status <> 'stuck' OR silent_since IS NOT NULL));

-- An event is parked once, however often its record is read. No event has the time -infinity.
CREATE UNIQUE INDEX parked_event ON projector.parked
    (topic, partition, "offset", delegation_id, kind, at, coalesce(silent_since, '-infinity'));

-- A member of an earlier release reads a parked verdict as a plain status, and would apply it without its evidence. It
-- cannot delete what it applied: its batch fails and is tried again, until a member of this release has the partition.
CREATE FUNCTION projector.keep_verdict() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('projector.reads_verdicts', true) IS DISTINCT FROM 'on' THEN
        RAISE 'a verdict is parked for delegation %, and this release of the projector cannot read it: '
              'upgrade this process (to delete the verdict by hand, use `projector parked discard`)', OLD.delegation_id
              USING ERRCODE = 'serialization_failure';
    END IF;
    RETURN OLD;
END
$$;
CREATE TRIGGER keep_verdict BEFORE DELETE ON projector.parked
    FOR EACH ROW WHEN (OLD.kind = 'verdict') EXECUTE FUNCTION projector.keep_verdict();

-- Requests that made no row, because another delegation of their caller holds their idempotency key. They decide
-- nothing. They show people why a delegation has no row, and that its parked events are never applied.
CREATE TABLE projector.repeated_requests (
    delegation_id TEXT PRIMARY KEY, -- the first request of a delegation stands
    holder_id     TEXT NOT NULL,    -- the delegation that holds the key
    topic         TEXT NOT NULL,
    partition     INT NOT NULL,
    "offset"      BIGINT NOT NULL,
    requested_at  TIMESTAMPTZ NOT NULL, -- its `created_at`, as a row would have it
    CHECK (partition >= 0 AND "offset" >= 0)
);
CREATE INDEX repeated_requests_holder ON projector.repeated_requests (holder_id);

-- The shadow copies both tables. A fold that was interrupted starts again.
TRUNCATE projector_shadow.work;
DROP TABLE projector_shadow.parked;
CREATE UNLOGGED TABLE projector_shadow.parked (LIKE projector.parked INCLUDING ALL);
CREATE UNLOGGED TABLE projector_shadow.repeated_requests (LIKE projector.repeated_requests INCLUDING ALL);
