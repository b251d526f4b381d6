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
    /// Whether an organisation manages it.
    pub managed: bool,
    /// Whether it has two-step verification.
    pub two_step: bool,
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
        Ok(Account {
            id,
            name: name.clone(),
            email: email.clone(),
            disabled: false,
            managed: false,
            two_step: false,
            created_at: now,
        })
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

    /// Says whether an organisation manages an account, and whether it has two-step verification. What is `None` stays.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such account.
    pub async fn set_account_standing(
        &self,
        name: &AccountName,
        managed: Option<bool>,
        two_step: Option<bool>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let row = sqlx::query(
            "UPDATE account SET managed = coalesce($1, managed), two_step = coalesce($2, two_step) WHERE name = $3 \
             RETURNING *",
        )
        .bind(managed)
        .bind(two_step)
        .bind(name.as_str())
        .fetch_optional(change.connection())
        .await?;
        let Account { managed, two_step, .. } = match row {
            Some(row) => account(&Row(row))?,
            None => return Err(StoreError::missing(Noun::Account, name)),
        };
        let (whose, steps) =
            (if managed { "managed" } else { "not managed" }, if two_step { "two steps" } else { "one step" });
        let sentence = format!("account `{name}` is {whose} and signs in with {steps}");
        change.commit("account.standing", name.as_str(), sentence).await
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

pub(crate) fn account(row: &Row) -> Result<Account, StoreError> {
    Ok(Account {
        id: row.parsed("id")?,
        name: row.parsed("name")?,
        email: row.parsed("email")?,
        disabled: row.truth("disabled")?,
        managed: row.truth("managed")?,
        two_step: row.truth("two_step")?,
        created_at: row.time("created_at")?,
    })
}
