//! Permissions: who may do what to a repository.

use doorward_rules::Privilege;
use doorward_store::Permission;
use doorward_wire::{AccountName, RepositoryName};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::repository::path;
use crate::{AdminError, Call, Desk, Operation};

/// What an account may do to a repository.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PermissionRow {
    /// The account.
    pub account: String,
    /// `read`, `write`, `admin` or `none`.
    pub privilege: String,
    /// Where that comes from: `owner`, `member`, `given`.
    pub source: String,
}

/// Says what an account may do to a repository.
#[derive(Debug)]
pub struct SetPermission {
    /// The repository.
    pub name: RepositoryName,
    /// The account.
    pub account: AccountName,
    /// What it may do.
    pub privilege: Privilege,
}

/// Lists who may do what to a repository.
#[derive(Debug)]
pub struct ListPermissions {
    /// The repository.
    pub name: RepositoryName,
}

impl Operation for SetPermission {
    type Answer = Vec<PermissionRow>;

    fn call(&self) -> Call {
        let body = json!({ "privilege": self.privilege.word() });
        Call::put(format!("{}/permissions/{}", path(&self.name), self.account), body)
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<PermissionRow>, AdminError> {
        desk.store.set_permission(&self.name, &self.account, self.privilege, desk.now).await?;
        ListPermissions { name: self.name }.carry_out(desk).await
    }
}

impl Operation for ListPermissions {
    type Answer = Vec<PermissionRow>;

    fn call(&self) -> Call {
        Call::list(format!("{}/permissions", path(&self.name)))
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<PermissionRow>, AdminError> {
        Ok(desk.store.permissions(&self.name).await?.iter().map(PermissionRow::of).collect())
    }
}

impl PermissionRow {
    fn of(permission: &Permission) -> Self {
        Self {
            account: permission.account.to_string(),
            privilege: permission.privilege.word().into(),
            source: permission.source.word().into(),
        }
    }
}
