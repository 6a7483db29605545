-- The name of a run's journal, and whether that has begun: from then on it has to be there.
ALTER TABLE runs ADD COLUMN journal_id TEXT NOT NULL DEFAULT '';
ALTER TABLE runs ADD COLUMN begun BIGINT NOT NULL DEFAULT 0;
-- A queued run with a time waits for it: a limit of its CRM is used up.
ALTER TABLE runs ADD COLUMN due_at BIGINT;

-- One row: which state this is, and how often a service has started on it. Its folder has the same in `state.json`.
CREATE TABLE service (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    state_id TEXT NOT NULL,
    epoch BIGINT NOT NULL
);

-- Components that the service was started with, which finish the runs that they began.
CREATE TABLE components (
    digest TEXT PRIMARY KEY NOT NULL,
    first_used_at BIGINT NOT NULL
);

-- The key that a row's hash was made with.
ALTER TABLE audit_log ADD COLUMN key_id TEXT NOT NULL DEFAULT '';
