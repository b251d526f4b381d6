//! What accounts may do to repositories, and where they have it from.

use doorward_rules::{AccountId, Privilege, RepositoryId, Timestamp, WorkspaceId};
use doorward_wire::{AccountName, RepositoryName};

use crate::account::account;
use crate::row::Row;
use crate::{Account, Noun, Store, StoreError};

/// What one account may do to one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Permission {
    /// The account.
    pub account: AccountName,
    /// What it may do.
    pub privilege: Privilege,
    /// Where it has that from.
    pub source: PermissionSource,
}

/// What an account may do to a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPermission {
    /// The repository.
    pub repository: RepositoryId,
    /// Its workspace.
    pub workspace: WorkspaceId,
    /// Its name.
    pub name: RepositoryName,
    /// What the account may do.
    pub privilege: Privilege,
}

/// Where a privilege comes from. The first that applies counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PermissionSource {
    /// The account owns the workspace: admin.
    Owner,
    /// It was set on this repository, also to none.
    Given,
    /// The account is a member of the workspace: read.
    Member,
}

impl PermissionSource {
    /// The word for it in lists.
    pub fn word(self) -> &'static str {
        match self {
            Self::Owner => "owner",
            Self::Given => "given",
            Self::Member => "member",
        }
    }

    /// What an account may do, and from where.
    pub(crate) fn resolve(owner: bool, given: Option<Privilege>, member: bool) -> Option<(Privilege, Self)> {
        if owner {
            Some((Privilege::Admin, Self::Owner))
        } else if let Some(privilege) = given {
            Some((privilege, Self::Given))
        } else {
            member.then_some((Privilege::Read, Self::Member))
        }
    }
}

impl Store {
    /// Gives an account a privilege on a repository, in place of what it had by membership or was given before.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such repository or account, [`StoreError::State`] if the account owns the
    /// workspace.
    pub async fn set_permission(
        &self,
        name: &RepositoryName,
        account: &AccountName,
        privilege: Privilege,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.set_permission_on(self.repository(name).await?.id, account, privilege, now).await
    }

    /// The same on the repository with an id, whatever has its name by now.
    ///
    /// # Errors
    /// As for [`Self::set_permission`].
    pub async fn set_permission_on(
        &self,
        repository: RepositoryId,
        account: &AccountName,
        privilege: Privilege,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let repository = self.repository_by_id(repository).await?;
        let name = &repository.name;
        let workspace = self.workspace(&name.workspace).await?;
        let id = self.account(account).await?.id;
        if workspace.owner == *account && privilege != Privilege::Admin {
            let slug = &name.workspace;
            return Err(StoreError::State(format!(
                "`{account}` owns the workspace `{slug}` and is always its administrator"
            )));
        }
        let mut change = self.change(now).await?;
        sqlx::query(
            "INSERT INTO permission (repository_id, account_id, privilege) VALUES ($1, $2, $3) \
             ON CONFLICT (repository_id, account_id) DO UPDATE SET privilege = excluded.privilege",
        )
        .bind(repository.id.to_string())
        .bind(id.to_string())
        .bind(privilege.word())
        .execute(change.connection())
        .await?;
        let sentence = format!("`{account}` was given {} access to `{name}`", privilege.word());
        change.commit("permission.set", &name.to_string(), sentence).await
    }

