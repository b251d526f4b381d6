//! Accounts: people and bots.

use doorward_rules::{AccountId, Timestamp};
use doorward_wire::{AccountName, Email};

use crate::database::new_id;
use crate::identity::forget_identities;
use crate::row::Row;
use crate::second_step::forget_second_steps;
use crate::{Change, Noun, Store, StoreError};

/// An account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its user name.
    pub name: AccountName,
    /// Its e-mail address.
    pub email: Email,
    /// Whether its credentials are refused.
    pub disabled: bool,
    /// Whether it administers the server, also from elsewhere.
    pub administrator: bool,
    /// Whether an organisation manages it.
    pub managed: bool,
    /// Whether it has two-step verification.
    pub two_step: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What is to be said of an account anew. What is `None` stays.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AccountChange {
    /// Whether its credentials are refused.
    pub disabled: Option<bool>,
    /// Whether it administers the server.
    pub administrator: Option<bool>,
    /// Whether an organisation manages it.
    pub managed: Option<bool>,
    /// Whether it has two-step verification.
    pub two_step: Option<bool>,
}

impl Store {
    /// Makes an account.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if the name or the address is taken.
    pub async fn create_account(
        &self,
        name: &AccountName,
        email: &Email,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        let mut change = self.change(now).await?;
        let made = insert(&mut change, name, email, false).await?;
        change.commit("account.created", &subject(name), format!("account `{name}` was created")).await?;
        Ok(made)
    }

    /// Says of an account whether it is disabled, administers the server, is managed, and has two-step verification. Its
    /// credentials stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account.
    pub async fn change_account(
        &self,
        name: &AccountName,
        wanted: AccountChange,
        now: Timestamp,
    ) -> Result<Account, StoreError> {
        let mut change = self.change(now).await?;
        let row = sqlx::query(
            "UPDATE account SET disabled = coalesce($1, disabled), administrator = coalesce($2, administrator), \
             managed = coalesce($3, managed), two_step = coalesce($4, two_step) WHERE name = $5 RETURNING *",
        )
        .bind(wanted.disabled)
        .bind(wanted.administrator)
        .bind(wanted.managed)
        .bind(wanted.two_step)
        .bind(name.as_str())
        .fetch_optional(change.connection())
        .await?;
        let changed = match row {
            Some(row) => account(&Row(row))?,
            None => return Err(StoreError::missing(Noun::Account, name)),
        };
        if wanted.two_step == Some(false) {
            // Whoever has lost app, passkeys and codes is let in by the password alone again.
            forget_second_steps(&mut change, &changed.id.to_string()).await?;
        }
        if wanted.managed == Some(false) {
            // Whoever is it at a provider is not it any more.
            forget_identities(&mut change, &changed.id.to_string()).await?;
        }
        // What gives or takes most is what it is called by.
        let event = match (wanted.administrator, wanted.disabled) {
            (Some(true), _) => "account.administrator",
            (Some(false), _) => "account.no_administrator",
            (None, Some(true)) => "account.disabled",
            (None, Some(false)) => "account.enabled",
            (None, None) => "account.standing",
        };
        change.commit(event, &subject(name), format!("account `{name}` is {}", wanted.told())).await?;
        Ok(changed)
    }

    /// The account of this name.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn account(&self, name: &AccountName) -> Result<Account, StoreError> {
        let row = sqlx::query("SELECT * FROM account WHERE name = $1")
            .bind(name.as_str())
            .fetch_optional(self.reading())
            .await?
            .ok_or_else(|| StoreError::missing(Noun::Account, name))?;
        account(&Row(row))
    }

    /// The account with this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn account_by_id(&self, id: AccountId) -> Result<Account, StoreError> {
        let row = sqlx::query("SELECT * FROM account WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reading())
            .await?
            .ok_or_else(|| StoreError::missing(Noun::Account, id))?;
        account(&Row(row))
    }

    /// Every account, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query("SELECT * FROM account ORDER BY created_at, id").fetch_all(self.reading()).await?;
        rows.into_iter().map(|row| account(&Row(row))).collect()
    }
}

impl AccountChange {
    /// What is said, in words.
    fn told(self) -> String {
        let parts = [
            self.disabled.map(|yes| if yes { "disabled" } else { "enabled" }),
            self.administrator.map(|yes| if yes { "an administrator" } else { "no administrator" }),
            self.managed.map(|yes| if yes { "managed" } else { "not managed" }),
            self.two_step.map(|yes| if yes { "signing in with two steps" } else { "signing in with one step" }),
        ];
        parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
    }
}

/// Makes an account that nothing else is said of yet.
pub(crate) async fn insert(
    change: &mut Change,
    name: &AccountName,
    email: &Email,
    managed: bool,
) -> Result<Account, StoreError> {
    let now = change.at();
    let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM account WHERE email = $1")
        .bind(email.as_str())
        .fetch_one(change.connection())
        .await?;
    if taken > 0 {
        return Err(StoreError::Exists { noun: Noun::Email, name: email.to_string() });
    }
    let row = sqlx::query(
        "INSERT INTO account (id, name, email, disabled, managed, created_at) VALUES ($1, $2, $3, FALSE, $4, $5) \
         RETURNING *",
    )
    .bind(new_id(now).to_string())
    .bind(name.as_str())
    .bind(email.as_str())
    .bind(managed)
    .bind(now.0)
    .fetch_one(change.connection())
    .await
    .map_err(|error| StoreError::inserting(Noun::Account, name, error))?;
    account(&Row(row))
}

/// An account as the audit names it: never as a workspace is named.
pub(crate) fn subject(name: &AccountName) -> String {
    format!("@{name}")
}

pub(crate) fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        email: row.parsed("email")?,
        disabled: row.truth("disabled")?,
        administrator: row.truth("administrator")?,
        managed: row.truth("managed")?,
        two_step: row.truth("two_step")?,
        created_at: row.time("created_at")?,
    })
}
