//! What was reported of commits: by builds, scans and deployments. No decision depends on it.

use doorward_rules::{RepositoryId, Timestamp};

use crate::row::Row;
use crate::{Store, StoreError};

/// What was reported of a commit under one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CommitStatus {
    /// The commit's id.
    pub commit: String,
    /// What the reporter calls it; of one commit and key there is one report, the latest.
    pub key: String,
    /// `SUCCESSFUL`, `FAILED`, `INPROGRESS` or `STOPPED`.
    pub state: String,
    /// What people call it.
    pub name: String,
    /// More about it.
    pub description: String,
    /// Where to read on.
    pub url: String,
    /// The branch or tag that it was done for, if it was said.
    pub refname: Option<String>,
    /// When it was first reported.
    pub created_at: Timestamp,
    /// When it was last reported.
    pub updated_at: Timestamp,
}

impl Store {
    /// Keeps a report, in place of what was reported of the same commit under the same key; what is kept then.
    ///
    /// # Errors
    /// [`StoreError::State`] if the commit has as many reports as it may.
    pub async fn report_status(
        &self,
        repository: RepositoryId,
        status: &CommitStatus,
    ) -> Result<CommitStatus, StoreError> {
        let mut change = self.change(status.updated_at).await?;
        let others: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM commit_status WHERE repository_id = $1 AND commit_id = $2 AND key <> $3",
        )
        .bind(repository.to_string())
        .bind(&status.commit)
        .bind(&status.key)
        .fetch_one(change.connection())
        .await?;
        if others >= MOST {
            return Err(StoreError::State(format!("a commit may have {MOST} reports")));
        }
        let row = sqlx::query(
            "INSERT INTO commit_status (repository_id, commit_id, key, state, name, description, url, refname, \
             created_at, updated_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) \
             ON CONFLICT (repository_id, commit_id, key) DO UPDATE SET state = excluded.state, name = excluded.name, \
             description = excluded.description, url = excluded.url, refname = excluded.refname, \
             updated_at = excluded.updated_at RETURNING *",
        )
        .bind(repository.to_string())
        .bind(&status.commit)
        .bind(&status.key)
        .bind(&status.state)
        .bind(&status.name)
        .bind(&status.description)
        .bind(&status.url)
        .bind(&status.refname)
        .bind(status.created_at.0)
        .bind(status.updated_at.0)
        .fetch_one(change.connection())
        .await?;
        change.commit_records().await?;
        commit_status(&Row(row))
    }

    /// What was reported of a commit, the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn statuses(&self, repository: RepositoryId, commit: &str) -> Result<Vec<CommitStatus>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM commit_status WHERE repository_id = $1 AND commit_id = $2 ORDER BY updated_at DESC, key",
        )
        .bind(repository.to_string())
        .bind(commit)
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(|row| commit_status(&Row(row))).collect()
    }
}

fn commit_status(row: &Row) -> Result<CommitStatus, StoreError> {
    Ok(CommitStatus {
        commit: row.text("commit_id")?,
        key: row.text("key")?,
        state: row.text("state")?,
        name: row.text("name")?,
        description: row.text("description")?,
        url: row.text("url")?,
        refname: row.optional_text("refname")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// How many keys there may be reports under, of one commit.
const MOST: i64 = 1000;
