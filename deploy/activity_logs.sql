-- The platform's own table, for the compose file alone: what the change feed of profile `cdc` reads. In production it is
-- there, and the projector never touches it. It keeps Postgres' default replica identity, as the platform's does: an
-- update then leaves large unchanged bodies out of the feed, and the projector recalls whose row it is.
CREATE TABLE activity_logs (
    id              UUID PRIMARY KEY DEFAULT gen_random_uuid(),
    workspace_id    UUID NOT NULL,
    activity_type   TEXT NOT NULL,
    source_id       UUID,
    target_id       UUID,
    method          TEXT,
    summary         TEXT,
    request_body    JSONB,
    response_body   JSONB,
    duration_ms     INT,
    status          TEXT DEFAULT 'ok',  -- a feed that replaces nulls by defaults would invent an "ok"
    error_detail    TEXT,
    idempotency_key TEXT,
    tool_trace      JSONB,
    created_at      TIMESTAMPTZ DEFAULT now()
);
