//! Credentials of the gateway's own, which it presents to upstreams: sealed, since they have to be read again.

use doorward_rules::Timestamp;
use secrecy::{ExposeSecret, SecretString};

use crate::row::Row;
use crate::{Noun, Store, StoreError};

/// A credential for an upstream, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamCredential {
    /// What it is called here.
    pub name: String,
    /// When it ends there, as whoever brought it said.
    pub expires_at: Option<Timestamp>,
    /// When it was brought.
    pub created_at: Timestamp,
}

impl Store {
    /// Keeps a credential under a name, in the place of one that was kept there.
    ///
    /// # Errors
    /// [`StoreError`] if it cannot be kept.
    pub async fn keep_upstream_credential(
        &self,
        name: &str,
        secret: &SecretString,
        expires_at: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        sqlx::query(
            "INSERT INTO upstream_credential (name, sealed, expires_at, created_at) VALUES ($1, $2, $3, $4) \
             ON CONFLICT (name) DO UPDATE SET sealed = excluded.sealed, expires_at = excluded.expires_at, \
             created_at = excluded.created_at",
        )
        .bind(name)
        .bind(self.seal.close(&purpose(name), secret.expose_secret().as_bytes()))
        .bind(expires_at.map(|at| at.0))
        .bind(now.0)
        .execute(change.connection())
        .await?;
        let sentence = format!("the credential `{name}` for an upstream was kept");
        change.commit("upstream_credential.kept", name, sentence).await
    }

    /// The credentials that are kept, by their names.
    ///
    /// # Errors
    /// [`StoreError`] if they cannot be read.
    pub async fn upstream_credentials(&self) -> Result<Vec<UpstreamCredential>, StoreError> {
        let rows = sqlx::query("SELECT name, expires_at, created_at FROM upstream_credential ORDER BY name")
            .fetch_all(self.reading())
            .await?;
        rows.into_iter().map(|row| credential(&Row(row))).collect()
    }

    /// A credential with its secret.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none of this name, [`StoreError::Corrupt`] if another key has sealed it.
    pub async fn upstream_credential(&self, name: &str) -> Result<(UpstreamCredential, SecretString), StoreError> {
        let found = sqlx::query("SELECT * FROM upstream_credential WHERE name = $1")
            .bind(name)
            .fetch_optional(self.reading())
            .await?;
        let row = Row(found.ok_or_else(|| missing(name))?);
        let secret = self.seal.read(&purpose(name), &row.bytes("sealed")?)?;
        let text = String::from_utf8_lossy(secret.expose_secret()).into_owned();
        Ok((credential(&row)?, text.into()))
    }

    /// Forgets a credential.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none of this name.
    pub async fn forget_upstream_credential(&self, name: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query("DELETE FROM upstream_credential WHERE name = $1")
            .bind(name)
            .execute(change.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(missing(name));
        }
        let sentence = format!("the credential `{name}` for an upstream was removed");
        change.commit("upstream_credential.removed", name, sentence).await
    }
}

fn credential(row: &Row) -> Result<UpstreamCredential, StoreError> {
    Ok(UpstreamCredential {
        name: row.text("name")?,
        expires_at: row.optional_time("expires_at")?,
        created_at: row.time("created_at")?,
    })
}

fn missing(name: &str) -> StoreError {
    StoreError::Missing { noun: Noun::UpstreamCredential, name: name.to_owned() }
}

fn purpose(name: &str) -> String {
    format!("upstream credential {name}")
}
