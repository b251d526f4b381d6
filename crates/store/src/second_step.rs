//! What an account is asked for after its password: codes of an authenticator app, and codes to recover with.

use doorward_rules::{AccountId, CredentialId, Timestamp};
use secrecy::{SecretSlice, SecretString};

use crate::account::subject;
use crate::row::Row;
use crate::secret::{digest, random_letters};
use crate::{Account, Store, StoreError};

/// The second step of an account.
#[derive(Debug)]
pub struct SecondStep {
    /// What the app has, too.
    pub secret: SecretSlice<u8>,
    /// Whether a code of the app was seen, since when it is asked for.
    pub confirmed: bool,
}

impl Store {
    /// The second step of an account, if it has begun with one.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] if its secret was sealed by another key.
    pub async fn second_step(&self, account: AccountId) -> Result<Option<SecondStep>, StoreError> {
        let row = sqlx::query("SELECT sealed, confirmed_at FROM second_step WHERE account_id = $1")
            .bind(account.to_string())
            .fetch_optional(self.reading())
            .await?;
        let Some(row) = row.map(Row) else { return Ok(None) };
        Ok(Some(SecondStep {
            secret: self.seal.read(&purpose(account), &row.bytes("sealed")?)?,
            confirmed: row.optional_number("confirmed_at")?.is_some(),
        }))
    }

    /// How many codes to recover with an account has that were not used yet.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn recovery_codes_left(&self, account: AccountId) -> Result<u32, StoreError> {
        let left: i64 =
            sqlx::query_scalar("SELECT count(*) FROM recovery_code WHERE account_id = $1 AND used_at IS NULL")
                .bind(account.to_string())
                .fetch_one(self.reading())
                .await?;
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    /// Begins with a second step: it is asked for once a code was seen. One that was begun before and not confirmed is
    /// forgotten.
    ///
    /// # Errors
    /// [`StoreError::State`] if the account has one already.
    pub async fn begin_second_step(&self, account: &Account, secret: &[u8], now: Timestamp) -> Result<(), StoreError> {
        let sealed = self.seal.close(&purpose(account.id), secret);
        let mut change = self.change(now).await?;
        let done = sqlx::query(
            "INSERT INTO second_step (account_id, sealed, last_step) VALUES ($1, $2, 0) \
             ON CONFLICT (account_id) DO UPDATE SET sealed = excluded.sealed WHERE second_step.confirmed_at IS NULL",
        )
        .bind(account.id.to_string())
        .bind(sealed)
        .execute(change.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::State("two-step verification is on already".into()));
        }
        change.commit_records().await
    }

    /// Confirms a second step with the code of a moment, given as its number; from now on it is asked for. The codes to recover
    /// with, which are told this once. Other sessions of the account, which came without it, have ended.
    ///
    /// # Errors
    /// [`StoreError::State`] if there is none to be confirmed.
    pub async fn confirm_second_step(
        &self,
        account: &Account,
        step: i64,
        but: CredentialId,
        now: Timestamp,
    ) -> Result<Vec<SecretString>, StoreError> {
        let id = account.id.to_string();
        let mut change = self.change(now).await?;
        let done = sqlx::query(
            "UPDATE second_step SET confirmed_at = $1, last_step = $2 WHERE account_id = $3 AND confirmed_at IS NULL",
        )
        .bind(now.0)
        .bind(step)
        .bind(&id)
        .execute(change.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::State("there is no two-step verification to be confirmed".into()));
        }
        let codes = recovery_codes(&mut change, &id).await?;
        sqlx::query("UPDATE account SET two_step = TRUE WHERE id = $1").bind(&id).execute(change.connection()).await?;
        end_other_sessions(&mut change, &id, but).await?;
        let sentence = format!("`{}` turned two-step verification on", account.name);
        change.commit("account.two_step", &subject(&account.name), sentence).await?;
        Ok(codes)
    }

    /// Makes new codes to recover with; those before are worth nothing.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn renew_recovery_codes(
        &self,
        account: &Account,
        now: Timestamp,
    ) -> Result<Vec<SecretString>, StoreError> {
        let mut change = self.change(now).await?;
        let codes = recovery_codes(&mut change, &account.id.to_string()).await?;
        let sentence = format!("`{}` made new recovery codes", account.name);
        change.commit("account.recovery_codes", &subject(&account.name), sentence).await?;
        Ok(codes)
    }

    /// Takes the code of a moment, given as its number: whether it, or a later one, was not taken before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn take_step(&self, account: AccountId, step: i64, now: Timestamp) -> Result<bool, StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query(
            "UPDATE second_step SET last_step = $1 WHERE account_id = $2 AND last_step < $1 AND confirmed_at IS NOT NULL",
        )
        .bind(step)
        .bind(account.to_string())
        .execute(change.connection())
        .await?;
        change.commit_records().await?;
        Ok(done.rows_affected() == 1)
    }

    /// Takes a code to recover with: whether there was such a one, not taken before.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn take_recovery_code(
        &self,
        account: &Account,
        code: &SecretString,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let mut change = self.change(now).await?;
        let done = sqlx::query(
            "UPDATE recovery_code SET used_at = $1 WHERE account_id = $2 AND digest = $3 AND used_at IS NULL",
        )
        .bind(now.0)
        .bind(account.id.to_string())
        .bind(digest(code).as_slice())
        .execute(change.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        let sentence = format!("`{}` signed in with a recovery code", account.name);
        change.commit("account.recovered", &subject(&account.name), sentence).await?;
        Ok(true)
    }

    /// Turns the second steps of an account off: app, passkeys and codes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn end_second_step(&self, account: &Account, now: Timestamp) -> Result<(), StoreError> {
        let id = account.id.to_string();
        let mut change = self.change(now).await?;
        forget_second_steps(&mut change, &id).await?;
        let sentence = format!("two-step verification of `{}` was turned off", account.name);
        change.commit("account.two_step", &subject(&account.name), sentence).await
    }
}

