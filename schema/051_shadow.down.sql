-- Takes back the shadow; nothing in it is of worth to anybody.
DROP TABLE projector_shadow.suspects;
DROP TABLE projector_shadow.work;
DROP TABLE projector_shadow.large_rows;
DROP TABLE projector_shadow.dead_letters;
DROP TABLE projector_shadow.parked;
DROP TABLE projector_shadow.positions;
DROP TABLE projector_shadow.delegations;

DO $$
DECLARE
    others text;
BEGIN
    DROP SCHEMA projector_shadow;
EXCEPTION WHEN dependent_objects_still_exist THEN
    -- Postgres's own hint would be CASCADE.
    GET STACKED DIAGNOSTICS others = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION 'the schema projector_shadow holds what the projector did not make, move it first: %', others;
END
$$;
