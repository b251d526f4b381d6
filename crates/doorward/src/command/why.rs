//! `doorward why`: the whole decision about one request.

use doorward_rules::Rule;
use doorward_store::{AuditFilter, Decision, Record, StoreError, Tally};
use doorward_wire::RequestId;
use serde::Serialize;

use super::audit::Row;
use crate::config::Configuration;
use crate::data::Data;
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Answer {
    request: String,
    at: String,
    allowed: bool,
    rules: Vec<RuleRow>,
    records: Vec<Row>,
}

#[derive(Debug, Serialize)]
struct RuleRow {
    rule: &'static str,
    sentence: &'static str,
    passed: bool,
}

pub(crate) async fn run(request: &str, configuration: &Configuration, json: bool) -> Result<(), Failure> {
    let id: RequestId = request.trim().parse().map_err(|fault| Failure::new(Code::Usage, fault))?;
    let store = Data::open(configuration).await?.store;
    let text = id.to_string();
    let records = store.records(AuditFilter { request: Some(&text), ..AuditFilter::default() }).await?;
    let tally = match store.tally(id).await {
        Ok(tally) => Some(tally),
        Err(StoreError::Missing { .. }) if !records.is_empty() => None,
        Err(error) => return Err(error.into()),
    };
    let decision =
        records.first().and_then(|record| record.decision.as_ref()).or(tally.as_ref().map(|tally| &tally.decision));
    let rules = decision.map(rules).unwrap_or_default();
    let allowed = decision.is_some_and(|decision| decision.reason.is_none());
    if json {
        let rows = records.iter().map(Row::of_record).chain(tally.iter().map(Row::of_tally)).collect();
        return print::json(&Answer { request: text, at: id.at().to_string(), allowed, rules, records: rows });
    }
    tell(id, decision, &rules, &records, tally.as_ref())?;
    // The caller was not told which of the two it was; the administrator is.
    let hidden = decision.is_some_and(|decision| decision.reason.as_deref() == Some("repository_not_found"));
    match records.first().and_then(|record| record.subject.parse().ok()) {
        Some(name) if hidden => match store.repository(&name).await {
            Ok(_) => print::line(&format!(
                "for you alone: there is such a repository; `doorward permission list {name}` shows who may see it"
            )),
            Err(StoreError::Missing { .. }) => print::line("for you alone: there is no such repository now"),
            Err(error) => Err(error.into()),
        },
        _ => Ok(()),
    }
}

/// The rules that were asked: each up to the one that settled it, which refused if there is a reason from the kernel.
fn rules(decision: &Decision) -> Vec<RuleRow> {
    let refused =
        |rule| rule == decision.rule && decision.reason.as_deref().is_some_and(|reason| reason != "push_refused");
    let asked = Rule::ALL.into_iter().filter(|rule| *rule <= decision.rule);
    asked.map(|rule| RuleRow { rule: rule.word(), sentence: rule.sentence(), passed: !refused(rule) }).collect()
}

fn tell(
    id: RequestId,
    decision: Option<&Decision>,
    rules: &[RuleRow],
    records: &[Record],
    tally: Option<&Tally>,
) -> Result<(), Failure> {
    print::line(&format!("request {id} at {}", id.at()))?;
    if let Some(decision) = decision {
        let subject = records.first().map(|record| &record.subject).or(tally.map(|tally| &tally.subject));
        let status = records
            .iter()
            .find_map(|record| record.status)
            .map_or(String::new(), |status| format!(", answered {status}"));
        let verdict = if decision.reason.is_none() { "allowed" } else { "refused" };
        let none = || "–".to_owned();
        print::pairs(&[
            ("", String::new()),
            ("asked", format!("{} {} on {}", decision.action, subject.map_or("–", String::as_str), decision.surface)),
            (
                "from",
                format!(
                    "{} {}",
                    decision.address.clone().unwrap_or_else(none),
                    decision.agent.clone().unwrap_or_default()
                ),
            ),
            ("presented", presented(decision)),
            ("credential", decision.credential.clone().unwrap_or_else(none)),
            ("principal", principal(decision)),
            ("verdict", format!("{verdict}{status}")),
            ("", String::new()),
        ])?;
    }
    for rule in rules {
        print::line(&format!("  {}  {}", if rule.passed { "yes" } else { "NO " }, rule.sentence))?;
    }
    if !rules.is_empty() {
        print::line("")?;
    }
    for record in records {
        let reason = record.decision.as_ref().and_then(|decision| decision.reason.as_deref()).unwrap_or(&record.event);
        print::line(&format!("{reason}: {}", record.sentence))?;
        if let Some(remedy) = &record.remedy {
            print::line(&format!("hint: {remedy}"))?;
        }
    }
    if let Some(tally) = tally {
        print::line(&format!("one of {} such requests in the minute of {}", tally.requests, tally.minute))?;
    }
    Ok(())
}

fn principal(decision: &Decision) -> String {
    match (&decision.account, &decision.credential) {
        (Some(account), _) => account.clone(),
        (None, Some(_)) => "nobody: the token acts for no account".into(),
        (None, None) => "anyone".into(),
    }
}

fn presented(decision: &Decision) -> String {
    match (&decision.scheme, &decision.name_form) {
        (None, _) => "nothing, or nothing that could be read".into(),
        (Some(scheme), None) => format!("a token as {scheme}"),
        (Some(scheme), Some(form)) => format!("a token as {scheme}, with {form}"),
    }
}
