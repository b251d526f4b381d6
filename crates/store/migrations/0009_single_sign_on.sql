-- People who sign in at their organisation's own provider.

-- Who of a provider which account is: of each provider one at most.
CREATE TABLE identity (
    issuer     TEXT NOT NULL,
    subject    TEXT NOT NULL,
    account_id TEXT NOT NULL REFERENCES account (id),
    created_at BIGINT NOT NULL,
    -- When it last signed in there.
    seen_at    BIGINT NOT NULL,
    PRIMARY KEY (issuer, subject),
    UNIQUE (account_id, issuer)
);

-- Which session of the provider's a session here came from, so that both end together.
CREATE TABLE provider_session (
    credential_id TEXT PRIMARY KEY,
    issuer        TEXT NOT NULL,
    subject       TEXT NOT NULL,
    session       TEXT,
    -- When the person last proved there who it is, if the provider tells.
    proven_at     BIGINT,
    created_at    BIGINT NOT NULL
);
CREATE INDEX provider_session_by_subject ON provider_session (issuer, subject);

-- Whether somebody is a member by a group at the provider, and for as long as in that group.
ALTER TABLE member ADD COLUMN by_group BOOLEAN NOT NULL DEFAULT FALSE;
