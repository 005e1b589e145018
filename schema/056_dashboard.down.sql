-- Back to a release without a dashboard.
DROP TABLE projector.passes;
-- An adopted table keeps its indexes, as in 049: they may be the platform's.
DO $$
BEGIN
    IF obj_description(to_regclass('delegations'), 'pg_class') LIKE '%made by the delegations projector%' THEN
        DROP INDEX idx_delegations_failed;
        DROP INDEX idx_delegations_created;
    END IF;
END
$$;
