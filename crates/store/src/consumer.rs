//! OAuth consumers: applications that may be let act for people, or for their own workspace.

use std::time::Duration;

use doorward_rules::{Scopes, Timestamp};
use doorward_wire::WorkspaceSlug;
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use subtle::ConstantTimeEq;

use crate::row::Row;
use crate::secret::{digest, random_letters};
use crate::{Noun, Store, StoreError};

/// A consumer, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    /// Its public name: what applications call their key.
    pub key: String,
    /// The workspace that it belongs to.
    pub workspace: WorkspaceSlug,
    /// What people are told that it is called.
    pub name: String,
    /// What people are told that it does.
    pub description: String,
    /// Where browsers are sent back to. Without one, nobody can be asked for leave.
    pub callback: Option<String>,
    /// Whether it keeps its secret: a server does, and a program on people's machines cannot.
    pub private: bool,
    /// What it may be let do at most.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was ended.
    pub revoked_at: Option<Timestamp>,
    /// Until when its former secret works, too.
    pub old_secret_ends_at: Option<Timestamp>,
}

/// What to make a consumer of.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "the fields of a consumer")]
pub struct NewConsumer<'a> {
    pub workspace: &'a WorkspaceSlug,
    pub name: &'a str,
    pub description: &'a str,
    pub callback: Option<&'a str>,
    pub private: bool,
    pub scopes: Scopes,
}

