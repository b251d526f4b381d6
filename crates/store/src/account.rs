//! Accounts: people and bots.

use doorward_rules::{AccountId, Timestamp};
use doorward_wire::{AccountName, Email};

use crate::database::new_id;
use crate::row::Row;
use crate::{Noun, Store, StoreError};

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
    /// When it was made.
    pub created_at: Timestamp,
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
        let id = AccountId(new_id(now));
        let mut change = self.change(now).await?;
        let taken: i64 = sqlx::query_scalar("SELECT count(*) FROM account WHERE email = $1")
            .bind(email.as_str())
            .fetch_one(change.connection())
            .await?;
        if taken > 0 {
            return Err(StoreError::Exists { noun: Noun::Email, name: email.to_string() });
        }
        sqlx::query("INSERT INTO account (id, name, email, disabled, created_at) VALUES ($1, $2, $3, FALSE, $4)")
            .bind(id.to_string())
            .bind(name.as_str())
            .bind(email.as_str())
            .bind(now.0)
            .execute(change.connection())
            .await
            .map_err(|error| StoreError::inserting(Noun::Account, name, error))?;
        change.commit("account.created", name.as_str(), format!("account `{name}` was created")).await?;
        Ok(Account { id, name: name.clone(), email: email.clone(), disabled: false, created_at: now })
    }

    /// Disables or enables an account. Its credentials stay as they are.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account.
    pub async fn set_account_disabled(
        &self,
        name: &AccountName,
        disabled: bool,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query("UPDATE account SET disabled = $1 WHERE name = $2")
            .bind(disabled)
            .bind(name.as_str())
            .execute(change.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::missing(Noun::Account, name));
        }
        let (event, what) = if disabled { ("account.disabled", "disabled") } else { ("account.enabled", "enabled") };
        change.commit(event, name.as_str(), format!("account `{name}` was {what}")).await
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

    /// Every account, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn accounts(&self) -> Result<Vec<Account>, StoreError> {
        let rows = sqlx::query("SELECT * FROM account ORDER BY created_at, id").fetch_all(self.reading()).await?;
        rows.into_iter().map(|row| account(&Row(row))).collect()
    }
}

fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        email: row.parsed("email")?,
        disabled: row.truth("disabled")?,
        created_at: row.time("created_at")?,
    })
}
