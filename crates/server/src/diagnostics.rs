//! What the headers of an answer tell the holder of a credential about it.
//!
//! `X-OAuth-Scopes`, `X-Accepted-OAuth-Scopes` and `X-Credential-Type` as Bitbucket Cloud sends them; and from the
//! announcement of a kind's end on, `Deprecation` (RFC 9745) and `Sunset` (RFC 8594).

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use doorward_rules::{Action, Credential, Kind, Schedule, Timestamp};
use doorward_wire::bitbucket_cloud;

/// The headers for one answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diagnostics(Vec<(HeaderName, HeaderValue)>);

impl Diagnostics {
    /// About a credential whose secret was proven.
    pub(crate) fn of(credential: &Credential, action: Action) -> Self {
        // An API token of ours may have old names too; then both are told.
        let new = credential.scopes.names().iter().all(|name| name.ends_with(":bitbucket"));
        let accepted = match credential.kind {
            Kind::ApiToken if !new => action.scopes().names(),
            kind => bitbucket_cloud::names(action.scopes(), Some(kind)),
        };
        Self::default()
            .with("x-oauth-scopes", credential.scopes.names().join(", "))
            .with("x-accepted-oauth-scopes", accepted.join(", "))
            .with("x-credential-type", bitbucket_cloud::credential_type(credential.kind).into())
    }

    /// And about the end of its kind, if that is announced.
    pub(crate) fn ending(self, schedule: &Schedule, now: Timestamp) -> Self {
        let Some(at) = schedule.announced_at.filter(|at| *at <= now) else { return self };
        let headers = self.with("deprecation", format!("@{}", at.0.div_euclid(1000)));
        // The header has no form for what lies beyond.
        match schedule.retires_at.filter(|end| *end <= Timestamp::LAST) {
            Some(end) => headers.with("sunset", http_date(end)),
            None => headers,
        }
    }

    /// One header more.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.0.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Other headers besides.
    pub(crate) fn add(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Puts the headers on an answer.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        headers.extend(self.0);
    }
}

fn http_date(at: Timestamp) -> String {
    let since = Duration::from_millis(at.0.max(0).unsigned_abs());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}
