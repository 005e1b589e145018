-- For the dashboard (docs/dashboard.md): the passes of the commands that are no servers, and two indexes for its lists.

-- What `verify`, `rebuild`, `sweep` and `push` did: the last 100 passes of each. "Last proved equal" is here, and "the
-- sweeper passed 31 s ago".
CREATE TABLE projector.passes (
    id         BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind       TEXT NOT NULL CHECK (kind IN ('verify', 'rebuild', 'sweep', 'push')),
    started_at TIMESTAMPTZ NOT NULL,
    ended_at   TIMESTAMPTZ NOT NULL DEFAULT clock_timestamp(),
    result     JSONB NOT NULL            -- the counts that the command printed
);
CREATE INDEX passes_kind ON projector.passes (kind, id DESC);

-- An index on a large table blocks its writers while it is built. Create these two by hand before, with the same names
-- and CREATE INDEX CONCURRENTLY.
-- The newest delegations, of any status, page by page.
CREATE INDEX IF NOT EXISTS idx_delegations_created ON delegations (created_at DESC, delegation_id);
-- The failures of the last hour, and how many have failed or are stuck: both without the table.
CREATE INDEX IF NOT EXISTS idx_delegations_failed ON delegations (updated_at DESC) INCLUDE (status)
    WHERE status IN ('failed', 'stuck');
