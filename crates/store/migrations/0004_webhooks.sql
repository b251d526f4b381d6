-- Who is told of a repository's changes, and what became of telling them.

CREATE TABLE webhook (
    id            TEXT PRIMARY KEY,
    repository_id TEXT NOT NULL REFERENCES repository (id),
    description   TEXT NOT NULL,
    url           TEXT NOT NULL,
    secret        TEXT,
    active        BOOLEAN NOT NULL,
    events        TEXT NOT NULL,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL
);
CREATE INDEX webhook_by_repository ON webhook (repository_id);

-- One message to one webhook. It waits until `next_at` while its state is `waiting`.
CREATE TABLE delivery (
    id         TEXT PRIMARY KEY,
    webhook_id TEXT NOT NULL REFERENCES webhook (id),
    event      TEXT NOT NULL,
    body       TEXT NOT NULL,
    state      TEXT NOT NULL,
    attempts   BIGINT NOT NULL,
    next_at    BIGINT NOT NULL,
    status     BIGINT,
    trouble    TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL
);
CREATE INDEX delivery_by_webhook ON delivery (webhook_id, created_at);
CREATE INDEX delivery_due ON delivery (next_at) WHERE state = 'waiting';
