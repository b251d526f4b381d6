//! The door: asks the kernel about a request, and records the answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use doorward_git::{Contents, Placed};
use doorward_rules::{
    Action, Ask, Calendar, Credential, CredentialId, Limit, OwnFault, Permit, Presented, Reason, RuleSet, Rules,
    Surface, Target, Verdict, advise, decide,
};
use doorward_store::{Decision, Finding, Leave, Named, Record, StoreError};
use doorward_wire::{Authorization, Passwords, RepositoryName, RequestId, bitbucket_cloud, redact};
use tokio::time::timeout;

use crate::app::App;
use crate::context::Context;
use crate::diagnostics::Diagnostics;
use crate::observe::Noted;
use crate::refusal::Refusal;
use crate::web::cookie;

/// A request that was let in.
#[derive(Debug)]
pub(crate) struct Admitted {
    pub(crate) permit: Permit,
    pub(crate) decision: Decision,
    pub(crate) noted: Noted,
    /// The place that the credential is limited to.
    pub(crate) limit: Limit,
    /// The credential, if one was presented.
    pub(crate) credential: Option<Credential>,
    /// By which it is asked about again when it changes something; nothing in the sandbox, which has a time of its own.
    pub(crate) leave: Option<Leave>,
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

/// What a request wants to do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Wish<'a> {
    pub(crate) surface: Surface,
    pub(crate) action: Action,
    /// What it is about.
    pub(crate) named: Named<'a>,
    /// How it was named, where the records are to say no more than that.
    pub(crate) shown: Option<&'a str>,
    /// Whether the same request was let in a moment ago, and is asked about once more.
    pub(crate) again: bool,
}

impl<'a> Wish<'a> {
    pub(crate) fn git(action: Action, repository: &'a RepositoryName) -> Self {
        Self { surface: Surface::Git, action, named: Named::Repository(repository), shown: None, again: false }
    }

    pub(crate) fn rest(action: Action, named: Named<'a>) -> Self {
        Self { surface: Surface::Rest, action, named, shown: None, again: false }
    }

    pub(crate) fn again(self) -> Self {
        Self { again: true, ..self }
    }

    /// What it is about, as it is recorded. Somebody may have put a token where a name belongs.
    pub(crate) fn subject(&self) -> String {
        match self.shown {
            Some(shown) => redact(shown).into_owned(),
            None => redact(&self.named.to_string()).into_owned(),
        }
    }
}

/// A question with everything that was found out about it.
pub(crate) struct Asked {
    pub(crate) ask: Ask,
    pub(crate) authorization: Authorization,
    pub(crate) found: Arc<Finding>,
    pub(crate) calendar: Arc<Calendar>,
}