impl Store {
    /// Makes a consumer. Its secret is returned this once.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn create_consumer(
        &self,
        new: NewConsumer<'_>,
        now: Timestamp,
    ) -> Result<(Consumer, SecretString), StoreError> {
        let workspace = self.workspace(new.workspace).await?.id;
        let (key, secret) = (random_letters(KEY).expose_secret().to_owned(), random_letters(SECRET));
        let mut change = self.change(now).await?;
        sqlx::query(
            "INSERT INTO consumer (id, workspace_id, name, description, callback, private, scopes, digest, sealed, \
             created_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        )
        .bind(&key)
        .bind(workspace.to_string())
        .bind(new.name)
        .bind(new.description)
        .bind(new.callback)
        .bind(new.private)
        .bind(new.scopes.to_string())
        .bind(digest(&secret).as_slice())
        .bind(self.seal.close(&purpose(&key), secret.expose_secret().as_bytes()))
        .bind(now.0)
        .execute(change.connection())
        .await?;
        let sentence = format!(
            "OAuth consumer `{key}` ({}) was created in `{}` with the scopes {}",
            new.name, new.workspace, new.scopes
        );
        change.commit("consumer.created", new.workspace.as_str(), sentence).await?;
        Ok((self.consumer(&key).await?, secret))
    }

    /// Gives a consumer a new secret, and lets the old one work for `overlap`.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such consumer, [`StoreError::State`] if it has ended.
    pub async fn rotate_consumer(
        &self,
        key: &str,
        overlap: Duration,
        now: Timestamp,
    ) -> Result<(Consumer, SecretString), StoreError> {
        let consumer = self.living_consumer(key).await?;
        let (secret, until) = (random_letters(SECRET), now.after(overlap));
        let mut change = self.change(now).await?;
        sqlx::query(
            "UPDATE consumer SET old_digest = digest, old_sealed = sealed, old_ends_at = $1, digest = $2, sealed = $3 \
             WHERE id = $4",
        )
        .bind(until.0)
        .bind(digest(&secret).as_slice())
        .bind(self.seal.close(&purpose(key), secret.expose_secret().as_bytes()))
        .bind(key)
        .execute(change.connection())
        .await?;
        let sentence =
            format!("OAuth consumer `{key}` ({}) has a new secret; the old one ends at {until}", consumer.name);
        change.commit("consumer.rotated", consumer.workspace.as_str(), sentence).await?;
        Ok((self.consumer(key).await?, secret))
    }

    /// Ends a consumer, and everything that it was let do.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such consumer, [`StoreError::State`] if it has ended already.
    pub async fn revoke_consumer(&self, key: &str, now: Timestamp) -> Result<Consumer, StoreError> {
        let consumer = self.living_consumer(key).await?;
        let mut change = self.change(now).await?;
        for sql in [
            "UPDATE consumer SET revoked_at = $1 WHERE id = $2",
            "UPDATE credential SET revoked_at = $1 WHERE revoked_at IS NULL \
               AND grant_id IN (SELECT id FROM oauth_grant WHERE consumer_id = $2)",
            "UPDATE oauth_grant SET revoked_at = $1 WHERE consumer_id = $2 AND revoked_at IS NULL",
        ] {
            sqlx::query(sql).bind(now.0).bind(key).execute(change.connection()).await?;
        }
        let sentence = format!("OAuth consumer `{key}` ({}) was ended, with all that it was let do", consumer.name);
        change.commit("consumer.revoked", consumer.workspace.as_str(), sentence).await?;
        Ok(Consumer { revoked_at: Some(now), ..consumer })
    }

    /// The living consumers of a workspace, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace.
    pub async fn consumers(&self, slug: &WorkspaceSlug) -> Result<Vec<Consumer>, StoreError> {
        let workspace = self.workspace(slug).await?.id;
        let rows = sqlx::query(
            "SELECT c.*, w.slug FROM consumer c JOIN workspace w ON w.id = c.workspace_id \
             WHERE c.workspace_id = $1 AND c.revoked_at IS NULL ORDER BY c.created_at, c.id",
        )
        .bind(workspace.to_string());
        rows.fetch_all(self.reading()).await?.into_iter().map(|row| consumer(&Row(row))).collect()
    }

    /// The consumer with this key, living or not.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn consumer(&self, key: &str) -> Result<Consumer, StoreError> {
        consumer(&self.consumer_row(key).await?)
    }

    /// Whether a secret is a consumer's, its present one or one whose overlap is not over; `None` if it is not, or if the
    /// consumer has ended or never was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn prove_consumer(
        &self,
        key: &str,
        secret: &SecretString,
        now: Timestamp,
    ) -> Result<Option<Consumer>, StoreError> {
        let row = match self.consumer_row(key).await {
            Err(StoreError::Missing { .. }) => return Ok(None),
            row => row?,
        };
        let presented = digest(secret);
        let is = |stored: &[u8]| bool::from(presented.as_slice().ct_eq(stored));
        let old = match row.optional_time("old_ends_at")? {
            Some(end) if end > now => is(&row.bytes("old_digest")?),
            _ => false,
        };
        let (proven, consumer) = (is(&row.bytes("digest")?) | old, consumer(&row)?);
        Ok(Some(consumer).filter(|consumer| proven && consumer.revoked_at.is_none()))
    }

    /// The secrets of a consumer, to check what it has signed: its present one, and one whose overlap is not over.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such consumer, [`StoreError::Corrupt`] if another key has sealed it.
    pub async fn consumer_secrets(&self, key: &str, now: Timestamp) -> Result<Vec<SecretSlice<u8>>, StoreError> {
        let row = self.consumer_row(key).await?;
        let mut secrets = vec![self.seal.read(&purpose(key), &row.bytes("sealed")?)?];
        if row.optional_time("old_ends_at")?.is_some_and(|end| end > now) {
            secrets.push(self.seal.read(&purpose(key), &row.bytes("old_sealed")?)?);
        }
        Ok(secrets)
    }

    async fn living_consumer(&self, key: &str) -> Result<Consumer, StoreError> {
        let consumer = self.consumer(key).await?;
        match consumer.revoked_at {
            Some(at) => Err(StoreError::State(format!("OAuth consumer `{key}` was ended at {at}"))),
            None => Ok(consumer),
        }
    }

    async fn consumer_row(&self, key: &str) -> Result<Row, StoreError> {
        sqlx::query("SELECT c.*, w.slug FROM consumer c JOIN workspace w ON w.id = c.workspace_id WHERE c.id = $1")
            .bind(key)
            .fetch_optional(self.reading())
            .await?
            .map(Row)
            .ok_or_else(|| StoreError::missing(Noun::Consumer, key))
    }
}

fn consumer(row: &Row) -> Result<Consumer, StoreError> {
    Ok(Consumer {
        key: row.text("id")?,
        workspace: row.parsed("slug")?,
        name: row.text("name")?,
        description: row.text("description")?,
        callback: row.optional_text("callback")?,
        private: row.truth("private")?,
        scopes: row.scopes("scopes")?,
        created_at: row.time("created_at")?,
        revoked_at: row.optional_time("revoked_at")?,
        old_secret_ends_at: row.optional_time("old_ends_at")?,
    })
}

fn purpose(key: &str) -> String {
    format!("consumer {key}")
}

/// Letters of a key and of a secret, as Bitbucket Cloud's have them: some clients tell what they have by its length.
const KEY: usize = 18;
const SECRET: usize = 32;
