-- Takes back the projector's own tables, and the schema if nothing else is in it.
-- No CASCADE anywhere: what somebody else built on them, or put beside them, is theirs to move.
DROP TABLE projector.large_rows;
DROP TABLE projector.dead_letters;
DROP TABLE projector.parked;
DROP TABLE projector.positions;

DO $$
DECLARE
    others text;
BEGIN
    DROP SCHEMA projector;
EXCEPTION WHEN dependent_objects_still_exist THEN
    -- Postgres's own hint would be CASCADE.
    GET STACKED DIAGNOSTICS others = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'the schema projector holds what the projector did not make, move it first: %', others;
END
$$;