impl App {
    /// Asks whether a request may do something. A refusal is recorded before this returns, or queued to be if the
    /// database cannot be written at the moment.
    pub(crate) async fn admit(
        &self,
        context: &Context,
        headers: &HeaderMap,
        wish: Wish<'_>,
    ) -> Result<Admitted, TurnedAway> {
        let noted = Noted::about(wish.subject());
        let away = |refusal: Refusal, noted: Noted| {
            let noted = noted.refused(refusal.code);
            TurnedAway { refusal: refusal.on(wish.surface), id: context.id, noted, recorded: false }
        };
        let asked = match timeout(self.settings.limits.store_time, self.find_out(context, headers, wish)).await {
            Ok(Ok(asked)) => asked,
            Ok(Err(error)) => return Err(away(error.into(), noted)),
            Err(_) => {
                let seconds = self.settings.limits.store_time.as_secs();
                tracing::error!(seconds, "the store did not answer in time");
                return Err(away(Refusal::unavailable(OwnFault::Store), noted));
            }
        };
        let rules = Rules { set: self.settings.rules, calendar: &asked.calendar };
        let Verdict { outcome, trail } = decide(rules, &asked.ask, &asked.found.facts, context.at);
        let decision = describe(&asked, context, trail.settled_by());
        let mut noted = noted.by(&decision).telling(self.diagnostics(&asked, context));
        if let Some(sandbox) = self.sandbox.as_ref().filter(|_| !wish.again) {
            let instead = sandbox.instead(&asked, &outcome, wish, context);
            noted = noted.telling(instead.diagnostics);
            if let Some(refusal) = instead.refusal {
                self.metrics.refused(refusal.code);
                return Err(TurnedAway {
                    noted: noted.refused(refusal.code),
                    refusal,
                    id: context.id,
                    recorded: false,
                });
            }
        }
        let reason = match outcome {
            Ok(permit) => {
                let limit = asked.found.facts.credential().map_or(Limit::Anywhere, |credential| credential.limit);
                let credential = asked.found.facts.credential().cloned();
                let leave = self.sandbox.is_none().then(|| asked.leave(self, (wish.named, permit.target())));
                return Ok(Admitted { permit, decision, noted, limit, credential, leave });
            }
            Err(reason) => reason,
        };
        let refusal = self.refusal(rules, &asked, context, &reason);
        if let Some(sandbox) = &self.sandbox {
            sandbox.note(&asked, &reason, refusal.status.as_u16(), context, &wish.subject());
        }
        self.metrics.refused(refusal.code);
        let decision = decision.refused(refusal.code);
        let noted = noted.refused(refusal.code);
        let holder = asked.found.facts.credential().map(|credential| credential.id);
        match self.record_refusal(context, wish, decision, holder, &refusal).await {
            Ok(id) => Err(TurnedAway { refusal, id, noted, recorded: true }),
            Err(trouble) => Err(away(trouble, noted)),
        }
    }

    /// Asks, waits until there is a place for the work, and asks again if that took long: a credential that was revoked
    /// while its request waited must not be of use any more.
    pub(crate) async fn admit_to_place(
        &self,
        context: &Context,
        headers: &HeaderMap,
        wish: Wish<'_>,
    ) -> Result<(Admitted, Placed), TurnedAway> {
        let admitted = self.admit(context, headers, wish).await?;
        let began = Instant::now();
        let placed = async { self.repositories.open(&admitted.permit)?.place().await };
        let placed = match placed.await {
            Ok(placed) => placed,
            Err(error) => {
                let refusal = Refusal::from(error);
                let noted = admitted.noted.refused(refusal.code);
                return Err(TurnedAway { noted, refusal, id: context.id, recorded: false });
            }
        };
        Ok((self.still(admitted, began, context, headers, wish).await?, placed))
    }

    /// Asks again about a request that was let in, if that is long ago: what came slowly, or waited, may have come with a
    /// credential that has ended since.
    pub(crate) async fn still(
        &self,
        admitted: Admitted,
        began: Instant,
        context: &Context,
        headers: &HeaderMap,
        wish: Wish<'_>,
    ) -> Result<Admitted, TurnedAway> {
        if began.elapsed() < LONG {
            return Ok(admitted);
        }
        let now = Context { at: self.clock.now(), ..context.clone() };
        let again = self.admit(&now, headers, wish.again()).await?;
        if again.permit.target() == admitted.permit.target() {
            return Ok(again);
        }
        // The name has become another's meanwhile, who may be open to whom the one before was not.
        let refusal = Refusal::unavailable(OwnFault::Busy).on(wish.surface);
        Err(TurnedAway { noted: again.noted.refused(refusal.code), refusal, id: context.id, recorded: false })
    }

    /// Asks, waits until there is a place to read, and asks again if that took long.
    pub(crate) async fn admit_to_read(
        &self,
        context: &Context,
        headers: &HeaderMap,
        wish: Wish<'_>,
    ) -> Result<(Admitted, Contents), TurnedAway> {
        let admitted = self.admit(context, headers, wish).await?;
        let began = Instant::now();
        let opened = async { self.repositories.open(&admitted.permit)?.contents().await };
        let contents = match opened.await {
            Ok(contents) => contents,
            Err(error) => {
                let refusal = Refusal::from(error).on(wish.surface);
                let noted = admitted.noted.refused(refusal.code);
                return Err(TurnedAway { noted, refusal, id: context.id, recorded: false });
            }
        };
        Ok((self.still(admitted, began, context, headers, wish).await?, contents))
    }

