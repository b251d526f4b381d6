//! Why an upstream did not let somebody in, or could not be asked, as it is answered here.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_rules::{Reason, Surface};
use doorward_store::Record;
use doorward_upstream::{Caller, CallerError, Hindered, Turned, Unanswered};
use doorward_wire::redact;

use super::Call;
use super::address::Address;
use crate::refusal::Refusal;

/// What was sent as a credential is none.
pub(super) fn unreadable(error: CallerError) -> Refusal {
    let remedy = "send `Authorization: Basic …` or `Authorization: Bearer …`, or let git ask its credential helper";
    Refusal::new(StatusCode::UNAUTHORIZED, "credential_unreadable", error.to_string(), remedy)
}

/// A credential of this server's, for what is at an upstream that takes others.
pub(super) fn of_this_server(upstream: &str) -> Refusal {
    let sentence = format!("this token is one of this server's, and the repository is at {upstream}");
    let remedy = format!("present a credential of {upstream}; the token was not passed on");
    Refusal::new(StatusCode::FORBIDDEN, "token_of_this_server", sentence, remedy)
}

/// A method that no upstream is asked with.
pub(super) fn trace() -> Refusal {
    let sentence = "TRACE is not passed on to an upstream";
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", sentence, "use GET or HEAD")
}

impl Call {
    /// A caller that was turned away.
    pub(super) fn turned(&self, turned: &Turned, surface: Surface) -> Refusal {
        let name = &self.upstream.settings().name;
        if self.upstream.settings().is_brokered() && turned.is_of_credential() {
            return self.refuse_brokered();
        }
        let (status, said) = match turned {
            Turned::Here(reason) => {
                let remedy = format!("create an API token at {name}, and send it in place of this one");
                return Refusal { remedy, ..Refusal::of_reason(reason, surface) };
            }
            Turned::There { status, said } => (*status, said),
        };
        let quoted = if said.is_empty() { String::new() } else { format!("\n{name} says: {said}") };
        let caller = self.caller();
        let (status, code, sentence, remedy) = match (status, caller.as_deref()) {
            (StatusCode::UNAUTHORIZED, None) => return Refusal::of_reason(&Reason::NothingPresented, surface),
            (StatusCode::UNAUTHORIZED, Some(caller)) => {
                let what = caller.kind().map_or("credential", doorward_rules::Kind::phrase);
                let sentence = format!("{name} refused this {what}{quoted}");
                (status, "upstream_refused", sentence, refused_remedy(caller))
            }
            (StatusCode::FORBIDDEN, _) => {
                let remedy = "check the name; ask whoever administers it there, or use a credential with more scopes";
                (status, "upstream_forbidden", format!("{name} does not allow it{quoted}"), remedy.to_owned())
            }
            (StatusCode::NOT_FOUND, _) => {
                let remedy = "check the name, and whether the credential may see the repository there";
                (status, "upstream_absent", format!("{name} has no such repository for you{quoted}"), remedy.into())
            }
            (StatusCode::GONE, _) => {
                let remedy = "a credential of this kind is of no more use there; make one of another kind";
                (status, "upstream_gone", format!("{name} does not do this any more{quoted}"), remedy.to_owned())
            }
            (status, _) if status.is_redirection() => {
                let remedy = "look where the repository has gone, and use its new address";
                (StatusCode::NOT_FOUND, "upstream_moved", format!("{name} says that it is elsewhere"), remedy.into())
            }
            (status, _) => {
                let sentence = format!("{name} did not take the request ({}){quoted}", status.as_u16());
                (status, "upstream_declined", sentence, "look at what it says".to_owned())
            }
        };
        Refusal::new(status, code, sentence, remedy)
    }

    /// What somebody wants cannot be had.
    pub(super) fn hindered(&self, hindered: &Hindered) -> Refusal {
        match hindered {
            Hindered::Turned(turned) => self.turned(turned, Surface::Git),
            Hindered::Absent(why) => {
                let sentence = format!("{} does not have it: {why}", self.upstream.settings().name);
                Refusal::new(StatusCode::NOT_FOUND, "upstream_absent", sentence, "look what is there now")
            }
            Hindered::Unanswered(unanswered) => Self::unanswered(unanswered),
        }
    }

    /// A question that got no answer.
    pub(super) fn unanswered(unanswered: &Unanswered) -> Refusal {
        let seconds = unanswered.retry_after.as_secs().max(1);
        let (status, code, remedy) = if unanswered.unsure {
            let remedy = "look at what is there before you do it again; your credential was not refused";
            // With 503, or a time to come again, many would do it again without looking.
            return Refusal::new(StatusCode::BAD_GATEWAY, "upstream_unsure", unanswered.why.clone(), remedy);
        } else if unanswered.limited {
            let remedy = format!("try again in {seconds} s; your credential was not refused");
            (StatusCode::TOO_MANY_REQUESTS, "upstream_limited", remedy)
        } else {
            let remedy = format!("try again in {seconds} s; your credential was not refused");
            (StatusCode::SERVICE_UNAVAILABLE, "upstream_unanswered", remedy)
        };
        let retry_after = Some(std::time::Duration::from_secs(seconds));
        Refusal { retry_after, ..Refusal::new(status, code, unanswered.why.clone(), remedy) }
    }

    /// What is said to a job when the upstream has refused the gateway's own credential: nothing about the job's.
    pub(super) fn refuse_brokered(&self) -> Refusal {
        let name = &self.upstream.settings().name;
        let id = self.print().map(|print| print.id().to_string()).unwrap_or_default();
        tracing::error!(upstream = name, credential = id, "the upstream refuses the gateway's own credential");
        let sentence = format!("{name} refuses the credential of this gateway");
        let remedy = "tell its administrator; your own credential was not refused";
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "upstream_refuses_gateway", sentence, remedy)
    }

    /// Answers a refusal, and keeps a record of it unless it is no more than the question for a credential.
    pub(super) async fn refuse(&self, address: &Address, refusal: Refusal) -> Response<Body> {
        let refusal = refusal.on(address.surface());
        self.app.metrics.refused(refusal.code);
        let (id, at) = (self.context.id, self.context.at);
        if refusal.code == Reason::NothingPresented.code() || !self.app.may_record_stranger(at) {
            return refusal.respond(id);
        }
        let credential = self.caller().map(|caller| {
            let kind = caller.kind().map_or("a credential of unknown kind", doorward_rules::Kind::phrase);
            format!(" ({kind}, {})", caller.print().id())
        });
        let record = Record {
            at,
            event: "refused".into(),
            request: Some(id.to_string()),
            subject: redact(&address.subject()).into_owned(),
            decision: None,
            status: Some(refusal.status.as_u16()),
            sentence: format!("{}{}", refusal.sentence, credential.unwrap_or_default()),
            remedy: Some(refusal.remedy.clone()),
        };
        match self.app.recorder.record(record).await {
            Ok(()) => refusal.respond_recorded(id),
            Err(error) => Refusal::from(error).on(refusal.surface).respond(id),
        }
    }
}

/// What to do about a credential that was presented in its right form and refused all the same.
fn refused_remedy(caller: &Caller) -> String {
    match caller.kind() {
        Some(kind) => format!("make a new {} there, with scopes for repositories, if it has ended", kind.phrase()),
        None => "check user name and secret; `doorward doctor` says more".into(),
    }
}
