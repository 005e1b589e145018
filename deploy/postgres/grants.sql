-- The rights on the tables, for the roles of roles.sql. The owner of the tables or an administrator runs this file once, after
-- the first `projector migrate up`. Later migrations need it no more: roles.sql has default privileges for their tables.

GRANT SELECT, INSERT, UPDATE, DELETE ON delegations TO projector_run; -- only `rebuild` and `prune` delete
GRANT SELECT ON delegations TO projector_dashboard;
GRANT SELECT ON projector_schema_migrations TO projector_run, projector_dashboard;

-- Tables that were created before roles.sql was run.
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA projector TO projector_run;
GRANT SELECT ON ALL TABLES IN SCHEMA projector TO projector_dashboard;
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON ALL TABLES IN SCHEMA projector_shadow TO projector_run;
GRANT SELECT ON ALL TABLES IN SCHEMA projector_shadow TO projector_dashboard; -- the progress of a rebuild
