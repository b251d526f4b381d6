//! The audit: what was refused, pushed and changed, and how much was read.

use doorward_rules::Timestamp;
use doorward_store::{AuditEntry, AuditFilter, Decision, Record, StoreError, Tally};
use doorward_wire::{AccountName, RequestId, WorkspaceSlug};
use serde::{Deserialize, Serialize};

use crate::{AdminError, Answered, Call, Desk, Operation};

/// One record or tally. A tally has `requests`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the words of the design")]
pub struct AuditRow {
    pub at: String,
    pub event: String,
    pub request: Option<String>,
    pub subject: String,
    pub surface: Option<String>,
    pub action: Option<String>,
    pub scheme: Option<String>,
    pub name_form: Option<String>,
    pub credential: Option<String>,
    pub account: Option<String>,
    pub address: Option<String>,
    pub agent: Option<String>,
    pub rule: Option<String>,
    pub reason: Option<String>,
    pub status: Option<u16>,
    pub sentence: String,
    pub remedy: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<i64>,
}

/// Looks for what everything that is named here is true of; one page of it, the oldest first.
#[derive(Debug, Clone)]
pub struct SearchAudit {
    /// It happened in this request.
    pub request: Option<RequestId>,
    /// It is of this moment or later.
    pub since: Option<Timestamp>,
    /// It is of before this moment.
    pub until: Option<Timestamp>,
    /// It is a refusal that is recorded by itself.
    pub refused: bool,
    /// Whoever asked presented a credential of this account.
    pub account: Option<AccountName>,
    /// It is about this workspace, or something in it.
    pub workspace: Option<WorkspaceSlug>,
    /// It is about this, or something in it: a repository, an account, a token.
    pub within: Option<String>,
    /// Whoever asked presented this credential; or it is about that.
    pub credential: Option<String>,
    /// It was asked from here.
    pub address: Option<String>,
    /// The stable code of the refusal.
    pub reason: Option<String>,
    /// Whether the latest come first.
    pub latest_first: bool,
    /// How many to pass over.
    pub skip: u32,
    /// How many are wanted.
    pub most: u32,
}

impl SearchAudit {
    /// Everything: the first 100.
    pub fn everything() -> Self {
        Self {
            request: None,
            since: None,
            until: None,
            refused: false,
            account: None,
            workspace: None,
            within: None,
            credential: None,
            address: None,
            reason: None,
            latest_first: false,
            skip: 0,
            most: 100,
        }
    }
}

impl SearchAudit {
    /// What it lies in, if it is to lie in anything; `None` if nothing can: what lies in a workspace that is named lies there,
    /// whatever else is named.
    pub fn place(&self) -> Option<Option<&str>> {
        match (&self.workspace, &self.within) {
            (Some(workspace), Some(within)) => lies_in(within, workspace.as_str()).then_some(Some(within.as_str())),
            (Some(workspace), None) => Some(Some(workspace.as_str())),
            (None, within) => Some(within.as_deref()),
        }
    }
}

impl Operation for SearchAudit {
    type Answer = Vec<AuditRow>;

    fn call(&self) -> Call {
        let call = Call::list("/audit".into())
            .with("request", self.request)
            .with("since", self.since)
            .with("until", self.until)
            .with("refused", self.refused.then_some(true))
            .with("account", self.account.as_ref())
            .with("workspace", self.workspace.as_ref())
            .with("within", self.within.as_ref())
            .with("credential", self.credential.as_ref())
            .with("address", self.address.as_ref())
            .with("reason", self.reason.as_ref())
            .with("latest_first", self.latest_first.then_some(true))
            .with("page", Some(self.skip / self.most.max(1) + 1))
            .with("pagelen", Some(self.most));
        Call { answered: Answered::Page, ..call }
    }

    async fn carry_out(self, desk: &Desk) -> Result<Vec<AuditRow>, AdminError> {
        let request = self.request.map(|request| request.to_string());
        let Some(within) = self.place() else { return Ok(Vec::new()) };
        let filter = AuditFilter {
            request: request.as_deref(),
            since: self.since,
            until: self.until,
            refused: self.refused,
            within,
            account: self.account.as_ref().map(AccountName::as_str),
            credential: self.credential.as_deref(),
            address: self.address.as_deref(),
            reason: self.reason.as_deref(),
            latest_first: self.latest_first,
        };
        let found = desk.store.audit(filter, self.skip, self.most).await?;
        let mut rows: Vec<AuditRow> = found.iter().map(AuditRow::of).collect();
        if let Some(id) = self.request.filter(|_| rows.is_empty() && self.skip == 0) {
            // A request that is only counted is found by its tag.
            match desk.store.tally(id).await {
                Ok(tally) if is_of(&tally, &filter) => rows.push(AuditRow::of_tally(&tally)),
                Ok(_) | Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(rows)
    }
}

/// Whether something is a place or lies in it: `acme/site` in `acme`.
pub fn lies_in(subject: &str, place: &str) -> bool {
    subject.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Whether a tally may be shown to whoever looks within something, or at an account, alone.
fn is_of(tally: &Tally, filter: &AuditFilter<'_>) -> bool {
    filter.within.is_none_or(|within| lies_in(&tally.subject, within))
        && filter.account.is_none_or(|account| tally.decision.account.as_deref() == Some(account))
        && !filter.refused
}

impl AuditRow {
    fn of(entry: &AuditEntry) -> Self {
        match entry {
            AuditEntry::Record(record) => Self::of_record(record),
            AuditEntry::Tally(tally) => Self::of_tally(tally),
        }
    }

    pub(crate) fn of_record(record: &Record) -> Self {
        Self {
            at: record.at.to_string(),
            event: record.event.clone(),
            request: record.request.clone(),
            subject: record.subject.clone(),
            status: record.status,
            sentence: record.sentence.clone(),
            remedy: record.remedy.clone(),
            ..Self::of_decision(record.decision.as_ref())
        }
    }

    pub(crate) fn of_tally(tally: &Tally) -> Self {
        let decision = &tally.decision;
        let (event, what) = match decision.reason.as_deref() {
            None => ("allowed", "allowed"),
            Some("credential_missing") => ("asked", "asked for a credential"),
            Some(_) => ("refused", "refused"),
        };
        let were = if tally.requests == 1 { "request was" } else { "requests were" };
        Self {
            at: tally.last_at.to_string(),
            event: event.into(),
            subject: tally.subject.clone(),
            sentence: format!("{} {were} {what} in this minute, to {}", tally.requests, decision.action),
            requests: Some(tally.requests),
            ..Self::of_decision(Some(decision))
        }
    }

    fn of_decision(decision: Option<&Decision>) -> Self {
        let text = |field: fn(&Decision) -> Option<&String>| decision.and_then(field).cloned();
        Self {
            at: String::new(),
            event: String::new(),
            request: None,
            subject: String::new(),
            surface: text(|decision| Some(&decision.surface)),
            action: text(|decision| Some(&decision.action)),
            scheme: text(|decision| decision.scheme.as_ref()),
            name_form: text(|decision| decision.name_form.as_ref()),
            credential: text(|decision| decision.credential.as_ref()),
            account: text(|decision| decision.account.as_ref()),
            address: text(|decision| decision.address.as_ref()),
            agent: text(|decision| decision.agent.as_ref()),
            rule: decision.map(|decision| decision.rule.word().into()),
            reason: text(|decision| decision.reason.as_ref()),
            status: None,
            sentence: String::new(),
            remedy: None,
            requests: None,
        }
    }
}
