//! The audit: refusals, pushes and changes one by one; allowed reads, and requests without a credential, counted.

use std::net::IpAddr;

use doorward_rules::{Action, CredentialId, NameForm, Rule, Scheme, Surface, Timestamp};
use doorward_wire::RequestId;
use sha2::{Digest, Sha256};
use sqlx::AssertSqlSafe;
use sqlx::sqlite::SqliteConnection;

use crate::database::new_id;
use crate::row::Row;
use crate::{Noun, Store, StoreError};

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// When.
    pub at: Timestamp,
    /// What happened: `refused`, `push.started`, `push.finished`, `token.revoked`, …
    pub event: String,
    /// The request it happened in, if it was one.
    pub request: Option<String>,
    /// What it happened to: a repository as it was named, an account, a token's id, …
    pub subject: String,
    /// Who asked and what the kernel answered, if it was asked.
    pub decision: Option<Decision>,
    /// The HTTP status that was answered.
    pub status: Option<u16>,
    /// What happened, for people.
    pub sentence: String,
    /// What to do about it.
    pub remedy: Option<String>,
}

/// One question to the kernel, as the audit keeps it: everything but the secret.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Decision {
    /// Where it was asked.
    pub surface: String,
    /// What was asked for.
    pub action: String,
    /// The scheme in which a credential was presented.
    pub scheme: Option<String>,
    /// The form of the user name that came with it.
    pub name_form: Option<String>,
    /// The credential, once its secret was proven.
    pub credential: Option<String>,
    /// The user name of its account.
    pub account: Option<String>,
    /// Where the request came from.
    pub address: Option<String>,
    /// The client's own name for itself.
    pub agent: Option<String>,
    /// The rule that settled it.
    pub rule: Rule,
    /// The stable code of the refusal; `None` if it was allowed.
    pub reason: Option<String>,
}

/// Requests within one minute that had everything that mattered in common: reads that were allowed, or requests that
/// brought no credential and were asked for one, as git's first request always is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// The first moment of the minute.
    pub minute: Timestamp,
    /// The repository, as it was named.
    pub subject: String,
    /// What they had in common.
    pub decision: Decision,
    /// How many there were.
    pub requests: i64,
    /// When the last one was.
    pub last_at: Timestamp,
}

/// One line of the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEntry {
    /// What is recorded by itself.
    Record(Record),
    /// What is counted.
    Tally(Tally),
}

/// Which entries to list: those that everything that is named here is true of.
#[derive(Debug, Clone, Copy, Default)]
pub struct AuditFilter<'a> {
    /// They belong to this request. What is only counted is found by [`Store::tally`].
    pub request: Option<&'a str>,
    /// They are of this moment or later.
    pub since: Option<Timestamp>,
    /// They are of before this moment.
    pub until: Option<Timestamp>,
    /// They are refusals that are recorded by themselves.
    pub refused: bool,
    /// They are about a repository or workspace, or something in it.
    pub within: Option<&'a str>,
    /// Whoever asked presented a credential of this account.
    pub account: Option<&'a str>,
    /// It presented this credential; or it is about that.
    pub credential: Option<&'a str>,
    /// It asked from here.
    pub address: Option<&'a str>,
    /// The stable code of the refusal.
    pub reason: Option<&'a str>,
    /// Whether the latest come first.
    pub latest_first: bool,
}

/// How often something was let in, or refused for one reason, in one part of a span of time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimelineCount {
    /// Which part, counted from 0.
    pub place: i64,
    /// The stable code of the refusal; `None` if it was let in.
    pub reason: Option<String>,
    /// How often.
    pub requests: i64,
}

impl Decision {
    /// A decision's words.
    pub fn new(surface: Surface, action: Action, rule: Rule) -> Self {
        Self {
            surface: surface.word().into(),
            action: action.word().into(),
            scheme: None,
            name_form: None,
            credential: None,
            account: None,
            address: None,
            agent: None,
            rule,
            reason: None,
        }
    }

