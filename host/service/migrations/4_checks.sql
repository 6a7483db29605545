-- What the last check of a source found, as JSON; null after a change that may make it wrong.
ALTER TABLE sources ADD COLUMN last_check TEXT;

-- How long a run was at work: its attempts that have ended, and when the current one began.
ALTER TABLE runs ADD COLUMN worked_ms BIGINT NOT NULL DEFAULT 0;
ALTER TABLE runs ADD COLUMN attempt_at BIGINT;
