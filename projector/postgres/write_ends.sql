-- What a connection that pushes results runs once besides `write_batch.sql` (decision 0015): the ends that a batch read,
-- and one reply for each delegation that ended so. `write_batch.py` reads names and types from this signature.
--
-- It only inserts, and passes over what is there: a relay holds locks on replies, and must not stop the projection. ON
-- CONFLICT would wait for a relay that has changed the row and not committed. NOT EXISTS does not wait.
--
-- The end of a delegation that was pruned was told, and is passed over.
--
-- An end `agrees` if its delegation has it. The plan does not depend on the values, so it is made once per session.
CREATE OR REPLACE FUNCTION pg_temp.write_ends(
    end_delegation_id text[], end_topic text[], end_partition bigint[], end_offset bigint[], end_kind text[],
    end_status text[], end_row_id text[], end_has_text bool[], end_at timestamptz[], end_agrees bool[]
) RETURNS void LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan AS $function$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM push WHERE topic = ANY (end_topic)) THEN
        RAISE INFO 'the push of results is off' USING ERRCODE = 'PJ003'; -- `warn_if_off` in push.py logs it
        RETURN;
    END IF;

    -- A topic without a row in `push` has no end. A record before its partition's position of that moment is history.
    WITH counted AS MATERIALIZED (
        SELECT e.*, push.switched_on_at, push.pruned_before
          FROM unnest(end_delegation_id, end_topic, end_partition, end_offset, end_kind, end_status, end_row_id,
                      end_has_text, end_at, end_agrees) WITH ORDINALITY
               AS e (delegation_id, topic, partition, "offset", kind, status, row_id, has_text, at, agrees, n)
          JOIN push ON push.topic = e.topic
          LEFT JOIN push_from f ON f.topic = e.topic AND f.partition = e.partition
         WHERE e."offset" >= coalesce(f.next_offset, 0)
           AND NOT EXISTS (SELECT FROM projector.pruned p WHERE p.delegation_id = e.delegation_id)
    ), stored AS (
        INSERT INTO ends (delegation_id, topic, partition, "offset", kind, status, row_id, has_text, at)
        SELECT DISTINCT ON (e.delegation_id, e.topic, e.partition, e."offset")
               e.delegation_id, e.topic, e.partition, e."offset", e.kind, e.status, e.row_id::uuid, e.has_text, e.at
          FROM counted e
         WHERE NOT EXISTS (SELECT FROM ends known
                            WHERE known.delegation_id = e.delegation_id AND known.topic = e.topic
                              AND known.partition = e.partition AND known."offset" = e."offset")
         ORDER BY e.delegation_id, e.topic, e.partition, e."offset", e.n
    )
    -- An end is pushed if it happened since that moment, and not in the future, by clocks that differ by five minutes.
    -- A report is due a moment later, since its text may follow in another record. A verdict leaves time for a real
    -- answer: until the deadline, for a minute at least and a day at most. All of it depends on event times alone.
    --
    -- The age of a reply counts from `queued_at` if that is later: records may be read late, for the first time. If its
    -- end is so old that an earlier reply may have been pruned, it counts from when it was due: it has expired.
    INSERT INTO outbox (delegation_id, queued_at, due_at, next_attempt_at)
    SELECT DISTINCT ON (e.delegation_id) e.delegation_id,
           CASE WHEN e.at < e.pruned_before + interval '5 minutes' THEN due.at ELSE clock_timestamp() END, due.at, due.at
      FROM counted e
     CROSS JOIN LATERAL (
           SELECT CASE WHEN e.kind = 'verdict'
                       THEN least(greatest((SELECT d.deadline + current_setting('projector.deadline_grace')::interval
                                              FROM delegations d WHERE d.delegation_id = e.delegation_id),
                                           e.at + interval '60 seconds'),
                                  e.at + interval '24 hours')
                       WHEN e.status = 'completed' AND NOT e.has_text THEN e.at + interval '30 seconds'
                       ELSE e.at + interval '2 seconds' END AS at) AS due
     WHERE e.agrees AND e.at >= e.switched_on_at - interval '5 minutes'
       AND e.at <= clock_timestamp() + interval '5 minutes'
       AND NOT EXISTS (SELECT FROM outbox told WHERE told.delegation_id = e.delegation_id)
     ORDER BY e.delegation_id, e.n;
EXCEPTION WHEN unique_violation THEN
    -- Another session stored one of them since this statement began. The batch is sent again, and passes over it.
    RAISE 'another session stored an end or a reply at the same time' USING ERRCODE = 'serialization_failure';
END
$function$
