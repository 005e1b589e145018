-- The rights on the platform's table `activity_logs`, for the roles of roles.sql. The owner of the table runs this file. If the
-- table is in another database (PROJECTOR_ACTIVITY_DATABASE_URL), it is run there. Without the sweeper, the relay and
-- `--from activity-logs`, nobody needs it.

GRANT SELECT ON activity_logs TO projector_run;       -- `verify` and `rebuild --from activity-logs`, whole texts of replies
GRANT INSERT ON activity_logs TO projector_run;       -- verdicts of `sweep`, and replies of `push` to the inbox
GRANT SELECT ON activity_logs TO projector_dashboard; -- the records of a delegation, while Kafka is unavailable
