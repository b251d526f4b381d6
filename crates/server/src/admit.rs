//! The door: asks the kernel about a request, and records the answer.

use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use doorward_git::Placed;
use doorward_rules::{Action, Ask, Permit, Presented, Reason, Surface, decide};
use doorward_store::{Decision, Finding, Record};
use doorward_wire::{Authorization, RepositoryName, RequestId, redact};
use tokio::time::timeout;

use crate::app::App;
use crate::context::{Context, now};
use crate::observe::Noted;
use crate::refusal::Refusal;

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) permit: Permit,
    pub(crate) decision: Decision,
}

/// A request that was not let in, or not found out about.
#[derive(Debug)]
pub(crate) struct TurnedAway {
    pub(crate) refusal: Refusal,
    pub(crate) id: RequestId,
    pub(crate) noted: Noted,
    /// Whether there is a record of it under its id.
    pub(crate) recorded: bool,
}

impl App {
    /// Asks whether a request may do something to a repository. A refusal is recorded before this returns, or queued to
    /// be if the database cannot be written at the moment.
    pub(crate) async fn admit(
        &self,
        context: &Context,
        headers: &HeaderMap,
        name: &RepositoryName,
        action: Action,
    ) -> Result<Admitted, TurnedAway> {
        let away = |refusal: Refusal, noted: Noted| {
            let noted = noted.refused(refusal.code);
            TurnedAway { refusal, id: context.id, noted, recorded: false }
        };
        let authorization = Authorization::read(headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes()));
        let noted = Noted::repository(name);
        let found = match timeout(self.settings.limits.store_time, self.store.find(&authorization, name)).await {
            Ok(Ok(found)) => found,
            Ok(Err(error)) => return Err(away(error.into(), noted)),
            Err(_) => {
                tracing::error!(
                    seconds = self.settings.limits.store_time.as_secs(),
                    "the store did not answer in time"
                );
                let sentence = "the server cannot look up credentials now";
                return Err(away(Refusal::unavailable("store_unavailable", sentence), noted));
            }
        };
        let ask = Ask { surface: Surface::Git, action };
        let verdict = decide(&ask, &found.facts, context.at);
        let decision = describe(&ask, context, &authorization, &found, verdict.trail.settled_by());
        let noted = noted.by(&decision);
        match verdict.outcome {
            Ok(permit) => Ok(Admitted { permit, decision }),
            Err(reason) => {
                self.metrics.refused(reason.code());
                let refusal = Refusal::of_reason(&reason, ask.surface);
                let decision = decision.refused(reason.code());
                Err(match self.record_refusal(context, name, decision, &reason, &refusal).await {
                    Ok(id) => TurnedAway { refusal, id, noted: noted.refused(reason.code()), recorded: true },
                    Err(trouble) => away(trouble, noted),
                })
            }
        }
    }

    /// Asks, waits until there is a place for the work, and asks again if that took long: a credential that was revoked
    /// while its request waited must not be of use any more.
    pub(crate) async fn admit_to_place(
        &self,
        context: &Context,
        headers: &HeaderMap,
        name: &RepositoryName,
        action: Action,
    ) -> Result<(Admitted, Placed), TurnedAway> {
        let admitted = self.admit(context, headers, name, action).await?;
        let began = Instant::now();
        let placed = match self.repositories.open(&admitted.permit).place().await {
            Ok(placed) => placed,
            Err(error) => {
                let (refusal, noted) = (Refusal::from(error), Noted::repository(name).by(&admitted.decision));
                return Err(TurnedAway {
                    noted: noted.refused(refusal.code),
                    refusal,
                    id: context.id,
                    recorded: false,
                });
            }
        };
        if began.elapsed() < LONG {
            return Ok((admitted, placed));
        }
        let again = Context { at: now(), ..context.clone() };
        Ok((self.admit(&again, headers, name, action).await?, placed))
    }

    /// Counts a request that was let in, in the tally of its minute; the id under which that can be found.
    pub(crate) async fn tally(
        &self,
        context: &Context,
        name: &RepositoryName,
        decision: Decision,
    ) -> Result<RequestId, Refusal> {
        let subject = subject(name);
        let id = context.id.tagged(decision.tag(&subject));
        self.recorder.tally(context.at, subject, decision).await?;
        Ok(id)
    }

    /// A refusal is recorded by itself, but for one that is no more than the question for a credential (git sends its
    /// first request without one on purpose), and for a flood of strangers' ones.
    async fn record_refusal(
        &self,
        context: &Context,
        name: &RepositoryName,
        decision: Decision,
        reason: &Reason,
        refusal: &Refusal,
    ) -> Result<RequestId, Refusal> {
        let stranger = decision.credential.is_none();
        if *reason == Reason::NothingPresented || (stranger && !self.may_record_stranger(context.at)) {
            return self.tally(context, name, decision).await;
        }
        let record = Record {
            at: context.at,
            event: "refused".into(),
            request: Some(context.id.to_string()),
            subject: subject(name),
            decision: Some(decision),
            status: Some(refusal.status.as_u16()),
            sentence: refusal.sentence.clone(),
            remedy: Some(refusal.remedy.clone()),
        };
        self.recorder.record(record).await?;
        Ok(context.id)
    }
}

/// How long a wait for a place may take before the kernel is asked again.
const LONG: Duration = Duration::from_millis(500);

/// A repository as it is recorded. Somebody may have put a token where the name belongs.
pub(crate) fn subject(name: &RepositoryName) -> String {
    redact(&name.to_string()).into_owned()
}

/// A decision in words, for the audit.
fn describe(
    ask: &Ask,
    context: &Context,
    authorization: &Authorization,
    found: &Finding,
    rule: doorward_rules::Rule,
) -> Decision {
    let decision = Decision::new(ask.surface, ask.action, rule).from(context.address, context.agent.clone());
    let Authorization::Token(presentation) = authorization else { return decision };
    let proven = match &found.facts.presented {
        Presented::Proven(credential) => Some((credential.id, credential.name_form)),
        _ => None,
    };
    decision.by(presentation.scheme, proven, found.account.clone())
}
