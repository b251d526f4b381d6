-- What the REST API says of repositories and projects, and what is reported of commits.

ALTER TABLE repository ADD COLUMN title TEXT;
ALTER TABLE repository ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE repository ADD COLUMN updated_at BIGINT;

ALTER TABLE project ADD COLUMN description TEXT NOT NULL DEFAULT '';
ALTER TABLE project ADD COLUMN private BOOLEAN NOT NULL DEFAULT TRUE;
ALTER TABLE project ADD COLUMN updated_at BIGINT;

-- Whether a workspace shows anything to a caller is asked with every question about one.
CREATE INDEX permission_by_account ON permission (account_id);
CREATE INDEX repository_in_public ON repository (workspace_id) WHERE public;
CREATE INDEX repository_by_project ON repository (project_id);

-- What was reported of a commit: by a build, a scan, a deployment.
CREATE TABLE commit_status (
    repository_id TEXT NOT NULL REFERENCES repository (id),
    commit_id     TEXT NOT NULL,
    key           TEXT NOT NULL,
    state         TEXT NOT NULL,
    name          TEXT NOT NULL,
    description   TEXT NOT NULL,
    url           TEXT NOT NULL,
    refname       TEXT,
    created_at    BIGINT NOT NULL,
    updated_at    BIGINT NOT NULL,
    PRIMARY KEY (repository_id, commit_id, key)
);

-- Uploads that a caller may repeat under the same key: what each was, and the commit that it became. It is written before
-- the branch is moved, so that no crash can make two commits of one upload.
CREATE TABLE upload (
    repository_id TEXT NOT NULL REFERENCES repository (id),
    caller        TEXT NOT NULL,
    key           TEXT NOT NULL,
    digest        BLOB NOT NULL,
    commit_id     TEXT NOT NULL,
    branch        TEXT NOT NULL,
    done          BOOLEAN NOT NULL,
    created_at    BIGINT NOT NULL,
    PRIMARY KEY (repository_id, caller, key)
);
CREATE INDEX upload_by_time ON upload (created_at);
