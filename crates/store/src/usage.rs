//! When credentials were used, from where and for what.

use std::collections::HashMap;

use doorward_rules::{Action, CredentialId, Timestamp};
use sqlx::sqlite::SqliteConnection;

use crate::row::Row;
use crate::{Decision, Store, StoreError};

/// The last time that a credential was let in to do one thing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// When.
    pub at: Timestamp,
    /// From where.
    pub address: Option<String>,
    /// Where it was presented.
    pub surface: String,
    /// What it was used for.
    pub action: String,
    /// What that was done to, as it was named.
    pub subject: String,
    /// How often that was.
    pub requests: i64,
}

/// Uses that are still to be written.
#[derive(Debug, Default)]
pub(crate) struct Uses(HashMap<(String, String, String), Use>);

impl Uses {
    /// Notes a decision that let a credential in.
    pub(crate) fn note(&mut self, at: Timestamp, subject: &str, decision: &Decision) {
        let (Some(credential), None) = (&decision.credential, &decision.reason) else { return };
        let key = (credential.clone(), decision.surface.clone(), decision.action.clone());
        let (address, subject) = (decision.address.clone(), subject.to_owned());
        let (surface, action) = (decision.surface.clone(), decision.action.clone());
        let noted = self.0.entry(key).or_insert(Use {
            at,
            address: None,
            surface,
            action,
            subject: String::new(),
            requests: 0,
        });
        noted.requests += 1;
        if at >= noted.at {
            (noted.at, noted.address, noted.subject) = (at, address, subject);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) async fn write(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        for ((credential, ..), noted) in &self.0 {
            sqlx::query(
                "INSERT INTO credential_use (credential_id, surface, action, last_at, address, subject, requests) \
                 VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (credential_id, surface, action) DO UPDATE \
                 SET address = CASE WHEN excluded.last_at < credential_use.last_at THEN credential_use.address ELSE excluded.address END, \
                 subject = CASE WHEN excluded.last_at < credential_use.last_at THEN credential_use.subject ELSE excluded.subject END, \
                 last_at = CASE WHEN excluded.last_at < credential_use.last_at THEN credential_use.last_at ELSE excluded.last_at END, \
                 requests = credential_use.requests + excluded.requests",
            )
            .bind(credential)
            .bind(&noted.surface)
            .bind(&noted.action)
            .bind(noted.at.0)
            .bind(&noted.address)
            .bind(&noted.subject)
            .bind(noted.requests)
            .execute(&mut *connection)
            .await?;
        }
        Ok(())
    }
}

impl Store {
    /// What a credential was last used for, one entry for each thing; the latest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn uses(&self, id: CredentialId) -> Result<Vec<Use>, StoreError> {
        let rows = sqlx::query("SELECT * FROM credential_use WHERE credential_id = $1 ORDER BY last_at DESC")
            .bind(id.as_str())
            .fetch_all(self.reading())
            .await?;
        rows.into_iter().map(|row| usage(&Row(row))).collect()
    }

    /// Whether a credential was let in to do something since a moment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn used_for(&self, id: CredentialId, action: Action, since: Timestamp) -> Result<bool, StoreError> {
        let uses = self.uses(id).await?;
        Ok(uses.iter().any(|noted| noted.action == action.word() && noted.at >= since))
    }
}

/// Reads the columns of `credential_use`.
pub(crate) fn usage(row: &Row) -> Result<Use, StoreError> {
    Ok(Use {
        at: row.time("last_at")?,
        address: row.optional_text("address")?,
        surface: row.text("surface")?,
        action: row.text("action")?,
        subject: row.text("subject")?,
        requests: row.number("requests")?,
    })
}
