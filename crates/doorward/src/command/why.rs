//! `doorward why`: the whole decision about one request.

use doorward_admin::{AuditRow, Why, WhyRow};
use doorward_wire::RequestId;

use crate::administration::Administration;
use crate::failure::{Code, Failure};
use crate::print;

pub(crate) async fn run(request: &str, place: &Administration, json: bool) -> Result<(), Failure> {
    let request: RequestId = request.trim().parse().map_err(|fault| Failure::new(Code::Usage, fault))?;
    let answer = place.carry_out(Why { request }).await?;
    if json { print::json(&answer) } else { tell(&answer) }
}

fn tell(answer: &WhyRow) -> Result<(), Failure> {
    print::line(&format!("request {} at {}", answer.request, answer.at))?;
    if let Some(decided) = answer.records.iter().find(|record| record.rule.is_some()) {
        tell_decision(decided, answer)?;
    }
    for rule in &answer.rules {
        print::line(&format!("  {}  {}", if rule.passed { "yes" } else { "NO " }, rule.sentence))?;
    }
    if !answer.rules.is_empty() {
        print::line("")?;
    }
    for record in answer.records.iter().filter(|record| record.requests.is_none()) {
        let reason = record.reason.as_ref().unwrap_or(&record.event);
        print::line(&format!("{reason}: {}", record.sentence))?;
        if let Some(remedy) = &record.remedy {
            print::line(&format!("hint: {remedy}"))?;
        }
    }
    for tally in &answer.records {
        if let Some(requests) = tally.requests {
            let minute: String = tally.at.chars().take(16).collect();
            print::line(&format!("one of {requests} such requests in the minute of {minute}"))?;
        }
    }
    match (answer.there, answer.records.first()) {
        (Some(true), Some(record)) => print::line(&format!(
            "for you alone: there is such a repository; `doorward permission list {}` shows who may see it",
            record.subject
        )),
        (Some(false), _) => print::line("for you alone: there is no such repository now"),
        _ => Ok(()),
    }
}

fn tell_decision(decided: &AuditRow, answer: &WhyRow) -> Result<(), Failure> {
    let word = |text: &Option<String>| text.clone().unwrap_or_else(|| "–".into());
    let status = answer.records.iter().find_map(|record| record.status);
    let status = status.map_or(String::new(), |status| format!(", answered {status}"));
    let verdict = if answer.allowed { "allowed" } else { "refused" };
    print::pairs(&[
        ("", String::new()),
        ("asked", format!("{} {} on {}", word(&decided.action), decided.subject, word(&decided.surface))),
        ("from", format!("{} {}", word(&decided.address), decided.agent.clone().unwrap_or_default())),
        ("presented", presented(decided)),
        ("credential", word(&decided.credential)),
        ("principal", principal(decided)),
        ("verdict", format!("{verdict}{status}")),
        ("", String::new()),
    ])
}

fn principal(decided: &AuditRow) -> String {
    match (&decided.account, &decided.credential) {
        (Some(account), _) => account.clone(),
        (None, Some(_)) => "nobody: the token acts for no account".into(),
        (None, None) => "anyone".into(),
    }
}

fn presented(decided: &AuditRow) -> String {
    match (&decided.scheme, &decided.name_form) {
        (None, _) => "nothing, or nothing that could be read".into(),
        (Some(scheme), None) => format!("a token as {scheme}"),
        (Some(scheme), Some(form)) => format!("a token as {scheme}, with {form}"),
    }
}
