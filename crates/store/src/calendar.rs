//! What is planned for each kind of credential, and whom it would have met.

use std::sync::Arc;
use std::time::Duration;

use doorward_rules::{Brownout, Calendar, CredentialId, Kind, Schedule, Timestamp};

use sqlx::sqlite::SqliteConnection;

use crate::audit::minute;
use crate::row::Row;
use crate::{Credential, Store, StoreError};

/// A credential that was let in although its kind is to end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rehearsed {
    /// The credential.
    pub credential: Credential,
    /// How often it was let in during the time that was looked at.
    pub requests: i64,
    /// When it was last let in.
    pub last_at: Timestamp,
    /// From where.
    pub address: Option<String>,
    /// The repository, as it was named.
    pub subject: String,
}

impl Store {
    /// This server's calendar. Found again in memory until anything changes.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn calendar(&self) -> Result<Arc<Calendar>, StoreError> {
        let settled = self.epoch.settled();
        if let Some(calendar) = settled.and_then(|settled| self.known.calendar(settled)) {
            return Ok(calendar);
        }
        let mut reading = self.reading().begin().await?;
        let calendar = Arc::new(read(&mut reading).await?);
        drop(reading);
        if let Some(settled) = settled {
            self.known.keep_calendar(settled, calendar.clone());
        }
        Ok(calendar)
    }

    /// Changes what is planned for a kind, from what is planned at that moment.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn change_schedule(
        &self,
        kind: Kind,
        to: impl FnOnce(Schedule) -> Schedule,
        sentence: String,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let mut change = self.change(now).await?;
        let schedule = to(read(change.connection()).await?.schedule(kind).clone());
        for sql in ["DELETE FROM brownout WHERE kind = $1", "DELETE FROM calendar WHERE kind = $1"] {
            sqlx::query(sql).bind(kind.word()).execute(change.connection()).await?;
        }
        sqlx::query("INSERT INTO calendar (kind, announced_at, creation_ends_at, retires_at) VALUES ($1, $2, $3, $4)")
            .bind(kind.word())
            .bind(schedule.announced_at.map(|at| at.0))
            .bind(schedule.creation_ends_at.map(|at| at.0))
            .bind(schedule.retires_at.map(|at| at.0))
            .execute(change.connection())
            .await?;
        for brownout in &schedule.brownouts {
            let milliseconds = |duration: Duration| i64::try_from(duration.as_millis()).unwrap_or(i64::MAX);
            sqlx::query("INSERT INTO brownout (kind, first, length, every, until) VALUES ($1, $2, $3, $4, $5)")
                .bind(kind.word())
                .bind(brownout.first.0)
                .bind(milliseconds(brownout.length))
                .bind(brownout.every.map(milliseconds))
                .bind(brownout.until.0)
                .execute(change.connection())
                .await?;
        }
        change.commit("calendar.set", kind.word(), sentence).await
    }

    /// The credentials of a kind that were let in since a moment, from the audit; who came last, first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn rehearse(&self, kind: Kind, since: Timestamp) -> Result<Vec<Rehearsed>, StoreError> {
        // Of a bare column beside max(), SQLite takes the value from the row of the maximum.
        let rows = sqlx::query(
            "SELECT credential, sum(requests) AS requests, max(last_at) AS last_at, address, subject FROM ( \
               SELECT t.credential, t.requests, t.last_at, t.address, t.subject FROM audit_tally t \
                 JOIN credential c ON c.id = t.credential \
                WHERE t.minute >= $1 AND t.reason IS NULL AND c.kind = $2 \
               UNION ALL \
               SELECT a.credential, 1, a.at, a.address, a.subject FROM audit a JOIN credential c ON c.id = a.credential \
                WHERE a.at >= $1 AND a.event = 'push.started' AND c.kind = $2 \
             ) GROUP BY credential ORDER BY last_at DESC",
        )
        .bind(minute(since).0)
        .bind(kind.word())
        .fetch_all(self.reading())
        .await?;
        let mut rehearsed = Vec::with_capacity(rows.len());
        for row in rows.into_iter().map(Row) {
            let id: CredentialId = row.credential_id("credential")?;
            rehearsed.push(Rehearsed {
                credential: self.credential(id).await?,
                requests: row.number("requests")?,
                last_at: row.time("last_at")?,
                address: row.optional_text("address")?,
                subject: row.text("subject")?,
            });
        }
        Ok(rehearsed)
    }
}

pub(crate) async fn read(connection: &mut SqliteConnection) -> Result<Calendar, StoreError> {
    let mut calendar = Calendar::new();
    for row in sqlx::query("SELECT * FROM calendar").fetch_all(&mut *connection).await? {
        let row = Row(row);
        let schedule = calendar.schedule_mut(row.word("kind", Kind::from_word)?);
        schedule.announced_at = row.optional_time("announced_at")?;
        schedule.creation_ends_at = row.optional_time("creation_ends_at")?;
        schedule.retires_at = row.optional_time("retires_at")?;
    }
    for row in sqlx::query("SELECT * FROM brownout ORDER BY kind, first").fetch_all(&mut *connection).await? {
        let row = Row(row);
        let milliseconds = |number: i64| Duration::from_millis(number.unsigned_abs());
        let brownout = Brownout {
            first: row.time("first")?,
            length: milliseconds(row.number("length")?),
            every: row.optional_number("every")?.map(milliseconds),
            until: row.time("until")?,
        };
        calendar.schedule_mut(row.word("kind", Kind::from_word)?).brownouts.push(brownout);
    }
    Ok(calendar)
}
