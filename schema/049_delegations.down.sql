-- Takes the table back with its indexes, if 049 made it. A table that was there before and was only adopted
-- belongs to whoever made it: it stays, with its rows, and with whatever indexes 049 added to it.
DO $$
BEGIN
    IF obj_description(to_regclass('delegations'), 'pg_class') LIKE '%made by the delegations projector%' THEN
        DROP TABLE delegations;
    ELSE
        RAISE NOTICE 'the table delegations was adopted and stays';
    END IF;
END
$$;
