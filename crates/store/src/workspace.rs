//! Workspaces and who belongs to them.

use doorward_rules::{AccountId, Timestamp, WorkspaceId};
use doorward_wire::{AccountName, WorkspaceSlug};

use crate::account::account;
use crate::database::new_id;
use crate::row::Row;
use crate::{Account, Change, Noun, Store, StoreError};

/// A workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Its id.
    pub id: WorkspaceId,
    /// Its name in URLs.
    pub slug: WorkspaceSlug,
    /// The account that may do everything in it.
    pub owner: AccountName,
    /// The accounts that may read its repositories.
    pub members: Vec<Member>,
    /// When it was made.
    pub created_at: Timestamp,
}

/// An account that belongs to a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// The account.
    pub account: AccountName,
    /// Since when.
    pub since: Timestamp,
}

impl Store {
    /// Makes a workspace.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the name is taken, [`StoreError::Missing`] if there is no such account.
    pub async fn create_workspace(
        &self,
        slug: &WorkspaceSlug,
        owner: &AccountName,
        now: Timestamp,
    ) -> Result<Workspace, StoreError> {
        let account = self.account(owner).await?;
        let id = WorkspaceId(new_id(now));
        let mut change = self.change(now).await?;
        sqlx::query("INSERT INTO workspace (id, slug, owner_id, created_at) VALUES ($1, $2, $3, $4)")
            .bind(id.to_string())
            .bind(slug.as_str())
            .bind(account.id.to_string())
            .bind(now.0)
            .execute(change.connection())
            .await
            .map_err(|error| StoreError::inserting(Noun::Workspace, slug, error))?;
        sqlx::query("INSERT INTO project (id, workspace_id, key, name, created_at) VALUES ($1, $2, 'PROJ', $3, $4)")
            .bind(new_id(now).to_string())
            .bind(id.to_string())
            .bind(slug.as_str())
            .bind(now.0)
            .execute(change.connection())
            .await?;
        let sentence = format!("workspace `{slug}` was created for `{owner}`");
        change.commit("workspace.created", slug.as_str(), sentence).await?;
        Ok(Workspace { id, slug: slug.clone(), owner: owner.clone(), members: Vec::new(), created_at: now })
    }

    /// Makes an account a member of a workspace: it may read the workspace's repositories.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace or account, [`StoreError::Exists`] if it is a member.
    pub async fn add_member(&self, slug: &WorkspaceSlug, name: &AccountName, now: Timestamp) -> Result<(), StoreError> {
        let (workspace, account) = (self.workspace(slug).await?, self.account(name).await?);
        let mut change = self.change(now).await?;
        // Who is one by a group is one by hand from now on.
        let done = sqlx::query(
            "INSERT INTO member (workspace_id, account_id, created_at) VALUES ($1, $2, $3) \
             ON CONFLICT (workspace_id, account_id) DO UPDATE SET by_group = FALSE WHERE by_group",
        )
        .bind(workspace.id.to_string())
        .bind(account.id.to_string())
        .bind(now.0)
        .execute(change.connection())
        .await?;
        if done.rows_affected() == 0 {
            let error = StoreError::Exists { noun: Noun::Member, name: name.to_string() };
            return change.give_up_with(error).await;
        }
        change.commit("member.added", slug.as_str(), format!("`{name}` became a member of `{slug}`")).await
    }

    /// Takes an account out of a workspace, with everything it was given on the workspace's repositories.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such workspace, or the account is not a member.
    pub async fn remove_member(
        &self,
        slug: &WorkspaceSlug,
        name: &AccountName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (workspace, account) = (self.workspace(slug).await?, self.account(name).await?);
        let mut change = self.change(now).await?;
        if !take_out(&mut change, &workspace.id.to_string(), &account.id.to_string()).await? {
            return Err(StoreError::missing(Noun::Member, name));
        }
        change.commit("member.removed", slug.as_str(), format!("`{name}` is no longer a member of `{slug}`")).await
    }

