"""Mistakes in the list of pruned delegations, in what the ledger inserts, and in the limits of `status`."""

from mutants.mutant import mutants

_REFUSED = mutants(
    "schema/057_pruning.up.sql",
    "integration/pruning_beside_others integration/pruning_rights integration/pruning",
    ("a pruned id is free for other writers", "WHERE p.delegation_id = NEW.delegation_id\n        OR (", "WHERE (", "test_other_writers_cannot_insert_what_was_pruned"),
    ("a pruned key is free for other writers", "        OR (p.caller_id = NEW.caller_id AND p.idempotency_key = NEW.idempotency_key) LIMIT 1", " LIMIT 1", "test_other_writers_cannot_insert_what_was_pruned"),
    ("a pruned key is used for all callers", "(p.caller_id = NEW.caller_id AND p.idempotency_key", "(p.idempotency_key", "test_other_writers_cannot_insert_what_was_pruned"),
    ("an insert that waited for a pruning is let in", "AFTER INSERT ON delegations", "BEFORE INSERT ON delegations", "test_insert_that_waited_for_a_pruning_is_refused"),
    ("the projector itself is refused", "    WHEN (current_setting('projector.knows_pruned', true) IS DISTINCT FROM 'on')\n", "", "test_batch_that_was_read_before_is_read_again"),
    ("other writers need rights on the list", "LANGUAGE plpgsql SECURITY DEFINER SET", "LANGUAGE plpgsql SET", "test_service_needs_no_rights_on_the_list_of_pruned"),
)  # fmt: skip
_INSERTED = mutants(
    "projector/ledger/steps.py",
    "integration/ledger_twins integration/ledger_and_fold integration/ledger",
    ("the deadline of the service does not count", "coalesce(%(deadline)s::timestamptz, now() + %(default_deadline)s::interval)", "coalesce(now() + %(default_deadline)s::interval, %(deadline)s::timestamptz)"),
    ("the default deadline is an hour", "now() + %(default_deadline)s::interval)", "now() + %(default_deadline)s::interval / 6)"),
    ("a task is stored whole", 'preview(new.task, "task")', "new.task"),
    ("a held key is called the same id", "Conflict.SAME_ID if found == new.delegation_id else Conflict.SAME_KEY", "Conflict.SAME_ID"),
    ("the same status again is stale", "WHEN status <> %(status)s AND status = ANY (%(in_flight)s::text[]) THEN 'stale'", "WHEN status = ANY (%(in_flight)s::text[]) THEN 'stale'"),
)  # fmt: skip
_LIMITS = mutants(
    "projector/cli/status.py",
    "end_to_end/status_command",
    ("the limit of the lag itself exceeds", "lag > limits.lag)", "lag >= limits.lag)", "test_limits_decide_the_exit_code"),
    ("the limit of dead letters itself exceeds", "letters > limits.dead_letters", "letters >= limits.dead_letters", "test_limits_decide_the_exit_code"),
    ("a lag of 0 is no limit", "if limits.lag is not None and", "if limits.lag and", "test_limits_decide_the_exit_code"),
    ("0 dead letters are no limit", "if limits.dead_letters is not None and", "if limits.dead_letters and", "test_limits_decide_the_exit_code"),
    ("an unknown lag is within each limit", "(lag is None or lag >", "(lag is not None and lag >", "test_unknown_lag_exceeds_each_limit"),
    ("an exceeded limit is done", "return LIMIT_EXCEEDED if report.exceeded else DONE", "return DONE", "test_limits_decide_the_exit_code"),
)  # fmt: skip

GUARDS = [*_REFUSED, *_INSERTED, *_LIMITS]
