//! Uploads that their callers may repeat: the same key and content lead to the same commit.

use std::time::Duration;

use doorward_rules::{RepositoryId, Timestamp};

use crate::row::Row;
use crate::{Store, StoreError};

/// An upload under a key that its caller chose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where to.
    pub repository: RepositoryId,
    /// Whose key it is: an account or an access token.
    pub caller: String,
    /// The key.
    pub key: String,
    /// A digest of all that was uploaded.
    pub digest: Vec<u8>,
    /// The commit that it became.
    pub commit: String,
    /// The branch that was to lead to it.
    pub branch: String,
    /// Whether the branch is known to have been moved.
    pub done: bool,
}

impl Store {
    /// The upload under this key, if there was one lately.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn upload(
        &self,
        repository: RepositoryId,
        caller: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<Upload>, StoreError> {
        let sql = "SELECT * FROM upload WHERE repository_id = $1 AND caller = $2 AND key = $3 AND created_at >= $4";
        let row = sqlx::query(sql)
            .bind(repository.to_string())
            .bind(caller)
            .bind(key)
            .bind(now.before(KEPT).0)
            .fetch_optional(self.reading())
            .await?;
        let Some(row) = row.map(Row) else { return Ok(None) };
        Ok(Some(Upload {
            repository,
            caller: row.text("caller")?,
            key: row.text("key")?,
            digest: row.bytes("digest")?,
            commit: row.text("commit_id")?,
            branch: row.text("branch")?,
            done: row.truth("done")?,
        }))
    }

    /// Keeps what an upload is, before or after its branch is moved, and forgets those that nobody repeats any more.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn keep_upload(&self, upload: &Upload, now: Timestamp) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        sqlx::query("DELETE FROM upload WHERE created_at < $1")
            .bind(now.before(KEPT).0)
            .execute(change.connection())
            .await?;
        sqlx::query(
            "INSERT INTO upload (repository_id, caller, key, digest, commit_id, branch, done, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (repository_id, caller, key) DO UPDATE SET \
             digest = excluded.digest, commit_id = excluded.commit_id, branch = excluded.branch, done = excluded.done, \
             created_at = excluded.created_at",
        )
        .bind(upload.repository.to_string())
        .bind(&upload.caller)
        .bind(&upload.key)
        .bind(&upload.digest)
        .bind(&upload.commit)
        .bind(&upload.branch)
        .bind(upload.done)
        .bind(now.0)
        .execute(change.connection())
        .await?;
        change.commit_records().await
    }
}

/// For how long an upload may be repeated.
const KEPT: Duration = Duration::from_secs(24 * 3600);
