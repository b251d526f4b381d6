-- Passkeys with which people sign in, by themselves or after a password.
CREATE TABLE passkey (
    id           BLOB PRIMARY KEY,
    account_id   TEXT NOT NULL REFERENCES account (id),
    name         TEXT NOT NULL,
    -- As COSE has it (RFC 9052).
    key          BLOB NOT NULL,
    counter      BIGINT NOT NULL,
    backed_up    BOOLEAN NOT NULL,
    created_at   BIGINT NOT NULL,
    last_used_at BIGINT
);
CREATE INDEX passkey_by_account ON passkey (account_id);