    /// The same with how the credential was presented and whose it is.
    #[must_use]
    pub fn by(mut self, scheme: Scheme, proven: Option<(CredentialId, NameForm)>, account: Option<String>) -> Self {
        self.scheme = Some(scheme.word().into());
        self.credential = proven.map(|(id, _)| id.to_string());
        self.name_form = proven.map(|(_, form)| form.word().into());
        self.account = account;
        self
    }

    /// The same with where it came from.
    #[must_use]
    pub fn from(mut self, address: IpAddr, agent: Option<String>) -> Self {
        self.address = Some(address.to_string());
        self.agent = agent;
        self
    }

    /// The same with the code of the refusal that it ended in.
    #[must_use]
    pub fn refused(self, reason: &str) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    /// What requests that are counted together have in common, as a number for their request ids; never 0.
    ///
    /// The client's name for itself is left out, so that no client can make as many counts as it likes.
    pub fn tag(&self, subject: &str) -> u32 {
        let mut hash = Sha256::new();
        let parts = [&self.scheme, &self.name_form, &self.credential, &self.account, &self.address, &self.reason];
        for part in parts.map(|part| part.as_deref().unwrap_or_default()).into_iter().chain([
            subject,
            &self.surface,
            &self.action,
            self.rule.word(),
        ]) {
            hash.update(part);
            hash.update([0]);
        }
        let digest: [u8; 32] = hash.finalize().into();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]).max(1)
    }
}

impl Record {
    /// A record of a change that an administrator made.
    pub(crate) fn change(at: Timestamp, event: &str, subject: &str, sentence: String) -> Self {
        Self {
            at,
            event: event.into(),
            request: None,
            subject: subject.into(),
            decision: None,
            status: None,
            sentence,
            remedy: None,
        }
    }

    pub(crate) async fn insert(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let decision = self.decision.as_ref();
        sqlx::query(
            "INSERT INTO audit (id, at, event, request, subject, account, credential, address, agent, surface, action, \
             scheme, name_form, status, reason, rule, sentence, remedy) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        )
        .bind(new_id(self.at).to_string())
        .bind(self.at.0)
        .bind(&self.event)
        .bind(&self.request)
        .bind(&self.subject)
        .bind(decision.and_then(|decision| decision.account.as_deref()))
        .bind(decision.and_then(|decision| decision.credential.as_deref()))
        .bind(decision.and_then(|decision| decision.address.as_deref()))
        .bind(decision.and_then(|decision| decision.agent.as_deref()))
        .bind(decision.map(|decision| decision.surface.as_str()))
        .bind(decision.map(|decision| decision.action.as_str()))
        .bind(decision.and_then(|decision| decision.scheme.as_deref()))
        .bind(decision.and_then(|decision| decision.name_form.as_deref()))
        .bind(self.status.map(i64::from))
        .bind(decision.and_then(|decision| decision.reason.as_deref()))
        .bind(decision.map(|decision| decision.rule.word()))
        .bind(&self.sentence)
        .bind(&self.remedy)
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Tally {
    /// Adds this count to what is stored for its minute.
    pub(crate) async fn add(&self, connection: &mut SqliteConnection) -> Result<(), StoreError> {
        let decision = &self.decision;
        sqlx::query(
            "INSERT INTO audit_tally (minute, tag, subject, account, credential, address, surface, action, scheme, \
             name_form, rule, reason, requests, last_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (minute, tag, subject) DO UPDATE \
             SET requests = audit_tally.requests + excluded.requests, last_at = excluded.last_at",
        )
        .bind(self.minute.0)
        .bind(i64::from(decision.tag(&self.subject)))
        .bind(&self.subject)
        .bind(&decision.account)
        .bind(&decision.credential)
        .bind(&decision.address)
        .bind(&decision.surface)
        .bind(&decision.action)
        .bind(&decision.scheme)
        .bind(&decision.name_form)
        .bind(decision.rule.word())
        .bind(&decision.reason)
        .bind(self.requests)
        .bind(self.last_at.0)
        .execute(connection)
        .await?;
        Ok(())
    }
}

impl Store {
    /// The records of a request, the oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn records(&self, request: &str) -> Result<Vec<Record>, StoreError> {
        let rows = sqlx::query("SELECT * FROM audit WHERE request = $1 ORDER BY at, id").bind(request);
        rows.fetch_all(self.reading()).await?.into_iter().map(|row| record(&Row(row))).collect()
    }

    /// Entries, the oldest first if nothing else is said: as many as `most`, after the first `skipped`.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn audit(&self, filter: AuditFilter<'_>, skipped: u32, most: u32) -> Result<Vec<AuditEntry>, StoreError> {
        let order = if filter.latest_first { "DESC" } else { "ASC" };
        let rows = sqlx::query(AssertSqlSafe(AUDIT.replace("{order}", order)))
            .bind(filter.request)
            .bind(filter.since.map_or(i64::MIN, |at| at.0))
            .bind(filter.until.map_or(i64::MAX, |at| at.0))
            .bind(filter.refused)
            .bind(filter.within)
            .bind(filter.account)
            .bind(filter.credential)
            .bind(filter.address)
            .bind(filter.reason)
            .bind(filter.since.map_or(i64::MIN, |at| minute(at).0))
            .bind(i64::from(most))
            .bind(i64::from(skipped))
            .bind(i64::from(skipped) + i64::from(most))
            .fetch_all(self.reading())
            .await?;
        let entry = |row: Row| match row.optional_number("requests")? {
            Some(_) => tally(&row).map(AuditEntry::Tally),
            None => record(&row).map(AuditEntry::Record),
        };
        rows.into_iter().map(|row| entry(Row(row))).collect()
    }

    /// How often something was let in and refused in each part of `each` milliseconds of the span that a filter names.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn timeline(&self, filter: AuditFilter<'_>, each: i64) -> Result<Vec<TimelineCount>, StoreError> {
        let since = filter.since.map_or(0, |at| at.0);
        let rows = sqlx::query(TIMELINE)
            .bind(since)
            .bind(filter.until.map_or(i64::MAX, |at| at.0))
            .bind(each.max(1))
            .bind(filter.within)
            .bind(filter.account)
            .bind(filter.credential)
            .bind(filter.address)
            .bind(filter.reason)
            .bind(minute(Timestamp(since)).0)
            .fetch_all(self.reading())
            .await?;
        let count = |row: Row| {
            let (place, reason) = (row.number("place")?, row.optional_text("reason")?);
            Ok(TimelineCount { place, reason, requests: row.number("requests")? })
        };
        rows.into_iter().map(|row| count(Row(row))).collect()
    }

