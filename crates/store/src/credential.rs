//! Credentials: made, listed, rotated and revoked. A secret passes through here once and is never stored.

use std::time::Duration;

use doorward_rules::{CredentialId, Kind, Scopes, Timestamp};
use doorward_wire::{AccountName, MintedToken, WorkspaceSlug};
use secrecy::SecretString;

use crate::database::fill_random;
use crate::row::Row;
use crate::{Change, Noun, Store, StoreError};

/// A credential, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credential {
    /// Its public id.
    pub id: CredentialId,
    /// Its kind.
    pub kind: Kind,
    /// The account it acts for.
    pub account: AccountName,
    /// What its maker called it.
    pub name: String,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The only workspace it may be used in, if it is limited to one.
    pub workspace: Option<WorkspaceSlug>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
    /// When somebody ended it.
    pub revoked_at: Option<Timestamp>,
    /// The credential that took its place when it was rotated.
    pub replaced_by: Option<CredentialId>,
}

/// What to make a credential of.
#[derive(Debug, Clone)]
pub struct NewCredential<'a> {
    /// Its kind.
    pub kind: Kind,
    /// The account it acts for.
    pub account: &'a AccountName,
    /// What its maker calls it.
    pub name: &'a str,
    /// What it may be used for.
    pub scopes: Scopes,
    /// The only workspace it may be used in.
    pub workspace: Option<&'a WorkspaceSlug>,
    /// When it ends by itself.
    pub expires_at: Option<Timestamp>,
}

/// What came of a rotation.
#[derive(Debug)]
pub struct Rotated {
    /// The new credential.
    pub credential: Credential,
    /// Its secret, to be shown once.
    pub secret: SecretString,
    /// When the old secret ends.
    pub old_expires_at: Timestamp,
}

impl Store {
    /// Makes a credential. The secret is returned this once.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account or workspace.
    pub async fn create_credential(
        &self,
        new: NewCredential<'_>,
        now: Timestamp,
    ) -> Result<(Credential, SecretString), StoreError> {
        let mut change = self.change(now).await?;
        let (credential, secret) = insert(&mut change, &new).await?;
        let sentence = format!(
            "token `{}` ({}) was created for `{}` with the scopes {}",
            credential.id, credential.name, credential.account, credential.scopes
        );
        change.commit("token.created", credential.id.as_str(), sentence).await?;
        Ok((credential, secret))
    }

    /// Makes a credential like this one and lets the old one go on for `overlap`, so that nothing is refused while the
    /// new secret is carried to where the old one is used.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such credential, [`StoreError::State`] if it has ended or was rotated
    /// already.
    pub async fn rotate_credential(
        &self,
        id: CredentialId,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<Rotated, StoreError> {
        let mut change = self.change(now).await?;
        let old = find(id, change.connection()).await?;
        if let Some(at) = old.revoked_at.or(old.expires_at.filter(|at| *at <= now)) {
            return Err(StoreError::State(format!(
                "token `{id}` ended at {at} and cannot be rotated; create a new one"
            )));
        }
        if let Some(by) = old.replaced_by {
            return Err(StoreError::State(format!(
                "token `{id}` was rotated already; rotate `{by}`, which took its place"
            )));
        }
        // The new one lasts as long as the old one was made to last.
        let lifetime = old.expires_at.map(|at| Duration::from_millis(at.0.abs_diff(old.created_at.0)));
        let new = NewCredential {
            kind: old.kind,
            account: &old.account,
            name: &old.name,
            scopes: old.scopes,
            workspace: old.workspace.as_ref(),
            expires_at: lifetime.map(|lifetime| now.after(lifetime)),
        };
        let (credential, secret) = insert(&mut change, &new).await?;
        let end = now.after(overlap);
        let old_expires_at = old.expires_at.map_or(end, |at| at.min(end));
        sqlx::query("UPDATE credential SET expires_at = $1, replaced_by = $2 WHERE id = $3")
            .bind(old_expires_at.0)
            .bind(credential.id.as_str())
            .bind(id.as_str())
            .execute(change.connection())
            .await?;
        let sentence = format!("token `{id}` was rotated: `{}` takes its place at {old_expires_at}", credential.id);
        change.commit("token.rotated", id.as_str(), sentence).await?;
        Ok(Rotated { credential, secret, old_expires_at })
    }

    /// Ends a credential. When this returns, no request that begins afterwards is let in with it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such credential, [`StoreError::State`] if it is revoked already.
    pub async fn revoke_credential(&self, id: CredentialId, now: Timestamp) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query("UPDATE credential SET revoked_at = $1 WHERE id = $2 AND revoked_at IS NULL")
            .bind(now.0)
            .bind(id.as_str())
            .execute(change.connection())
            .await?;
        if done.rows_affected() == 0 {
            drop(change);
            let at = self.credential(id).await?.revoked_at;
            let at = at.map_or_else(String::new, |at| format!(" at {at}"));
            return Err(StoreError::State(format!("token `{id}` was already revoked{at}")));
        }
        change.commit("token.revoked", id.as_str(), format!("token `{id}` was revoked")).await
    }

