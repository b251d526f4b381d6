//! `doorward audit`: what was refused, pushed and changed, and how much was read.

use doorward_store::{AuditFilter, Decision, Record, StoreError, Tally};
use doorward_wire::RequestId;
use serde::Serialize;

use crate::arguments;
use crate::config::Configuration;
use crate::data::{Data, now};
use crate::failure::{Code, Failure};
use crate::print;

/// One record or tally. A tally has `requests`.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    at: String,
    event: String,
    request: Option<String>,
    subject: String,
    surface: Option<String>,
    action: Option<String>,
    scheme: Option<String>,
    name_form: Option<String>,
    credential: Option<String>,
    account: Option<String>,
    address: Option<String>,
    agent: Option<String>,
    rule: Option<&'static str>,
    reason: Option<String>,
    status: Option<u16>,
    sentence: String,
    remedy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    requests: Option<i64>,
}

pub(crate) async fn run(
    filter: arguments::AuditFilter,
    configuration: &Configuration,
    json: bool,
) -> Result<(), Failure> {
    let store = Data::open(configuration).await?.store;
    let since = filter.since.map(|since| now().before(since));
    let request = match &filter.request {
        Some(text) => Some(text.parse::<RequestId>().map_err(|fault| Failure::new(Code::Usage, fault))?),
        None => None,
    };
    let text = request.map(|id| id.to_string());
    let asked = AuditFilter { request: text.as_deref(), since, refused: filter.refused };
    let mut rows: Vec<Row> = store.records(asked).await?.iter().map(Row::of_record).collect();
    match request {
        // A request that is only counted is found by its tag.
        Some(id) if rows.is_empty() => match store.tally(id).await {
            Ok(tally) => rows.push(Row::of_tally(&tally)),
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        },
        Some(_) => {}
        None if filter.refused => {}
        None => rows.extend(store.tallies(asked).await?.iter().map(Row::of_tally)),
    }
    rows.sort_by(|a, b| a.at.cmp(&b.at));
    if json {
        return print::json(&rows);
    }
    rows.into_iter().try_for_each(tell)
}

/// When, what, where and who on one line, and below it the sentence and the request that it happened in.
fn tell(row: Row) -> Result<(), Failure> {
    let who = row.account.or(row.address).unwrap_or_else(|| "command line".into());
    print::line(&format!("{}  {}  {}  {who}", row.at, row.event, row.subject))?;
    print::line(&format!("    {}", row.sentence))?;
    row.request.map_or(Ok(()), |request| print::line(&format!("    request {request}")))
}

impl Row {
    pub(super) fn of_record(record: &Record) -> Self {
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

    pub(super) fn of_tally(tally: &Tally) -> Self {
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
            rule: decision.map(|decision| decision.rule.word()),
            reason: text(|decision| decision.reason.as_ref()),
            status: None,
            sentence: String::new(),
            remedy: None,
            requests: None,
        }
    }
}