    /// Removes what was recorded before a moment; how much that was.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the database does not answer.
    pub async fn prune_audit(&self, before: Timestamp, now: Timestamp) -> Result<u64, StoreError> {
        let mut change = self.change(now).await?;
        let mut removed = 0;
        for sql in ["DELETE FROM audit WHERE at < $1", "DELETE FROM audit_tally WHERE minute < $1"] {
            removed += sqlx::query(sql).bind(before.0).execute(change.connection()).await?.rows_affected();
        }
        change.commit_records().await?;
        Ok(removed)
    }

    /// The tally that a request went into.
    ///
    /// # Errors
    /// [`StoreError::Missing`] if there is none: the request was recorded by itself, is from another server, or its
    /// record is too old.
    pub async fn tally(&self, request: RequestId) -> Result<Tally, StoreError> {
        let rows = sqlx::query("SELECT * FROM audit_tally WHERE minute = $1 AND tag = $2")
            .bind(minute(request.at()).0)
            .bind(i64::from(request.tag()))
            .fetch_all(self.reading())
            .await?;
        let row = rows.into_iter().next().ok_or_else(|| StoreError::missing(Noun::Request, request))?;
        tally(&Row(row))
    }
}

/// Records and tallies in one list. Each is cut to what can be on the page before both are put in order.
const AUDIT: &str = "
    SELECT * FROM (
      SELECT * FROM (
        SELECT at, id, event, request, subject, account, credential, address, agent, surface, action, scheme, name_form,
               status, reason, rule, sentence, remedy, NULL AS minute, NULL AS requests, NULL AS last_at
          FROM audit
         WHERE at >= $2 AND at < $3 AND ($1 IS NULL OR request = $1) AND ($4 = FALSE OR event = 'refused')
           AND ($5 IS NULL OR event NOT LIKE 'token.%')
           AND ($5 IS NULL OR subject = $5 OR substr(subject, 1, length($5) + 1) = $5 || '/')
           AND ($6 IS NULL OR account = $6) AND ($7 IS NULL OR credential = $7 OR subject = $7)
           AND ($8 IS NULL OR address = $8) AND ($9 IS NULL OR reason = $9)
         ORDER BY at {order}, id {order} LIMIT $13)
      UNION ALL
      SELECT * FROM (
        SELECT last_at AS at, '' AS id, NULL, NULL, subject, account, credential, address, NULL, surface, action, scheme,
               name_form, NULL, reason, rule, NULL, NULL, minute, requests, last_at
          FROM audit_tally
         WHERE minute >= $10 AND last_at >= $2 AND last_at < $3 AND $1 IS NULL AND $4 = FALSE
           AND ($5 IS NULL OR subject = $5 OR substr(subject, 1, length($5) + 1) = $5 || '/')
           AND ($6 IS NULL OR account = $6) AND ($7 IS NULL OR credential = $7)
           AND ($8 IS NULL OR address = $8) AND ($9 IS NULL OR reason = $9)
         ORDER BY last_at {order}, tag LIMIT $13))
     ORDER BY at {order}, id {order} LIMIT $11 OFFSET $12";