    /// The workspace of this name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn workspace(&self, slug: &WorkspaceSlug) -> Result<Workspace, StoreError> {
        let workspaces = self.workspaces_named(Some(slug)).await?;
        workspaces.into_iter().next().ok_or_else(|| StoreError::missing(Noun::Workspace, slug))
    }

    /// The workspace with this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn workspace_by_id(&self, id: WorkspaceId) -> Result<Workspace, StoreError> {
        let slug: Option<String> = sqlx::query_scalar("SELECT slug FROM workspace WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reading())
            .await?;
        let missing = || StoreError::missing(Noun::Workspace, id);
        self.workspace(&slug.and_then(|slug| slug.parse().ok()).ok_or_else(missing)?).await
    }

    /// The accounts that belong to a workspace, its owner first and the others by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn people_of(&self, id: WorkspaceId) -> Result<Vec<(Account, bool)>, StoreError> {
        let rows = sqlx::query(
            "SELECT a.*, w.owner_id = a.id AS owner FROM workspace w JOIN account a ON a.id = w.owner_id \
             OR EXISTS (SELECT 1 FROM member m WHERE m.workspace_id = w.id AND m.account_id = a.id) \
             WHERE w.id = $1 ORDER BY w.owner_id = a.id DESC, a.name",
        )
        .bind(id.to_string())
        .fetch_all(self.reading())
        .await?;
        rows.into_iter().map(Row).map(|row| Ok((account(&row)?, row.truth("owner")?))).collect()
    }

    /// Every workspace, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn workspaces(&self) -> Result<Vec<Workspace>, StoreError> {
        self.workspaces_named(None).await
    }

    /// The workspaces that an account owns or belongs to, and whether it owns them; by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn workspaces_of(&self, account: AccountId) -> Result<Vec<(Workspace, bool)>, StoreError> {
        let rows = sqlx::query(
            "SELECT w.slug, w.owner_id = $1 AS owner FROM workspace w WHERE w.owner_id = $1 \
             OR EXISTS (SELECT 1 FROM member m WHERE m.workspace_id = w.id AND m.account_id = $1) ORDER BY w.slug",
        )
        .bind(account.to_string())
        .fetch_all(self.reading())
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(Row) {
            found.push((self.workspace(&row.parsed("slug")?).await?, row.truth("owner")?));
        }
        Ok(found)
    }

    async fn workspaces_named(&self, slug: Option<&WorkspaceSlug>) -> Result<Vec<Workspace>, StoreError> {
        let sql = "SELECT w.id, w.slug, w.created_at, owner.name AS owner, a.name AS member, m.created_at AS since \
             FROM workspace w JOIN account owner ON owner.id = w.owner_id \
             LEFT JOIN member m ON m.workspace_id = w.id LEFT JOIN account a ON a.id = m.account_id \
             WHERE $1 IS NULL OR w.slug = $1 ORDER BY w.created_at, w.id, a.name";
        let rows = sqlx::query(sql).bind(slug.map(WorkspaceSlug::as_str)).fetch_all(self.reading()).await?;
        let mut workspaces: Vec<Workspace> = Vec::new();
        for row in rows.into_iter().map(Row) {
            let id = row.parsed("id")?;
            if workspaces.last().is_none_or(|last| last.id != id) {
                workspaces.push(Workspace {
                    id,
                    slug: row.parsed("slug")?,
                    owner: row.parsed("owner")?,
                    members: Vec::new(),
                    created_at: row.time("created_at")?,
                });
            }
            if let (Some(account), Some(workspace)) = (row.optional_parsed("member")?, workspaces.last_mut()) {
                workspace.members.push(Member { account, since: row.time("since")? });
            }
        }
        Ok(workspaces)
    }
}

/// Takes an account out of a workspace, with everything it was given there; whether it was a member.
pub(crate) async fn take_out(change: &mut Change, workspace: &str, account: &str) -> Result<bool, StoreError> {
    let done = sqlx::query("DELETE FROM member WHERE workspace_id = $1 AND account_id = $2")
        .bind(workspace)
        .bind(account)
        .execute(change.connection())
        .await?;
    let given = "DELETE FROM permission WHERE account_id = $1 \
         AND repository_id IN (SELECT id FROM repository WHERE workspace_id = $2)";
    if done.rows_affected() > 0 {
        sqlx::query(given).bind(account).bind(workspace).execute(change.connection()).await?;
    }
    Ok(done.rows_affected() > 0)
}