/// Forgets whatever an account is asked for after its password.
pub(crate) async fn forget_second_steps(change: &mut crate::Change, account: &str) -> Result<(), StoreError> {
    for sql in [
        "DELETE FROM second_step WHERE account_id = $1",
        "DELETE FROM passkey WHERE account_id = $1",
        "DELETE FROM recovery_code WHERE account_id = $1",
        "UPDATE account SET two_step = FALSE WHERE id = $1",
    ] {
        sqlx::query(sql).bind(account).execute(change.connection()).await?;
    }
    Ok(())
}

/// Ends the sessions of an account but one.
pub(crate) async fn end_other_sessions(
    change: &mut crate::Change,
    account: &str,
    but: CredentialId,
) -> Result<(), StoreError> {
    let at = change.at();
    sqlx::query(
        "UPDATE credential SET revoked_at = $1 \
         WHERE account_id = $2 AND kind = 'web_session' AND revoked_at IS NULL AND id <> $3",
    )
    .bind(at.0)
    .bind(account)
    .bind(but.to_string())
    .execute(change.connection())
    .await?;
    Ok(())
}

/// Puts new codes in the place of those before.
pub(crate) async fn recovery_codes(change: &mut crate::Change, account: &str) -> Result<Vec<SecretString>, StoreError> {
    sqlx::query("DELETE FROM recovery_code WHERE account_id = $1").bind(account).execute(change.connection()).await?;
    let codes: Vec<SecretString> = (0..CODES).map(|_| random_letters(CODE)).collect();
    for code in &codes {
        sqlx::query("INSERT INTO recovery_code (account_id, digest) VALUES ($1, $2)")
            .bind(account)
            .bind(digest(code).as_slice())
            .execute(change.connection())
            .await?;
    }
    Ok(codes)
}

fn purpose(account: AccountId) -> String {
    format!("second step of {account}")
}

const CODES: usize = 10;
/// Letters of a code: more than 112 bits, so that SHA-256 without salt is enough (OWASP ASVS 2.6.2).
const CODE: usize = 20;
