//! Who is told of a repository's changes, and what became of telling them. No decision depends on it.

use std::time::Duration;

use doorward_rules::{RepositoryId, Timestamp, WorkspaceId};
use secrecy::{ExposeSecret, SecretString};
use uuid::Uuid;

use crate::database::new_id;
use crate::row::Row;
use crate::{Noun, Store, StoreError};

/// Somebody who is told of a repository's changes.
#[derive(Debug, Clone)]
pub struct Webhook {
    /// Its id.
    pub id: Uuid,
    /// The repository.
    pub repository: RepositoryId,
    /// What it is for, in the words of whoever made it.
    pub description: String,
    /// Where to send messages to.
    pub url: String,
    /// What messages are signed with, if they are.
    pub secret: Option<SecretString>,
    /// Whether it is told anything.
    pub active: bool,
    /// What it is told of: `repo:push`.
    pub events: Vec<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// One message to one webhook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Its id, the same in every attempt.
    pub id: Uuid,
    /// Whom to.
    pub webhook: Uuid,
    /// What of.
    pub event: String,
    /// The message.
    pub body: String,
    /// Where it stands.
    pub state: DeliveryState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried next, if it waits.
    pub next_at: Timestamp,
    /// What the last attempt was answered with.
    pub status: Option<u16>,
    /// What went wrong at the last attempt.
    pub trouble: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last tried.
    pub updated_at: Timestamp,
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeliveryState {
    /// It is still to be delivered.
    Waiting,
    /// It was taken.
    Delivered,
    /// It was not taken, however often it was tried.
    GivenUp,
}

impl DeliveryState {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Delivered => "delivered",
            Self::GivenUp => "given_up",
        }
    }

    fn from_word(word: &str) -> Option<Self> {
        [Self::Waiting, Self::Delivered, Self::GivenUp].into_iter().find(|state| state.word() == word)
    }
}

impl Store {
    /// Makes a webhook; `webhook` is taken as it is, with an id of its own.
    ///
    /// # Errors
    /// [`StoreError::State`] if the repository has as many as it may.
    pub async fn create_webhook(&self, webhook: &Webhook, place: &str) -> Result<Webhook, StoreError> {
        let id = new_id(webhook.created_at);
        let mut change = self.change(webhook.created_at).await?;
        let there: i64 = sqlx::query_scalar("SELECT count(*) FROM webhook WHERE repository_id = $1")
            .bind(webhook.repository.to_string())
            .fetch_one(change.connection())
            .await?;
        if there >= MOST {
            return Err(StoreError::State(format!("a repository may have {MOST} webhooks")));
        }
        sqlx::query(
            "INSERT INTO webhook (id, repository_id, description, url, secret, active, events, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)",
        )
        .bind(id.to_string())
        .bind(webhook.repository.to_string())
        .bind(&webhook.description)
        .bind(&webhook.url)
        .bind(webhook.secret.as_ref().map(ExposeSecret::expose_secret))
        .bind(webhook.active)
        .bind(webhook.events.join(" "))
        .bind(webhook.created_at.0)
        .execute(change.connection())
        .await?;
        change.commit("webhook.created", place, format!("webhook `{id}` was created on `{place}`")).await?;
        Ok(Webhook { id, ..webhook.clone() })
    }

