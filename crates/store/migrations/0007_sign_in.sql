-- People sign in to the web pages, and let applications act for them.

-- Whether a credential comes from a sign-in at an organisation's own provider. Those that administrators made for
-- workspaces which ask for that stay what they were.
ALTER TABLE credential ADD COLUMN single_sign_on BOOLEAN NOT NULL DEFAULT FALSE;
UPDATE credential SET single_sign_on = TRUE WHERE kind = 'oauth_access_token';
-- What an OAuth access token was given by.
ALTER TABLE credential ADD COLUMN grant_id TEXT;
CREATE INDEX credential_by_grant ON credential (grant_id) WHERE grant_id IS NOT NULL;

-- Argon2id in the PHC string format.
CREATE TABLE password (
    account_id TEXT PRIMARY KEY REFERENCES account (id),
    hash       TEXT NOT NULL,
    changed_at BIGINT NOT NULL
);

-- Links by which a person chooses a password; each is good once.
CREATE TABLE sign_in_link (
    digest     BLOB PRIMARY KEY,
    account_id TEXT NOT NULL REFERENCES account (id),
    expires_at BIGINT NOT NULL
);

-- The secret of an authenticator app, sealed. It counts once it is confirmed. No code of its is good twice.
CREATE TABLE second_step (
    account_id   TEXT PRIMARY KEY REFERENCES account (id),
    sealed       BLOB NOT NULL,
    confirmed_at BIGINT,
    last_step    BIGINT NOT NULL
);
CREATE TABLE recovery_code (
    account_id TEXT NOT NULL REFERENCES account (id),
    digest     BLOB NOT NULL,
    used_at    BIGINT,
    PRIMARY KEY (account_id, digest)
);

-- An application that may be let act for people, or for its workspace.
CREATE TABLE consumer (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    name         TEXT NOT NULL,
    description  TEXT NOT NULL,
    callback     TEXT,
    private      BOOLEAN NOT NULL,
    scopes       TEXT NOT NULL,
    digest       BLOB NOT NULL,
    -- The secret itself, by which signed statements are checked.
    sealed       BLOB NOT NULL,
    old_digest   BLOB,
    old_sealed   BLOB,
    old_ends_at  BIGINT,
    created_at   BIGINT NOT NULL,
    revoked_at   BIGINT
);
CREATE INDEX consumer_by_workspace ON consumer (workspace_id);

-- What a person let an application do; without an account, what the application may do by itself.
CREATE TABLE oauth_grant (
    id             TEXT PRIMARY KEY,
    consumer_id    TEXT NOT NULL REFERENCES consumer (id),
    account_id     TEXT REFERENCES account (id),
    scopes         TEXT NOT NULL,
    single_sign_on BOOLEAN NOT NULL,
    created_at     BIGINT NOT NULL,
    revoked_at     BIGINT
);
CREATE INDEX oauth_grant_by_account ON oauth_grant (account_id);
CREATE INDEX oauth_grant_by_consumer ON oauth_grant (consumer_id);

-- What a browser carries to the application, which redeems it once.
CREATE TABLE oauth_code (
    digest       BLOB PRIMARY KEY,
    grant_id     TEXT NOT NULL REFERENCES oauth_grant (id),
    redirect_uri TEXT,
    challenge    TEXT,
    expires_at   BIGINT NOT NULL,
    used_at      BIGINT
);

CREATE TABLE refresh_token (
    digest     BLOB PRIMARY KEY,
    grant_id   TEXT NOT NULL REFERENCES oauth_grant (id),
    expires_at BIGINT NOT NULL,
    used_at    BIGINT,
    -- What was given for it, sealed, for an application that has not heard the answer.
    successor  BLOB
);
CREATE INDEX refresh_token_by_grant ON refresh_token (grant_id);