    /// Takes from an account what it was given on a repository; what it has by membership is left.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such repository or account, or it was given nothing.
    pub async fn take_permission(
        &self,
        repository: RepositoryId,
        account: &AccountName,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let (repository, id) = (self.repository_by_id(repository).await?, self.account(account).await?.id);
        let name = &repository.name;
        let mut change = self.change(now).await?;
        let done = sqlx::query("DELETE FROM permission WHERE repository_id = $1 AND account_id = $2")
            .bind(repository.id.to_string())
            .bind(id.to_string())
            .execute(change.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::missing(Noun::Permission, format!("of {account} on {name}")));
        }
        let sentence = format!("what `{account}` was given on `{name}` was taken away");
        change.commit("permission.taken", &name.to_string(), sentence).await
    }

    /// What an account may do to each repository that it may see by more than that the repository is public; by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn permissions_of(&self, account: AccountId) -> Result<Vec<OwnPermission>, StoreError> {
        let rows = sqlx::query(
            "SELECT r.id, r.slug, w.id AS workspace_id, w.slug AS workspace, w.owner_id = $1 AS owner, p.privilege, \
             m.account_id IS NOT NULL AS member \
             FROM repository r JOIN workspace w ON w.id = r.workspace_id \
             LEFT JOIN permission p ON p.repository_id = r.id AND p.account_id = $1 \
             LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = $1 \
             WHERE w.owner_id = $1 OR p.privilege IS NOT NULL OR m.account_id IS NOT NULL ORDER BY w.slug, r.slug",
        )
        .bind(account.to_string())
        .fetch_all(self.reading())
        .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(Row) {
            let privilege = resolve(&row)?.map_or(Privilege::None, |(privilege, _)| privilege);
            if privilege > Privilege::None {
                found.push(OwnPermission {
                    repository: row.parsed("id")?,
                    workspace: row.parsed("workspace_id")?,
                    name: RepositoryName { workspace: row.parsed("workspace")?, slug: row.parsed("slug")? },
                    privilege,
                });
            }
        }
        Ok(found)
    }

    /// Those of the accounts with these addresses that belong to a repository's workspace, or were given something on it.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn people_with_addresses(
        &self,
        repository: RepositoryId,
        addresses: &[String],
    ) -> Result<Vec<Account>, StoreError> {
        let mut people = Vec::new();
        for some in addresses.chunks(ADDRESSES) {
            let places: Vec<String> = (2..some.len() + 2).map(|place| format!("${place}")).collect();
            let sql = format!(
                "SELECT a.* FROM account a JOIN repository r ON r.id = $1 JOIN workspace w ON w.id = r.workspace_id \
                 WHERE a.email IN ({}) AND (w.owner_id = a.id \
                 OR EXISTS (SELECT 1 FROM member m WHERE m.workspace_id = w.id AND m.account_id = a.id) \
                 OR EXISTS (SELECT 1 FROM permission p WHERE p.repository_id = r.id AND p.account_id = a.id))",
                places.join(", ")
            );
            let query = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(repository.to_string());
            let rows = some.iter().fold(query, |query, address| query.bind(address)).fetch_all(self.reading()).await?;
            for row in rows {
                people.push(account(&Row(row))?);
            }
        }
        Ok(people)
    }

    /// The accounts that may do something to a repository by more than that it is public, and what; by name.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn people_with(&self, repository: RepositoryId) -> Result<Vec<(Account, Privilege)>, StoreError> {
        let rows = sqlx::query(
            "SELECT a.*, w.owner_id = a.id AS owner, p.privilege, m.account_id IS NOT NULL AS member \
             FROM repository r JOIN workspace w ON w.id = r.workspace_id CROSS JOIN account a \
             LEFT JOIN permission p ON p.repository_id = r.id AND p.account_id = a.id \
             LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = a.id \
             WHERE r.id = $1 AND (w.owner_id = a.id OR p.privilege IS NOT NULL OR m.account_id IS NOT NULL) \
             ORDER BY a.name",
        )
        .bind(repository.to_string())
        .fetch_all(self.reading())
        .await?;
        let mut people = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(Row) {
            let privilege = resolve(&row)?.map_or(Privilege::None, |(privilege, _)| privilege);
            if privilege > Privilege::None {
                people.push((account(&row)?, privilege));
            }
        }
        Ok(people)
    }

    /// Who may do what to a repository, and who was given nothing; by name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such repository.
    pub async fn permissions(&self, name: &RepositoryName) -> Result<Vec<Permission>, StoreError> {
        let repository = self.repository(name).await?;
        let rows = sqlx::query(
            "SELECT a.name, w.owner_id = a.id AS owner, p.privilege, m.account_id IS NOT NULL AS member \
             FROM repository r JOIN workspace w ON w.id = r.workspace_id CROSS JOIN account a \
             LEFT JOIN permission p ON p.repository_id = r.id AND p.account_id = a.id \
             LEFT JOIN member m ON m.workspace_id = w.id AND m.account_id = a.id \
             WHERE r.id = $1 AND (w.owner_id = a.id OR p.privilege IS NOT NULL OR m.account_id IS NOT NULL) \
             ORDER BY a.name",
        )
        .bind(repository.id.to_string())
        .fetch_all(self.reading())
        .await?;
        let mut permissions = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(Row) {
            if let Some((privilege, source)) = resolve(&row)? {
                permissions.push(Permission { account: row.parsed("name")?, privilege, source });
            }
        }
        Ok(permissions)
    }
}

/// Reads the columns `owner`, `privilege` and `member`.
pub(crate) fn resolve(row: &Row) -> Result<Option<(Privilege, PermissionSource)>, StoreError> {
    let given = match row.optional_text("privilege")? {
        Some(_) => Some(row.word("privilege", Privilege::from_word)?),
        None => None,
    };
    Ok(PermissionSource::resolve(row.truth("owner")?, given, row.truth("member")?))
}

/// Addresses in one question.
const ADDRESSES: usize = 100;
