//! What a sandbox refused, why, and what it would have said on other days.

use std::collections::VecDeque;
use std::time::Duration;

use doorward_rules::{Calendar, Facts, Phase, Reason, RuleSet, Rules, Timestamp, advise, bitbucket_cloud, decide};
use doorward_wire::bitbucket_cloud::refusal;
use serde::Serialize;

use crate::admit::Asked;
use crate::context::Context;
use crate::refusal::Refusal;

/// The latest refusals, the latest one last.
#[derive(Debug, Default)]
pub(crate) struct Journal(VecDeque<Entry>);

/// One refusal.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Entry {
    request: String,
    at: String,
    surface: &'static str,
    action: &'static str,
    /// The kind of what was presented and its form, as far as they are known.
    presented: Option<String>,
    subject: String,
    status: u16,
    /// What Bitbucket Cloud would not have said.
    reason: &'static str,
    sentence: String,
    advice: Option<String>,
    otherwise: Vec<Period>,
}

/// The answer to the same request during a time in which nothing changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
struct Period {
    from: Option<String>,
    until: Option<String>,
    status: u16,
    #[serde(skip_serializing_if = "Option::is_none")]
    in_brownouts: Option<u16>,
}

impl Journal {
    pub(crate) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.0.iter()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn note(
        &mut self,
        asked: &Asked,
        calendar: &Calendar,
        reason: &Reason,
        status: u16,
        context: &Context,
        subject: &str,
    ) {
        let rules = Rules { set: RuleSet::BitbucketCloud, calendar };
        let facts = &asked.found.facts;
        let advice = advise(rules, &asked.ask, facts, context.at).map(|advice| advice.sentence(facts));
        tracing::info!(request = %context.id, status, reason = reason.code(), advice, subject, "refused: {reason}");
        self.push(Entry {
            status,
            reason: reason.code(),
            sentence: reason.to_string(),
            advice,
            otherwise: periods(asked, rules),
            ..Entry::about(asked, context, subject)
        });
    }

    pub(crate) fn note_fault(&mut self, asked: &Asked, context: &Context, subject: &str, refusal: &Refusal) {
        let (code, sentence) = (refusal.code, &refusal.sentence);
        tracing::info!(request = %context.id, reason = code, subject, "refused: {sentence}");
        let status = refusal.status.as_u16();
        let sentence = sentence.clone();
        self.push(Entry { status, reason: code, sentence, ..Entry::about(asked, context, subject) });
    }

    fn push(&mut self, entry: Entry) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(entry);
    }
}

impl Entry {
    /// What is known before the answer is.
    fn about(asked: &Asked, context: &Context, subject: &str) -> Self {
        let credential = asked.found.facts.credential();
        Self {
            request: context.id.to_string(),
            at: context.at.to_string(),
            surface: asked.ask.surface.word(),
            action: asked.ask.action.word(),
            presented: credential.map(|credential| format!("{} {}", credential.kind.word(), credential.form)),
            subject: subject.into(),
            status: 0,
            reason: "",
            sentence: String::new(),
            advice: None,
            otherwise: Vec::new(),
        }
    }
}

/// What would have been answered in each period of Bitbucket Cloud's history; neighbours that agree are one.
fn periods(asked: &Asked, rules: Rules<'_>) -> Vec<Period> {
    let changes = bitbucket_cloud::CHANGES;
    let begins = std::iter::once(None).chain(changes.iter().map(|change| Some(change.at)));
    let mut periods: Vec<Period> = Vec::new();
    for from in begins {
        let quiet = from.map_or_else(|| changes[0].at.before(DAY), |at| at.after(BETWEEN_BROWNOUTS));
        let begin = from.unwrap_or(quiet);
        let status = status_at(asked, rules, quiet);
        let kind = asked.found.facts.credential().map(|credential| credential.kind);
        let brownout = kind.is_some_and(|kind| matches!(rules.calendar.phase(kind, begin), Phase::Brownout { .. }));
        let in_brownouts = brownout.then(|| status_at(asked, rules, begin));
        match periods.last_mut() {
            Some(last) if last.status == status && last.in_brownouts == in_brownouts => {}
            last => {
                if let Some(last) = last {
                    last.until = from.map(|at| at.to_string());
                }
                let from = from.map(|at| at.to_string());
                periods.push(Period { from, until: None, status, in_brownouts });
            }
        }
    }
    periods
}

fn status_at(asked: &Asked, rules: Rules<'_>, at: Timestamp) -> u16 {
    let facts: &Facts = &asked.found.facts;
    match decide(rules, &asked.ask, facts, at).outcome {
        Ok(_) => 200,
        Err(reason) => refusal(&reason, &asked.ask, asked.caller(), rules.calendar, at).status,
    }
}

const KEPT: usize = 1000;
const DAY: Duration = Duration::from_secs(86_400);
/// Brownouts begin every six hours; three hours after a beginning there is none.
const BETWEEN_BROWNOUTS: Duration = Duration::from_secs(3 * 3600);
