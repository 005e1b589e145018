-- Three roles: projector_migrate owns the tables, projector_run is for `run`, `sweep`, `push` and the commands of operators,
-- projector_dashboard only reads. An administrator runs this file once, in the database of the view, before the first
-- `projector migrate up`, and grants.sql after it. Both files may be run again. They set no passwords: use \password, or let
-- pg_hba.conf decide. The view is in the schema public here: replace the name if yours is in another one.

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['projector_migrate', 'projector_run', 'projector_dashboard'] LOOP
        IF to_regrole(name) IS NULL THEN
            EXECUTE format('CREATE ROLE %I LOGIN', name);
        END IF;
    END LOOP;
    -- An administrator who is no superuser creates schemas of another role only as its member.
    IF NOT pg_has_role('projector_migrate', 'USAGE') THEN
        GRANT projector_migrate TO CURRENT_USER;
    END IF;
    -- Each session creates functions in pg_temp.
    EXECUTE format('GRANT CONNECT, TEMPORARY ON DATABASE %I TO projector_migrate, projector_run, projector_dashboard',
                   current_database());
END
$$;

-- The table `delegations` and the version of the schema. A table `delegations` that is there already needs a new owner:
-- ALTER TABLE delegations OWNER TO projector_migrate;
GRANT USAGE, CREATE ON SCHEMA public TO projector_migrate;
GRANT USAGE ON SCHEMA public TO projector_run, projector_dashboard;

-- The projector's own tables, those of later migrations too.
CREATE SCHEMA IF NOT EXISTS projector AUTHORIZATION projector_migrate;
GRANT USAGE ON SCHEMA projector TO projector_run, projector_dashboard;
ALTER DEFAULT PRIVILEGES FOR ROLE projector_migrate IN SCHEMA projector
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO projector_run;
ALTER DEFAULT PRIVILEGES FOR ROLE projector_migrate IN SCHEMA projector GRANT SELECT ON TABLES TO projector_dashboard;

-- The tables of `verify` and `rebuild`.
CREATE SCHEMA IF NOT EXISTS projector_shadow AUTHORIZATION projector_migrate;
GRANT USAGE ON SCHEMA projector_shadow TO projector_run, projector_dashboard;
ALTER DEFAULT PRIVILEGES FOR ROLE projector_migrate IN SCHEMA projector_shadow
    GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON TABLES TO projector_run;
-- The dashboard exports the progress of a rebuild.
ALTER DEFAULT PRIVILEGES FOR ROLE projector_migrate IN SCHEMA projector_shadow
    GRANT SELECT ON TABLES TO projector_dashboard;

-- The sessions of the dashboard set the same for themselves.
ALTER ROLE projector_dashboard SET default_transaction_read_only = on;
ALTER ROLE projector_dashboard SET statement_timeout = '3s';