    /// The credential with this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn credential(&self, id: CredentialId) -> Result<Credential, StoreError> {
        find(id, self.reading()).await
    }

    /// Every credential, or those of one account, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account.
    pub async fn credentials(&self, account: Option<&AccountName>) -> Result<Vec<Credential>, StoreError> {
        if let Some(name) = account {
            self.account(name).await?;
        }
        let rows = sqlx::query(
            "SELECT c.*, a.name AS account, w.slug AS workspace FROM credential c JOIN account a ON a.id = c.account_id \
             LEFT JOIN workspace w ON w.id = c.workspace_id WHERE $1 IS NULL OR a.name = $1 ORDER BY c.created_at, c.id",
        )
        .bind(account.map(AccountName::as_str))
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| credential(&Row(row))).collect()
    }
}

async fn find(id: CredentialId, source: impl sqlx::SqliteExecutor<'_>) -> Result<Credential, StoreError> {
    let row = sqlx::query(
        "SELECT c.*, a.name AS account, w.slug AS workspace FROM credential c JOIN account a ON a.id = c.account_id \
         LEFT JOIN workspace w ON w.id = c.workspace_id WHERE c.id = $1",
    )
    .bind(id.as_str())
    .fetch_optional(source)
    .await?
    .ok_or_else(|| StoreError::missing(Noun::Token, id))?;
    credential(&Row(row))
}

async fn insert(change: &mut Change, new: &NewCredential<'_>) -> Result<(Credential, SecretString), StoreError> {
    let at = change.at();
    let minted = MintedToken::mint(new.kind, fill_random);
    let account: Option<String> = sqlx::query_scalar("SELECT id FROM account WHERE name = $1")
        .bind(new.account.as_str())
        .fetch_optional(change.connection())
        .await?;
    let account = account.ok_or_else(|| StoreError::missing(Noun::Account, new.account))?;
    let workspace: Option<String> = match new.workspace {
        None => None,
        Some(slug) => {
            let id = sqlx::query_scalar("SELECT id FROM workspace WHERE slug = $1")
                .bind(slug.as_str())
                .fetch_optional(change.connection())
                .await?;
            Some(id.ok_or_else(|| StoreError::missing(Noun::Workspace, slug))?)
        }
    };
    sqlx::query(
        "INSERT INTO credential (id, kind, account_id, name, scopes, workspace_id, digest, created_at, expires_at) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
    )
    .bind(minted.id.as_str())
    .bind(new.kind.word())
    .bind(account)
    .bind(new.name)
    .bind(new.scopes.to_string())
    .bind(workspace)
    .bind(minted.digest.as_bytes().as_slice())
    .bind(at.0)
    .bind(new.expires_at.map(|at| at.0))
    .execute(change.connection())
    .await
    .map_err(|error| StoreError::inserting(Noun::Token, minted.id, error))?;
    let credential = Credential {
        id: minted.id,
        kind: new.kind,
        account: new.account.clone(),
        name: new.name.to_owned(),
        scopes: new.scopes,
        workspace: new.workspace.cloned(),
        created_at: at,
        expires_at: new.expires_at,
        revoked_at: None,
        replaced_by: None,
    };
    Ok((credential, minted.secret))
}

fn credential(row: &Row) -> Result<Credential, StoreError> {
    let scopes = row.text("scopes")?;
    let replaced_by = match row.optional_text("replaced_by")? {
        Some(_) => Some(row.credential_id("replaced_by")?),
        None => None,
    };
    Ok(Credential {
        id: row.credential_id("id")?,
        kind: row.word("kind", Kind::from_word)?,
        account: row.parsed("account")?,
        name: row.text("name")?,
        scopes: Scopes::parse(&scopes).map_err(|error| StoreError::Corrupt(error.to_string()))?,
        workspace: row.optional_parsed("workspace")?,
        created_at: row.time("created_at")?,
        expires_at: row.optional_time("expires_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        replaced_by,
    })
}
