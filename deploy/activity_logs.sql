-- The platform's table, for compose.yaml only: its change feed reads it. In production the table exists
-- already, and `projector run` never touches it. It has the default replica identity, as on the platform: an update then
-- leaves large unchanged bodies out of the feed, and the projector looks up which delegation the row belongs to.
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
    status          TEXT DEFAULT 'ok',  -- a feed that replaces nulls by defaults would write "ok"
    error_detail    TEXT,
    idempotency_key TEXT,
    tool_trace      JSONB,
    created_at      TIMESTAMPTZ DEFAULT now()
);

-- What `projector sweep` reads each minute. The platform has them already.
CREATE INDEX ON activity_logs (workspace_id, activity_type, created_at DESC);
CREATE INDEX ON activity_logs (created_at);
