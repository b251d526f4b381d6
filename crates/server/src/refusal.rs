//! Every answer that is not what was asked for: status, code, sentence, remedy.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use doorward_git::GitError;
use doorward_rules::{OwnFault, Reason, Rule, Scopes, Surface};
use doorward_store::StoreError;
use doorward_wire::bitbucket_cloud::{Answer, envelope};
use doorward_wire::{RequestId, redact};
use serde_json::{Value, json};

use crate::observe::Noted;

/// The refusal that an answer is to become a page of. Travels with the response.
#[derive(Debug, Clone)]
pub(crate) struct Refused(pub(crate) Refusal);

/// A request that is not answered as asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    /// The stable name.
    pub(crate) code: &'static str,
    pub(crate) sentence: String,
    pub(crate) remedy: String,
    /// When to come again, if that is the remedy.
    pub(crate) retry_after: Option<Duration>,
    /// Where it is answered, which is the form that it takes.
    pub(crate) surface: Surface,
    /// The scopes that were needed and those that were there, if that is what it is about.
    pub(crate) scopes: Option<Box<(Scopes, Scopes)>>,
    /// The parameter that is wrong, and what is wrong with it.
    pub(crate) field: Option<Box<(&'static str, String)>>,
    /// What programs may want to know of it.
    pub(crate) data: Option<Box<Value>>,
    /// The rule by which it was refused after it had been let in.
    pub(crate) withdrawn_by: Option<Rule>,
    /// The answer in another's words.
    pub(crate) worded: Option<Box<Answer>>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        sentence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            status,
            code,
            sentence: sentence.into(),
            remedy: remedy.into(),
            retry_after: None,
            surface: Surface::Git,
            scopes: None,
            field: None,
            data: None,
            withdrawn_by: None,
            worded: None,
        }
    }

    /// A parameter of a request to REST that cannot be used.
    pub(crate) fn bad_parameter(name: &'static str, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        let what = what.into();
        let refusal = Self::new(StatusCode::BAD_REQUEST, "bad_parameter", format!("`{name}`: {what}"), remedy);
        Self { field: Some(Box::new((name, what))), ..refusal.on(Surface::Rest) }
    }

    /// Something in a repository that is not there.
    pub(crate) fn not_there(code: &'static str, sentence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, sentence, remedy).on(Surface::Rest)
    }

    /// Something that is in a state in which this cannot be done.
    pub(crate) fn conflict(code: &'static str, sentence: impl Into<String>, remedy: &'static str) -> Self {
        Self::new(StatusCode::CONFLICT, code, sentence, remedy).on(Surface::Rest)
    }

    /// A verdict of the kernel.
    pub(crate) fn of_reason(reason: &Reason, surface: Surface) -> Self {
        let status = StatusCode::from_u16(reason.status(surface)).unwrap_or(StatusCode::FORBIDDEN);
        let scopes = match reason {
            Reason::ScopeMissing { action, granted } => Some(Box::new((action.scopes(), *granted))),
            _ => None,
        };
        Self { surface, scopes, ..Self::new(status, reason.code(), reason.to_string(), reason.remedy()) }
    }

    /// Trouble of our own. It says nothing about the caller, so that nobody throws away a good credential.
    pub(crate) fn unavailable(fault: OwnFault) -> Self {
        let remedy = format!("try again in {} s; your credential was not refused", RETRY.as_secs());
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self { retry_after: Some(RETRY), ..Self::new(status, fault.code(), fault.to_string(), remedy) }
    }

    /// More at once than one address may have.
    pub(crate) fn too_many(limit: usize) -> Self {
        let sentence = format!("your address has {limit} requests in flight, which is as many as it may");
        let remedy =
            format!("try again in {} s, with fewer jobs at once; your credential was not refused", RETRY.as_secs());
        Self {
            retry_after: Some(RETRY),
            ..Self::new(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", sentence, remedy)
        }
    }

    /// The same, answered in the form of a surface.
    pub(crate) fn on(self, surface: Surface) -> Self {
        Self { surface, ..self }
    }

    /// The same, answered in another's words, and with the status that goes with them.
    pub(crate) fn worded(self, answer: Answer) -> Self {
        let status = StatusCode::from_u16(answer.status).unwrap_or(self.status);
        Self { status, worded: Some(Box::new(answer)), ..self }
    }

    /// The answer. It is in the log under its id, and nowhere else: there was no decision.
    pub(crate) fn respond(&self, id: RequestId) -> Response<Body> {
        let mut response = self.answer(id, false);
        response.extensions_mut().insert(Noted::default().refused(self.code));
        response
    }

    /// The answer to a decision that was recorded under this id.
    pub(crate) fn respond_recorded(&self, id: RequestId) -> Response<Body> {
        self.answer(id, true)
    }

    fn answer(&self, id: RequestId, recorded: bool) -> Response<Body> {
        let (content_type, body, challenge) = match &self.worded {
            Some(answer) => (answer.content_type, answer.body.clone(), answer.challenge),
            None if self.surface == Surface::Git => {
                ("text/plain; charset=utf-8", self.text(id, recorded), OUR_CHALLENGE)
            }
            // A browser that is challenged would ask for a password in a window of its own.
            None if self.surface == Surface::Web => ("text/plain; charset=utf-8", self.text(id, recorded), None),
            None => ("application/json", self.json(id).to_string(), OUR_CHALLENGE),
        };
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = challenge.filter(|_| self.status == StatusCode::UNAUTHORIZED) {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(retry) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry.as_secs()));
        }
        if self.surface == Surface::Web {
            response.extensions_mut().insert(Refused(self.clone()));
        }
        response
    }

    /// Text, which git shows line by line as `remote:` when it comes for `info/refs`.
    fn text(&self, id: RequestId, recorded: bool) -> String {
        // Short lines: git puts `remote: ` before each, and terminals have 80 columns.
        let more = if recorded { " (`doorward why` tells an administrator more)" } else { "" };
        format!("{}\nhint: {}\nrequest: {id}{more}\n", self.sentence, self.remedy)
    }

    /// Bitbucket Cloud's envelope, with everything that we know in its `detail`.
    fn json(&self, id: RequestId) -> Value {
        let mut detail = json!({ "code": self.code, "remedy": self.remedy, "request_id": id.to_string() });
        if let (Some(scopes), Some(detail)) = (&self.scopes, detail.as_object_mut()) {
            let (required, granted) = **scopes;
            detail.insert("required".into(), json!(required.names()));
            detail.insert("granted".into(), json!(granted.names()));
        }
        let mut value = envelope(&self.sentence, Some(detail));
        if let (Some(field), Some(error)) = (&self.field, value["error"].as_object_mut()) {
            let (name, what) = &**field;
            error.insert("fields".into(), json!({ *name: [what] }));
        }
        if let (Some(data), Some(error)) = (&self.data, value["error"].as_object_mut()) {
            error.insert("data".into(), (**data).clone());
        }
        value
    }
}

