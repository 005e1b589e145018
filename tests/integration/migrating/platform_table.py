"""The table `delegations` as a platform may have created it before `migrate up`."""

TABLE = """
    CREATE TABLE delegations (
        delegation_id text PRIMARY KEY,
        caller_id uuid NOT NULL,
        callee_id uuid NOT NULL,
        task_preview text NOT NULL,
        status text NOT NULL DEFAULT 'queued' CONSTRAINT known_status
            CHECK (status IN ('stuck', 'failed', 'completed', 'in_progress', 'dispatched', 'queued')),
        last_heartbeat timestamptz,
        deadline timestamptz NOT NULL DEFAULT now() + interval '6 hours',
        result_preview text,
        error_detail text,
        retry_count int NOT NULL DEFAULT 0,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        idempotency_key text
    );
    CREATE TABLE workspaces (id uuid PRIMARY KEY);
    INSERT INTO delegations (delegation_id, caller_id, callee_id, task_preview)
    VALUES ('theirs', '00000000-0000-0000-0000-00000000000a', '00000000-0000-0000-0000-00000000000b', 'sum');
"""
INDEXES = """
    CREATE INDEX idx_delegations_inflight_heartbeat ON delegations (last_heartbeat NULLS FIRST) WITH (fillfactor = 80)
        WHERE status IN ('in_progress', 'dispatched', 'queued');
    CREATE INDEX idx_delegations_caller_created ON delegations (caller_id, created_at DESC);
    CREATE INDEX idx_delegations_callee_created ON delegations (callee_id, created_at DESC);
    CREATE INDEX idx_delegations_created ON delegations (created_at DESC, delegation_id) WITH (fillfactor = 80);
    CREATE INDEX idx_delegations_failed ON delegations (updated_at DESC) INCLUDE (status)
        WHERE status IN ('failed', 'stuck');
    CREATE UNIQUE INDEX idx_delegations_idempotency ON delegations (caller_id, idempotency_key)
        WHERE idempotency_key IS NOT NULL;
"""
