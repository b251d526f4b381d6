-- Every kind of credential, what workspaces ask of them, and when each kind ends.

ALTER TABLE account ADD COLUMN managed BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE account ADD COLUMN two_step BOOLEAN NOT NULL DEFAULT FALSE;

CREATE TABLE project (
    id           TEXT PRIMARY KEY,
    workspace_id TEXT NOT NULL REFERENCES workspace (id),
    key          TEXT NOT NULL,
    name         TEXT NOT NULL,
    created_at   BIGINT NOT NULL,
    UNIQUE (workspace_id, key)
);
-- Every workspace has a first project. For those that are there already it has the workspace's own id.
INSERT INTO project (id, workspace_id, key, name, created_at) SELECT id, id, 'PROJ', slug, created_at FROM workspace;
ALTER TABLE repository ADD COLUMN project_id TEXT REFERENCES project (id);
UPDATE repository SET project_id = workspace_id;

-- A credential belongs to an account, or, as an access token does, to a workspace, project or repository. The records
-- of credentials outlive what they belong to, so that `why` and the audit can still name them.
CREATE TABLE new_credential (
    id            TEXT PRIMARY KEY,
    kind          TEXT NOT NULL,
    account_id    TEXT REFERENCES account (id),
    name          TEXT NOT NULL,
    scopes        TEXT NOT NULL,
    workspace_id  TEXT,
    project_id    TEXT,
    repository_id TEXT,
    place         TEXT,
    digest        BLOB NOT NULL,
    created_at    BIGINT NOT NULL,
    expires_at    BIGINT,
    revoked_at    BIGINT,
    replaced_by   TEXT
);
INSERT INTO new_credential (id, kind, account_id, name, scopes, workspace_id, place, digest, created_at, expires_at,
                            revoked_at, replaced_by)
    SELECT c.id, c.kind, c.account_id, c.name, c.scopes, c.workspace_id, w.slug, c.digest, c.created_at, c.expires_at,
           c.revoked_at, c.replaced_by
      FROM credential c LEFT JOIN workspace w ON w.id = c.workspace_id;
DROP TABLE credential;
ALTER TABLE new_credential RENAME TO credential;
CREATE INDEX credential_by_account ON credential (account_id);
CREATE INDEX credential_by_workspace ON credential (workspace_id);

-- When each credential was last let in, for each thing that it was used for. No decision depends on it.
CREATE TABLE credential_use (
    credential_id TEXT NOT NULL,
    surface       TEXT NOT NULL,
    action        TEXT NOT NULL,
    last_at       BIGINT NOT NULL,
    address       TEXT,
    subject       TEXT NOT NULL,
    requests      BIGINT NOT NULL,
    PRIMARY KEY (credential_id, surface, action)
);

-- What the audit knows of earlier times: reads are counted there, pushes recorded one by one.
INSERT INTO credential_use (credential_id, surface, action, last_at, address, subject, requests)
    SELECT credential, surface, action, max(last_at), address, subject, sum(requests) FROM audit_tally
     WHERE credential IS NOT NULL AND reason IS NULL GROUP BY credential, surface, action;
INSERT INTO credential_use (credential_id, surface, action, last_at, address, subject, requests)
    SELECT credential, surface, action, max(at), address, subject, count(*) FROM audit
     WHERE credential IS NOT NULL AND event = 'push.started' GROUP BY credential, surface, action
    ON CONFLICT (credential_id, surface, action) DO UPDATE SET requests = credential_use.requests + excluded.requests;

-- What a workspace asks of credentials; nothing if it has no row. Kinds and addresses are lists of words.
CREATE TABLE policy (
    workspace_id TEXT PRIMARY KEY REFERENCES workspace (id),
    sso          BOOLEAN NOT NULL,
    kinds        TEXT,
    longest      BIGINT,
    addresses    TEXT NOT NULL,
    two_step     BOOLEAN NOT NULL
);

-- What is planned for a kind; nothing if it has no row.
CREATE TABLE calendar (
    kind             TEXT PRIMARY KEY,
    announced_at     BIGINT,
    creation_ends_at BIGINT,
    retires_at       BIGINT
);
CREATE TABLE brownout (
    kind    TEXT NOT NULL,
    first   BIGINT NOT NULL,
    length  BIGINT NOT NULL,
    every   BIGINT,
    until   BIGINT NOT NULL,
    PRIMARY KEY (kind, first)
);
