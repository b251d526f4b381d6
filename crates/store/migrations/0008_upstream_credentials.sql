-- Credentials of the gateway's own for its upstreams, sealed.
CREATE TABLE upstream_credential (
    name       TEXT PRIMARY KEY,
    sealed     BLOB NOT NULL,
    expires_at BIGINT,
    created_at BIGINT NOT NULL
);