    /// Counts a request that was let in, in the tally of its minute; the id under which that can be found.
    pub(crate) async fn tally(
        &self,
        context: &Context,
        wish: Wish<'_>,
        decision: Decision,
    ) -> Result<RequestId, Refusal> {
        self.tally_as(context, wish.subject(), decision).await
    }

    async fn tally_as(
        &self,
        context: &Context,
        mut subject: String,
        mut decision: Decision,
    ) -> Result<RequestId, Refusal> {
        // Decided before the tag is made, so that the id leads to the count.
        if decision.reason.is_some() && !self.may_count_apart(context.at, decision.tag(&subject)) {
            (subject, decision.address) = (MANY.into(), None);
        }
        let id = context.id.tagged(decision.tag(&subject));
        self.recorder.tally(context.at, subject, decision).await?;
        Ok(id)
    }

    /// What is answered for a name that nothing can have: the same as for what is absent.
    pub(crate) fn absent(&self, refusal: Refusal, reason: &Reason, surface: Surface, context: &Context) -> Refusal {
        let refusal = refusal.on(surface);
        let Some(sandbox) = &self.sandbox else { return refusal };
        let action = if surface == Surface::Git { Action::Fetch } else { Action::ReadRepository };
        let ask = Ask { surface, action, address: None };
        let caller = bitbucket_cloud::Caller { scheme: None, kind: None };
        refusal.worded(bitbucket_cloud::refusal(reason, &ask, caller, &sandbox.calendar(), context.at))
    }

    /// Reads the credential and looks up what is known.
    async fn find_out(&self, context: &Context, headers: &HeaderMap, wish: Wish<'_>) -> Result<Asked, StoreError> {
        let passwords = match self.settings.rules {
            RuleSet::Doorward => Passwords::Refused,
            RuleSet::BitbucketCloud => Passwords::Read,
        };
        let values = headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes());
        let authorization = match wish.surface {
            Surface::Web => cookie::session(headers, self.is_secure()),
            Surface::Git | Surface::Lfs | Surface::Rest => Authorization::read(values, passwords),
        };
        let found = self.store.find(&authorization, wish.named).await?;
        let calendar = match &self.sandbox {
            Some(sandbox) => sandbox.calendar(),
            None => self.store.calendar().await?,
        };
        let ask = Ask { surface: wish.surface, action: wish.action, address: Some(context.address) };
        Ok(Asked { ask, authorization, found, calendar })
    }

    /// How a reason is told to the caller.
    fn refusal(&self, rules: Rules<'_>, asked: &Asked, context: &Context, reason: &Reason) -> Refusal {
        let facts = &asked.found.facts;
        if rules.set == RuleSet::BitbucketCloud {
            let answer = bitbucket_cloud::refusal(reason, &asked.ask, asked.caller(), rules.calendar, context.at);
            return Refusal::of_reason(reason, asked.ask.surface).worded(answer);
        }
        let unproven = matches!(facts.presented, Presented::Unknown | Presented::Unreadable(_));
        let limit = self.settings.limits.failed_attempts;
        if unproven && let Some(retry_after) = self.attempts.failed(context.at, context.address, asked.claimed(), limit)
        {
            let many = Reason::TooManyAttempts { retry_after };
            let sentence = format!("{many}; of this one: {reason}");
            return Refusal {
                sentence,
                retry_after: Some(retry_after),
                ..Refusal::of_reason(&many, asked.ask.surface)
            };
        }
        let refusal = Refusal::of_reason(reason, asked.ask.surface);
        match advise(rules, &asked.ask, facts, context.at) {
            // One change is what the remedy says already.
            Some(advice) if advice.changes.len() > 1 => Refusal { remedy: advice.sentence(facts), ..refusal },
            _ => refusal,
        }
    }

    /// What the headers tell about the credential, if it was proven.
    fn diagnostics(&self, asked: &Asked, context: &Context) -> Diagnostics {
        let Some(credential) = asked.found.facts.credential() else { return Diagnostics::default() };
        // Bitbucket Cloud was seen to send these on REST alone.
        if self.sandbox.is_some() && asked.ask.surface != Surface::Rest {
            return Diagnostics::default();
        }
        let told = Diagnostics::of(credential, asked.ask.action);
        // Bitbucket Cloud announces the end of a kind elsewhere.
        if self.sandbox.is_some() { told } else { told.ending(asked.calendar.schedule(credential.kind), context.at) }
    }

    /// A refusal is recorded by itself, but for one that is no more than the question for a credential (git sends its
    /// first request without one on purpose), and for a flood of them.
    pub(crate) async fn record_refusal(
        &self,
        context: &Context,
        wish: Wish<'_>,
        decision: Decision,
        holder: Option<CredentialId>,
        refusal: &Refusal,
    ) -> Result<RequestId, Refusal> {
        if refusal.code == TOO_MANY {
            // Whoever tries many secrets may try as many names: they are one count, under which each is found.
            return self.tally_as(context, MANY.into(), decision).await;
        }
        let by_itself = refusal.code != Reason::NothingPresented.code()
            && match holder {
                Some(id) => self.may_record_holder(context.at, id),
                None => self.may_record_stranger(context.at),
            };
        if !by_itself && holder.is_some() {
            return self.tally_as(context, MANY_REFUSALS.into(), decision).await;
        }
        if !by_itself {
            return self.tally(context, wish, decision).await;
        }
        let record = Record {
            at: context.at,
            event: "refused".into(),
            request: Some(context.id.to_string()),
            subject: wish.subject(),
            decision: Some(decision),
            status: Some(refusal.status.as_u16()),
            sentence: refusal.sentence.clone(),
            remedy: Some(refusal.remedy.clone()),
        };
        self.recorder.record(record).await?;
        Ok(context.id)
    }
}

