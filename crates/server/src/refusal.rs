//! Every answer that is not what was asked for: status, code, sentence, remedy.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Response, StatusCode};
use doorward_git::GitError;
use doorward_rules::{Reason, Surface};
use doorward_store::StoreError;
use doorward_wire::RequestId;

use crate::observe::Noted;

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
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: &'static str,
        sentence: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self { status, code, sentence: sentence.into(), remedy: remedy.into(), retry_after: None }
    }

    /// A verdict of the kernel.
    pub(crate) fn of_reason(reason: &Reason, surface: Surface) -> Self {
        let status = StatusCode::from_u16(reason.status(surface)).unwrap_or(StatusCode::FORBIDDEN);
        Self::new(status, reason.code(), reason.to_string(), reason.remedy())
    }

    /// Trouble of our own. It says nothing about the caller, so that nobody throws away a good credential.
    pub(crate) fn unavailable(code: &'static str, sentence: &str) -> Self {
        let remedy = format!("try again in {} s; your credential was not refused", RETRY.as_secs());
        Self { retry_after: Some(RETRY), ..Self::new(StatusCode::SERVICE_UNAVAILABLE, code, sentence, remedy) }
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

    /// The answer as text, which git shows line by line as `remote:` when it comes for `info/refs`. It is in the log
    /// under its id, and nowhere else: there was no decision.
    pub(crate) fn respond(&self, id: RequestId) -> Response<Body> {
        let mut response = self.answer(&format!("request: {id}"));
        response.extensions_mut().insert(Noted::default().refused(self.code));
        response
    }

    /// The answer to a decision that was recorded under this id.
    pub(crate) fn respond_recorded(&self, id: RequestId) -> Response<Body> {
        self.answer(&format!("request: {id} (`doorward why` tells an administrator more)"))
    }

    fn answer(&self, request: &str) -> Response<Body> {
        // Short lines: git puts `remote: ` before each, and terminals have 80 columns.
        let text = format!("{}\nhint: {}\n{request}\n", self.sentence, self.remedy);
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"Doorward\", charset=\"UTF-8\""));
        }
        if let Some(retry) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(retry.as_secs()));
        }
        response
    }
}

/// The caller is told that the store has trouble, and the log what trouble.
impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        tracing::error!(%error, "the store cannot answer");
        Self::unavailable("store_unavailable", "the server cannot look up credentials now")
    }
}

/// The caller is told that the server has trouble with git, and the log what trouble.
impl From<GitError> for Refusal {
    fn from(error: GitError) -> Self {
        tracing::error!(%error, "git cannot answer");
        match error {
            GitError::Busy(_) => {
                Self::unavailable("busy", "the server is busy: too many fetches and pushes wait already")
            }
            _ => Self::unavailable("git_unavailable", "the server has trouble with this repository"),
        }
    }
}

const RETRY: Duration = Duration::from_secs(5);
