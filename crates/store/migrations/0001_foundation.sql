-- Accounts, workspaces, repositories, credentials and the audit.
--
-- Only TEXT, BIGINT, BOOLEAN and BLOB, so that another database can take the same text. Times are milliseconds since
-- 1970 in UTC. Ids are made by the program.

-- Grows with every change to anything that a decision depends on, in the same transaction.
CREATE TABLE epoch (
    only  BIGINT PRIMARY KEY CHECK (only = 1),
    value BIGINT NOT NULL
);
INSERT INTO epoch (only, value) VALUES (1, 0);

CREATE TABLE account (
    id         TEXT PRIMARY KEY,
    name       TEXT NOT NULL UNIQUE,
    email      TEXT NOT NULL UNIQUE,
    disabled   BOOLEAN NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE workspace (
    id         TEXT PRIMARY KEY,
    slug       TEXT NOT NULL UNIQUE,
    owner_id   TEXT NOT NULL REFERENCES account (id),
    created_at BIGINT NOT NULL
);

CREATE TABLE member (
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    account_id   TEXT NOT NULL REFERENCES account (id),
    created_at   BIGINT NOT NULL,
    PRIMARY KEY (workspace_id, account_id)
);

CREATE TABLE repository (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    slug         TEXT NOT NULL,
    public       BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    UNIQUE (workspace_id, slug)
);

-- What an account was given on one repository, also `none`, which takes away what membership gives.
CREATE TABLE permission (
    repository_id TEXT NOT NULL REFERENCES repository (id),
    account_id    TEXT NOT NULL REFERENCES account (id),
    privilege     TEXT NOT NULL,
    PRIMARY KEY (repository_id, account_id)
);

CREATE TABLE credential (
    id           TEXT PRIMARY KEY,
    kind         TEXT NOT NULL,
    account_id   TEXT NOT NULL REFERENCES account (id),
    name         TEXT NOT NULL,
    scopes       TEXT NOT NULL,
    workspace_id TEXT REFERENCES workspace (id),
    digest       BLOB NOT NULL,
    created_at   BIGINT NOT NULL,
    expires_at   BIGINT,
    revoked_at   BIGINT,
    replaced_by  TEXT REFERENCES credential (id)
);
CREATE INDEX credential_by_account ON credential (account_id);

-- Refusals, pushes and changes, one by one.
CREATE TABLE audit (
    id         TEXT PRIMARY KEY,
    at         BIGINT NOT NULL,
    event      TEXT NOT NULL,
    request    TEXT,
    subject    TEXT NOT NULL,
    account    TEXT,
    credential TEXT,
    address    TEXT,
    agent      TEXT,
    surface    TEXT,
    action     TEXT,
    scheme     TEXT,
    name_form  TEXT,
    status     BIGINT,
    reason     TEXT,
    rule       TEXT,
    sentence   TEXT NOT NULL,
    remedy     TEXT
);
CREATE INDEX audit_by_request ON audit (request);
CREATE INDEX audit_by_time ON audit (at);

-- Requests that are only counted, by minute and by all that their decision depended on. The tag is in their request ids.
CREATE TABLE audit_tally (
    minute     BIGINT NOT NULL,
    tag        BIGINT NOT NULL,
    subject    TEXT NOT NULL,
    account    TEXT,
    credential TEXT,
    address    TEXT,
    surface    TEXT NOT NULL,
    action     TEXT NOT NULL,
    scheme     TEXT,
    name_form  TEXT,
    rule       TEXT NOT NULL,
    reason     TEXT,
    requests   BIGINT NOT NULL,
    last_at    BIGINT NOT NULL,
    PRIMARY KEY (minute, tag, subject)
);
