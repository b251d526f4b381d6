//! The whole decision about one request.

use doorward_rules::Rule;
use doorward_store::{Decision, StoreError};
use doorward_wire::RequestId;
use serde::{Deserialize, Serialize};

use crate::{AdminError, AuditRow, Call, Desk, Operation};

/// What became of a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WhyRow {
    /// Its id.
    pub request: String,
    /// When it came.
    pub at: String,
    /// Whether it was let in.
    pub allowed: bool,
    /// The rules that were asked, in order.
    pub rules: Vec<RuleRow>,
    /// What is recorded of it; the last one may be the count that it is one of.
    pub records: Vec<AuditRow>,
    /// Whether there is a repository of the name now that was refused as an absent one is. Only for who may know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub there: Option<bool>,
}

/// One rule, and what it found.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RuleRow {
    /// Its stable name.
    pub rule: String,
    /// What is the case if it passes.
    pub sentence: String,
    /// Whether it passed.
    pub passed: bool,
}

/// Tells what became of a request.
#[derive(Debug)]
pub struct Why {
    /// Its id.
    pub request: RequestId,
}

impl Operation for Why {
    type Answer = WhyRow;

    fn call(&self) -> Call {
        Call::get(format!("/why/{}", self.request))
    }

    async fn carry_out(self, desk: &Desk) -> Result<WhyRow, AdminError> {
        let (id, store) = (self.request, &desk.store);
        let records = store.records(&id.to_string()).await?;
        let tally = match store.tally(id).await {
            Ok(tally) => Some(tally),
            Err(StoreError::Missing { .. }) if !records.is_empty() => None,
            Err(error) => return Err(error.into()),
        };
        let first = records.first().and_then(|record| record.decision.as_ref());
        let decision = first.or(tally.as_ref().map(|tally| &tally.decision));
        // The caller was not told which of the two it was; who may know everything is.
        let hidden = decision.is_some_and(|decision| decision.reason.as_deref() == Some("repository_not_found"));
        let named = records.first().and_then(|record| record.subject.parse().ok());
        let there = match named.filter(|_| hidden && desk.sees_everything()) {
            None => None,
            Some(name) => match store.repository(&name).await {
                Ok(_) => Some(true),
                Err(StoreError::Missing { .. }) => Some(false),
                Err(error) => return Err(error.into()),
            },
        };
        let counted = tally.iter().map(AuditRow::of_tally);
        Ok(WhyRow {
            request: id.to_string(),
            at: id.at().to_string(),
            allowed: decision.is_some_and(|decision| decision.reason.is_none()),
            rules: decision.map(rules).unwrap_or_default(),
            records: records.iter().map(AuditRow::of_record).chain(counted).collect(),
            there,
        })
    }
}

/// The rules that were asked: each up to the one that settled it, which refused if there is a reason from the kernel.
fn rules(decision: &Decision) -> Vec<RuleRow> {
    let refused =
        |rule| rule == decision.rule && decision.reason.as_deref().is_some_and(|reason| reason != "push_refused");
    let asked = Rule::ALL.into_iter().filter(|rule| *rule <= decision.rule);
    let row =
        |rule: Rule| RuleRow { rule: rule.word().into(), sentence: rule.sentence().into(), passed: !refused(rule) };
    asked.map(row).collect()
}