const TIMELINE: &str = "
    SELECT (at - $1) / $3 AS place, reason, sum(requests) AS requests FROM (
      SELECT at, reason, 1 AS requests FROM audit
       WHERE at >= $1 AND at < $2 AND event IN ('refused', 'push.started')
         AND ($4 IS NULL OR subject = $4 OR substr(subject, 1, length($4) + 1) = $4 || '/')
         AND ($5 IS NULL OR account = $5) AND ($6 IS NULL OR credential = $6)
         AND ($7 IS NULL OR address = $7) AND ($8 IS NULL OR reason = $8)
      UNION ALL
      SELECT last_at AS at, reason, requests FROM audit_tally
       WHERE minute >= $9 AND last_at >= $1 AND last_at < $2 AND coalesce(reason, '') <> 'credential_missing'
         AND ($4 IS NULL OR subject = $4 OR substr(subject, 1, length($4) + 1) = $4 || '/')
         AND ($5 IS NULL OR account = $5) AND ($6 IS NULL OR credential = $6)
         AND ($7 IS NULL OR address = $7) AND ($8 IS NULL OR reason = $8))
     GROUP BY 1, 2";

/// The first moment of the minute.
pub(crate) fn minute(at: Timestamp) -> Timestamp {
    Timestamp(at.0 - at.0.rem_euclid(60_000))
}

fn record(row: &Row) -> Result<Record, StoreError> {
    let decision = match row.optional_text("rule")? {
        Some(_) => Some(Decision { agent: row.optional_text("agent")?, ..decision(row)? }),
        None => None,
    };
    Ok(Record {
        at: row.time("at")?,
        event: row.text("event")?,
        request: row.optional_text("request")?,
        subject: row.text("subject")?,
        decision,
        status: row.optional_number("status")?.and_then(|status| u16::try_from(status).ok()),
        sentence: row.text("sentence")?,
        remedy: row.optional_text("remedy")?,
    })
}

fn decision(row: &Row) -> Result<Decision, StoreError> {
    Ok(Decision {
        surface: row.text("surface")?,
        action: row.text("action")?,
        scheme: row.optional_text("scheme")?,
        name_form: row.optional_text("name_form")?,
        credential: row.optional_text("credential")?,
        account: row.optional_text("account")?,
        address: row.optional_text("address")?,
        agent: None,
        rule: row.word("rule", Rule::from_word)?,
        reason: row.optional_text("reason")?,
    })
}

fn tally(row: &Row) -> Result<Tally, StoreError> {
    Ok(Tally {
        minute: row.time("minute")?,
        subject: row.text("subject")?,
        decision: decision(row)?,
        requests: row.number("requests")?,
        last_at: row.time("last_at")?,
    })
}
