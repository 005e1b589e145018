-- What `write_batch.sql` calls if a statement wrote fewer rows than it was given. Each connection creates it for itself.

-- The objects of the platform that can suppress a row of an INSERT or an UPDATE into `delegations`.
CREATE OR REPLACE FUNCTION pg_temp.possible_causes(statement text) RETURNS text LANGUAGE sql STABLE AS $function$
    SELECT coalesce(string_agg(name, ', ' ORDER BY name),
                    'none was found (an open connection still follows a rule that was dropped: restart the projector)')
      FROM (SELECT 'trigger ' || tgname -- bits of tgtype: 1 FOR EACH ROW, 2 BEFORE, 4 INSERT, 16 UPDATE
              FROM pg_trigger
             WHERE tgrelid = 'delegations'::regclass AND NOT tgisinternal AND tgenabled IN ('O', 'A')
               AND tgtype & 3 = 3 AND tgtype & CASE statement WHEN 'INSERT' THEN 4 ELSE 16 END > 0
            UNION ALL
            SELECT 'rule ' || rulename FROM pg_rewrite
             WHERE ev_class = 'delegations'::regclass AND ev_enabled IN ('O', 'A')
               AND ev_type = CASE statement WHEN 'INSERT' THEN '3' ELSE '2' END
            UNION ALL
            SELECT 'unique index ' || indexrelid::regclass FROM pg_index
             WHERE indrelid = 'delegations'::regclass AND statement = 'INSERT' AND (indisunique OR indisexclusion)
               AND NOT indisprimary
               AND (SELECT array_agg(attname ORDER BY attname)
                      FROM pg_attribute WHERE attrelid = indrelid AND attnum = ANY (indkey))
                   IS DISTINCT FROM '{caller_id,idempotency_key}'::name[]) AS cause (name)
$function$;

-- Raises a conflict if another transaction wrote the rows: the batch is read and written again. Otherwise the database
-- itself suppressed a row, and would suppress it each time. PJ002: a record that is alone in its batch is a dead letter.
CREATE OR REPLACE FUNCTION pg_temp.refuse_unwritten(statement text, by_another boolean)
RETURNS void LANGUAGE plpgsql AS $function$
BEGIN
    IF by_another THEN
        RAISE 'a delegation was % by another writer', CASE statement WHEN 'INSERT' THEN 'inserted' ELSE 'changed' END
              USING ERRCODE = 'serialization_failure';
    END IF;
    RAISE '% wrote no row into delegations, and no other writer prevented it. This may be the cause: %. '
          'Correct it, then run `projector dead-letters retry`', statement, pg_temp.possible_causes(statement)
          USING ERRCODE = 'PJ002';
END
$function$;
