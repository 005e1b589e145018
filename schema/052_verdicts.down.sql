-- Parked verdicts are lost: the release before cannot read them. A rebuild
-- folds their records again.
DO $$
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('delegations projector: shadow')) THEN
        RAISE EXCEPTION 'a verify or rebuild is running: wait until it ends, or stop it';
    END IF;
END
$$;

DROP TABLE projector_shadow.repeated_requests;
DROP TABLE projector.repeated_requests;

DROP TRIGGER keep_verdict ON projector.parked;
DROP FUNCTION projector.keep_verdict();
DROP INDEX projector.parked_event;
DELETE FROM projector.parked WHERE kind = 'verdict';
ALTER TABLE projector.parked
    DROP CONSTRAINT parked_status_with_kind,
    ADD CONSTRAINT parked_status_with_kind CHECK ((kind = 'status') = (status IS NOT NULL)),
    DROP CONSTRAINT parked_kind_check,
    ADD CONSTRAINT parked_kind_check CHECK (kind IN ('status', 'heartbeat')),
    DROP CONSTRAINT parked_pkey,
    ADD PRIMARY KEY (topic, partition, "offset", delegation_id, kind, at),
    DROP COLUMN silent_since;

TRUNCATE projector_shadow.work;
DROP TABLE projector_shadow.parked;
CREATE UNLOGGED TABLE projector_shadow.parked (LIKE projector.parked INCLUDING ALL);
