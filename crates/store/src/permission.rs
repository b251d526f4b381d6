//! What accounts may do to repositories, and where they have it from.

use doorward_rules::{Privilege, Timestamp};
use doorward_wire::{AccountName, RepositoryName};

use crate::row::Row;
use crate::{Store, StoreError};

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
        let (repository, workspace) = (self.repository(name).await?, self.workspace(&name.workspace).await?);
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
