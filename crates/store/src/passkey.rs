//! Passkeys of accounts. What one has shown is not looked at here.

use doorward_rules::{AccountId, CredentialId, Timestamp};
use secrecy::SecretString;

use crate::account::{account, subject};
use crate::row::Row;
use crate::second_step::{end_other_sessions, forget_second_steps, recovery_codes};
use crate::{Account, Noun, Store, StoreError};

/// A passkey of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passkey {
    /// By what it is known again.
    pub id: Vec<u8>,
    /// What its owner calls it.
    pub name: String,
    /// Its public key, as it was given.
    pub key: Vec<u8>,
    /// How often it was used, as far as it counts.
    pub counter: u32,
    /// Whether its owner has it on other devices, too.
    pub backed_up: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last used.
    pub last_used_at: Option<Timestamp>,
}

impl Store {
    /// The passkeys of an account, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn passkeys(&self, account: AccountId) -> Result<Vec<Passkey>, StoreError> {
        let rows = sqlx::query("SELECT * FROM passkey WHERE account_id = $1 ORDER BY created_at, id")
            .bind(account.to_string())
            .fetch_all(self.reading())
            .await?;
        rows.into_iter().map(|row| passkey(&Row(row))).collect()
    }

    /// A passkey, and whose it is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn passkey(&self, id: &[u8]) -> Result<Option<(Passkey, Account)>, StoreError> {
        let found = sqlx::query("SELECT * FROM passkey WHERE id = $1").bind(id).fetch_optional(self.reading()).await?;
        let Some(row) = found.map(Row) else { return Ok(None) };
        let owner = sqlx::query("SELECT * FROM account WHERE id = $1")
            .bind(row.text("account_id")?)
            .fetch_one(self.reading())
            .await?;
        Ok(Some((passkey(&row)?, account(&Row(owner))?)))
    }

    /// Gives an account a passkey. If it is the first second step of the account, a second step is asked for from now on, other sessions
    /// have ended, and the codes to recover with are returned, this once.
    ///
    /// # Errors
    /// [`StoreError::Exists`] if it is somebody's already, [`StoreError::State`] if the account has as many as it may.
    pub async fn add_passkey(
        &self,
        account: &Account,
        new: &Passkey,
        but: CredentialId,
        now: Timestamp,
    ) -> Result<Option<Vec<SecretString>>, StoreError> {
        let id = account.id.to_string();
        let mut change = self.change(now).await?;
        let (has, steps): (i64, i64) = sqlx::query_as(
            "SELECT (SELECT count(*) FROM passkey WHERE account_id = $1), \
                    (SELECT count(*) FROM second_step WHERE account_id = $1 AND confirmed_at IS NOT NULL)",
        )
        .bind(&id)
        .fetch_one(change.connection())
        .await?;
        if has >= MOST {
            return Err(StoreError::State(format!("an account has {MOST} passkeys at most")));
        }
        sqlx::query(
            "INSERT INTO passkey (id, account_id, name, key, counter, backed_up, created_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(&new.id)
        .bind(&id)
        .bind(&new.name)
        .bind(&new.key)
        .bind(i64::from(new.counter))
        .bind(new.backed_up)
        .bind(now.0)
        .execute(change.connection())
        .await
        .map_err(|error| StoreError::inserting(Noun::Passkey, &new.name, error))?;
        let mut codes = None;
        if has + steps == 0 {
            codes = Some(recovery_codes(&mut change, &id).await?);
            sqlx::query("UPDATE account SET two_step = TRUE WHERE id = $1")
                .bind(&id)
                .execute(change.connection())
                .await?;
            end_other_sessions(&mut change, &id, but).await?;
        }
        let sentence = format!("`{}` got a passkey, `{}`", account.name, new.name);
        change.commit("account.passkey", &subject(&account.name), sentence).await?;
        Ok(codes)
    }

    /// Notes that a passkey was used, and how often it says it was: whether nobody has noted that of it, or more, in the meantime.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn use_passkey(
        &self,
        id: &[u8],
        counter: u32,
        backed_up: bool,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query(
            "UPDATE passkey SET counter = $1, backed_up = $2, last_used_at = $3 \
             WHERE id = $4 AND (counter < $1 OR (counter = 0 AND $1 = 0))",
        )
        .bind(i64::from(counter))
        .bind(backed_up)
        .bind(now.0)
        .bind(id)
        .execute(change.connection())
        .await?;
        change.commit_records().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a passkey from an account, whose other sessions have ended: whoever has found it may have opened one. If it was the last
    /// second step, none is asked for any more.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if the account has no such passkey.
    pub async fn remove_passkey(
        &self,
        account: &Account,
        id: &[u8],
        but: CredentialId,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let owner = account.id.to_string();
        let mut change = self.change(now).await?;
        let name: Option<String> =
            sqlx::query_scalar("DELETE FROM passkey WHERE id = $1 AND account_id = $2 RETURNING name")
                .bind(id)
                .bind(&owner)
                .fetch_optional(change.connection())
                .await?;
        let Some(name) = name else {
            return change.give_up_with(StoreError::missing(Noun::Passkey, "of that id")).await;
        };
        end_other_sessions(&mut change, &owner, but).await?;
        let left: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM passkey WHERE account_id = $1) \
                  + (SELECT count(*) FROM second_step WHERE account_id = $1 AND confirmed_at IS NOT NULL)",
        )
        .bind(&owner)
        .fetch_one(change.connection())
        .await?;
        if left == 0 {
            forget_second_steps(&mut change, &owner).await?;
        }
        let sentence = format!("the passkey `{name}` was taken from `{}`", account.name);
        change.commit("account.passkey_removed", &subject(&account.name), sentence).await
    }
}

fn passkey(row: &Row) -> Result<Passkey, StoreError> {
    Ok(Passkey {
        id: row.bytes("id")?,
        name: row.text("name")?,
        key: row.bytes("key")?,
        counter: u32::try_from(row.number("counter")?).unwrap_or(u32::MAX),
        backed_up: row.truth("backed_up")?,
        created_at: row.time("created_at")?,
        last_used_at: row.optional_time("last_used_at")?,
    })
}

/// Passkeys of an account.
const MOST: i64 = 20;
