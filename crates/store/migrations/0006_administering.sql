-- Who may administer the server from elsewhere, and which credential made which.

ALTER TABLE account ADD COLUMN administrator BOOLEAN NOT NULL DEFAULT FALSE;
ALTER TABLE credential ADD COLUMN made_by TEXT;
CREATE INDEX credential_by_maker ON credential (made_by) WHERE made_by IS NOT NULL;

-- In the audit, an account is named so that it is nothing else: a workspace may have the same name.
UPDATE audit SET subject = '@' || subject WHERE event LIKE 'account.%';
