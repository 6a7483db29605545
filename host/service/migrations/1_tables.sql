-- Times are milliseconds since 1970 (UTC). What only a person or a program reads whole is JSON text.

CREATE TABLE orgs (
    org_id TEXT PRIMARY KEY NOT NULL,
    name TEXT NOT NULL,
    solo BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

-- An org that is not here, or has a null here, has the limit that the operator started the service with.
CREATE TABLE quotas (
    org_id TEXT PRIMARY KEY NOT NULL REFERENCES orgs (org_id),
    runs_an_hour BIGINT,
    runs_a_month BIGINT,
    stored_bytes BIGINT
);

CREATE TABLE users (
    user_id TEXT PRIMARY KEY NOT NULL,
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    name TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX users_org ON users (org_id);

CREATE TABLE api_keys (
    key_id TEXT PRIMARY KEY NOT NULL,
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    user_id TEXT NOT NULL REFERENCES users (user_id),
    name TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    -- SHA-256 of the secret, which has 256 random bits.
    secret_hash TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    revoked_at BIGINT
);
CREATE INDEX api_keys_org ON api_keys (org_id);

CREATE TABLE sessions (
    session_hash TEXT PRIMARY KEY NOT NULL,
    key_id TEXT NOT NULL REFERENCES api_keys (key_id),
    expires_at BIGINT NOT NULL
);

CREATE TABLE sources (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    source_id TEXT NOT NULL,
    name TEXT NOT NULL,
    provider TEXT NOT NULL,
    -- Where it is and how it may be reached.
    settings TEXT NOT NULL,
    -- Sealed: see server/secrets.
    credential TEXT NOT NULL,
    credential_summary TEXT NOT NULL,
    credential_set_at BIGINT NOT NULL,
    version BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, source_id)
);

CREATE TABLE destinations (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    destination_id TEXT NOT NULL,
    source_id TEXT NOT NULL,
    definition TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    PRIMARY KEY (org_id, destination_id),
    FOREIGN KEY (org_id, source_id) REFERENCES sources (org_id, source_id)
);
CREATE INDEX destinations_source ON destinations (org_id, source_id);

CREATE TABLE golden_sets (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    set_id TEXT NOT NULL,
    entity_type TEXT NOT NULL,
    -- The newest of its entity type.
    is_current BIGINT NOT NULL,
    format TEXT NOT NULL,
    -- Its name in the org's folder; a query that nobody has planned yet has none.
    file_name TEXT,
    query TEXT,
    -- Sealed.
    database_url TEXT,
    records BIGINT,
    bytes BIGINT,
    columns TEXT,
    sha256 TEXT,
    created_at BIGINT NOT NULL,
    created_by TEXT NOT NULL,
    PRIMARY KEY (org_id, set_id)
);
CREATE UNIQUE INDEX golden_sets_current ON golden_sets (org_id, entity_type) WHERE is_current = 1;

CREATE TABLE plans (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    plan_id TEXT NOT NULL,
    destination_id TEXT NOT NULL,
    -- The golden set that it was made from; an undo has none.
    set_id TEXT,
    -- The run that an undo undoes.
    undoes TEXT,
    summary TEXT NOT NULL,
    planned_at BIGINT NOT NULL,
    planned_by TEXT NOT NULL,
    PRIMARY KEY (org_id, plan_id)
);
CREATE INDEX plans_time ON plans (org_id, planned_at);

CREATE TABLE runs (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    run_id TEXT NOT NULL,
    plan_id TEXT NOT NULL,
    destination_id TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('queued', 'running', 'interrupted', 'succeeded', 'failed', 'stopped')),
    -- What was asked for: overridden guards, canary, verify.
    options TEXT NOT NULL,
    -- What it came to: see server/jobs.
    result TEXT,
    idempotency_key TEXT,
    request_hash TEXT,
    started_by TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    ended_at BIGINT,
    -- Orders runs, the newest last.
    number BIGINT NOT NULL,
    PRIMARY KEY (org_id, run_id)
);
CREATE UNIQUE INDEX runs_number ON runs (org_id, number);
CREATE UNIQUE INDEX runs_idempotency ON runs (org_id, idempotency_key);
CREATE INDEX runs_time ON runs (org_id, created_at);
CREATE INDEX runs_status ON runs (status);

-- Runs that were begun or resumed, for the quotas.
CREATE TABLE run_starts (
    org_id TEXT NOT NULL REFERENCES orgs (org_id),
    started_at BIGINT NOT NULL
);
CREATE INDEX run_starts_time ON run_starts (org_id, started_at);

-- Changes that ended in anything but an update: the journal has all.
CREATE TABLE outcomes (
    org_id TEXT NOT NULL,
    run_id TEXT NOT NULL,
    change_number BIGINT NOT NULL,
    outcome TEXT NOT NULL,
    row_number BIGINT NOT NULL,
    provider_id TEXT NOT NULL,
    http_status BIGINT,
    code TEXT NOT NULL,
    message TEXT NOT NULL,
    PRIMARY KEY (org_id, run_id, change_number),
    FOREIGN KEY (org_id, run_id) REFERENCES runs (org_id, run_id)
);

-- Each row has the hash of the one before it, over all orgs.
CREATE TABLE audit_log (
    seq BIGINT PRIMARY KEY NOT NULL,
    at BIGINT NOT NULL,
    action TEXT NOT NULL,
    who TEXT NOT NULL,
    org_id TEXT NOT NULL,
    destination_id TEXT,
    plan_id TEXT,
    run_id TEXT,
    component TEXT,
    counts TEXT,
    detail TEXT NOT NULL,
    hash TEXT NOT NULL
);
CREATE INDEX audit_log_org ON audit_log (org_id, seq);