    /// Changes a webhook to what is given.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such webhook.
    pub async fn change_webhook(&self, webhook: &Webhook, place: &str) -> Result<(), StoreError> {
        let mut change = self.change(webhook.updated_at).await?;
        let done = sqlx::query(
            "UPDATE webhook SET description = $2, url = $3, secret = $4, active = $5, events = $6, updated_at = $7 \
             WHERE id = $1",
        )
        .bind(webhook.id.to_string())
        .bind(&webhook.description)
        .bind(&webhook.url)
        .bind(webhook.secret.as_ref().map(ExposeSecret::expose_secret))
        .bind(webhook.active)
        .bind(webhook.events.join(" "))
        .bind(webhook.updated_at.0)
        .execute(change.connection())
        .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::missing(Noun::Webhook, webhook.id));
        }
        change.commit("webhook.changed", place, format!("webhook `{}` on `{place}` was changed", webhook.id)).await
    }

    /// Ends a webhook, with the messages to it.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is no such webhook.
    pub async fn delete_webhook(&self, id: Uuid, place: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        sqlx::query("DELETE FROM delivery WHERE webhook_id = $1")
            .bind(id.to_string())
            .execute(change.connection())
            .await?;
        let done =
            sqlx::query("DELETE FROM webhook WHERE id = $1").bind(id.to_string()).execute(change.connection()).await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::missing(Noun::Webhook, id));
        }
        change.commit("webhook.deleted", place, format!("webhook `{id}` on `{place}` was deleted")).await
    }

    /// The webhooks of a repository, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn webhooks(&self, repository: RepositoryId) -> Result<Vec<Webhook>, StoreError> {
        let rows = sqlx::query("SELECT * FROM webhook WHERE repository_id = $1 ORDER BY created_at, id")
            .bind(repository.to_string())
            .fetch_all(self.reading())
            .await?;
        rows.into_iter().map(|row| webhook(&Row(row))).collect()
    }

    /// The webhook with this id.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none.
    pub async fn webhook(&self, id: Uuid) -> Result<Webhook, StoreError> {
        let row = sqlx::query("SELECT * FROM webhook WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reading())
            .await?
            .ok_or_else(|| StoreError::missing(Noun::Webhook, id))?;
        webhook(&Row(row))
    }

    /// Keeps a message to webhooks, to be delivered at once, and forgets what became of old ones.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn queue_deliveries(
        &self,
        webhooks: &[Uuid],
        event: &str,
        body: &str,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        sqlx::query("DELETE FROM delivery WHERE state <> 'waiting' AND updated_at < $1")
            .bind(now.before(KEPT).0)
            .execute(change.connection())
            .await?;
        for webhook in webhooks {
            sqlx::query(
                "INSERT INTO delivery (id, webhook_id, event, body, state, attempts, next_at, created_at, updated_at) \
                 VALUES ($1, $2, $3, $4, 'waiting', 0, $5, $5, $5)",
            )
            .bind(new_id(now).to_string())
            .bind(webhook.to_string())
            .bind(event)
            .bind(body)
            .bind(now.0)
            .execute(change.connection())
            .await?;
        }
        change.commit_records().await
    }

    /// Of each webhook the oldest message that is due, with the workspace that it belongs to, `most` of each workspace; and when the
    /// next of the others is.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn due_deliveries(
        &self,
        now: Timestamp,
        most: u32,
    ) -> Result<(Vec<(Delivery, WorkspaceId)>, Option<Timestamp>), StoreError> {
        let sql = "SELECT * FROM (SELECT d.*, r.workspace_id, \
             row_number() OVER (PARTITION BY r.workspace_id ORDER BY d.next_at, d.id) AS place \
             FROM delivery d JOIN webhook h ON h.id = d.webhook_id JOIN repository r ON r.id = h.repository_id \
             WHERE d.id IN (SELECT min(id) FROM delivery WHERE state = 'waiting' AND next_at <= $1 GROUP BY webhook_id)) \
             AS due WHERE place <= $2 ORDER BY next_at, id";
        let rows = sqlx::query(sql).bind(now.0).bind(i64::from(most)).fetch_all(self.reading()).await?;
        let due = rows.into_iter().map(Row).map(|row| Ok((delivery(&row)?, row.parsed("workspace_id")?)));
        let due = due.collect::<Result<_, StoreError>>()?;
        let next: Option<i64> =
            sqlx::query_scalar("SELECT min(next_at) FROM delivery WHERE state = 'waiting' AND next_at > $1")
                .bind(now.0)
                .fetch_one(self.reading())
                .await?;
        Ok((due, next.map(Timestamp)))
    }

    /// Keeps what became of an attempt.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn keep_delivery(&self, delivery: &Delivery) -> Result<(), StoreError> {
        let mut change = self.change(delivery.updated_at).await?;
        sqlx::query(
            "UPDATE delivery SET state = $2, attempts = $3, next_at = $4, status = $5, trouble = $6, updated_at = $7 \
             WHERE id = $1",
        )
        .bind(delivery.id.to_string())
        .bind(delivery.state.word())
        .bind(i64::from(delivery.attempts))
        .bind(delivery.next_at.0)
        .bind(delivery.status.map(i64::from))
        .bind(&delivery.trouble)
        .bind(delivery.updated_at.0)
        .execute(change.connection())
        .await?;
        change.commit_records().await
    }

    /// The messages to a webhook, the latest first, as far as they are kept.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn deliveries(&self, webhook: Uuid) -> Result<Vec<Delivery>, StoreError> {
        let sql = "SELECT * FROM delivery WHERE webhook_id = $1 ORDER BY created_at DESC, id DESC LIMIT 1000";
        let rows = sqlx::query(sql).bind(webhook.to_string()).fetch_all(self.reading()).await?;
        rows.into_iter().map(|row| delivery(&Row(row))).collect()
    }
}

fn webhook(row: &Row) -> Result<Webhook, StoreError> {
    Ok(Webhook {
        id: row.parsed("id")?,
        repository: row.parsed("repository_id")?,
        description: row.text("description")?,
        url: row.text("url")?,
        secret: row.optional_text("secret")?.map(SecretString::from),
        active: row.truth("active")?,
        events: row.text("events")?.split_ascii_whitespace().map(str::to_owned).collect(),
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

fn delivery(row: &Row) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: row.parsed("id")?,
        webhook: row.parsed("webhook_id")?,
        event: row.text("event")?,
        body: row.text("body")?,
        state: row.word("state", DeliveryState::from_word)?,
        attempts: u32::try_from(row.number("attempts")?).unwrap_or(u32::MAX),
        next_at: row.time("next_at")?,
        status: row.optional_number("status")?.and_then(|status| u16::try_from(status).ok()),
        trouble: row.optional_text("trouble")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Webhooks of one repository.
const MOST: i64 = 50;
/// For how long it is known what became of a message.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);