/// The caller is told that the store has trouble, and the log what trouble.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        if let StoreError::Withdrawn { reason, rule } = &error {
            return Self { withdrawn_by: Some(*rule), ..Self::of_reason(reason, Surface::Rest) };
        }
        tracing::error!(%error, "the store cannot answer");
        Self::unavailable(OwnFault::Store)
    }
}

/// The caller is told that the server has trouble with git, and the log what trouble.
impl From<GitError> for Refusal {
    fn from(error: GitError) -> Self {
        if matches!(error, GitError::TooMuch) {
            let remedy = "ask for less: fewer on a page, not so deep, or a narrower path";
            return Self::new(StatusCode::PAYLOAD_TOO_LARGE, "answer_too_large", error.to_string(), remedy);
        }
        tracing::error!(%error, "git cannot answer");
        Self::unavailable(match error {
            GitError::Busy(_) | GitError::Crowded => OwnFault::Busy,
            _ => OwnFault::Git,
        })
    }
}

/// What a client has written, as it may stand in a sentence: short, on one line, and without secrets.
pub(crate) fn shown(text: &str) -> String {
    redact(text).chars().filter(|letter| !letter.is_control()).take(200).collect()
}

const OUR_CHALLENGE: Option<&str> = Some("Basic realm=\"Doorward\", charset=\"UTF-8\"");
const RETRY: Duration = Duration::from_secs(5);