impl Asked {
    /// What the store asks before a change is made, of what is the case then.
    fn leave(self, app: &App, about: (Named<'_>, Target)) -> Leave {
        let Self { ask, authorization, found, .. } = self;
        let (set, clock) = (app.settings.rules, app.clone());
        let clock = move || clock.clock.now();
        Leave::new(authorization, about, found, clock, move |facts, calendar, at| {
            let Verdict { outcome, trail } = decide(Rules { set, calendar }, &ask, facts, at);
            outcome.map(drop).map_err(|reason| (reason, trail.settled_by()))
        })
    }

    /// What was presented, as far as Bitbucket Cloud's wording depends on it.
    pub(crate) fn caller(&self) -> bitbucket_cloud::Caller {
        let presented = match &self.found.facts.presented {
            Presented::Proven(credential) => Some(credential.kind),
            Presented::Unreadable(fault) => bitbucket_cloud::kind_of(*fault),
            _ => None,
        };
        match &self.authorization {
            Authorization::Token(presentation) => bitbucket_cloud::Caller {
                scheme: Some(presentation.scheme),
                kind: presented.or_else(|| presentation.token.kinds.iter().next()),
            },
            Authorization::Unreadable(_, scheme) => bitbucket_cloud::Caller { scheme: *scheme, kind: presented },
            Authorization::Nothing => bitbucket_cloud::Caller { scheme: None, kind: None },
        }
    }

    /// The credential that a token says it is, whether that is true or not.
    fn claimed(&self) -> Option<doorward_rules::CredentialId> {
        match &self.authorization {
            Authorization::Token(presentation) => Some(presentation.token.id),
            _ => None,
        }
    }
}

/// The code of refusals that are counted together, and what they are counted under.
const TOO_MANY: &str = "too_many_attempts";
const MANY: &str = "(many attempts)";
/// What further refusals of a credential are counted under.
const MANY_REFUSALS: &str = "(many refusals)";
/// How long a wait for a place may take before the kernel is asked again.
const LONG: Duration = Duration::from_millis(500);

/// A decision in words, for the audit.
fn describe(asked: &Asked, context: &Context, rule: doorward_rules::Rule) -> Decision {
    let decision =
        Decision::new(asked.ask.surface, asked.ask.action, rule).from(context.address, context.agent.clone());
    let Authorization::Token(presentation) = &asked.authorization else { return decision };
    let proven = asked.found.facts.credential().map(|credential| (credential.id, credential.form.name));
    decision.by(presentation.scheme, proven, asked.found.account.clone())
}
