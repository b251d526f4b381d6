//! What the headers of an answer tell the holder of a credential about it.
//!
//! `X-OAuth-Scopes`, `X-Accepted-OAuth-Scopes` and `X-Credential-Type` as Bitbucket Cloud sends them; and from the
//! announcement of a kind's end on, `Deprecation` (RFC 9745) and `Sunset` (RFC 8594).

use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use doorward_rules::{Action, Calendar, Credential, Kind, Scopes, Timestamp};
use doorward_wire::bitbucket_cloud;

/// The headers for one answer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Diagnostics(Vec<(HeaderName, HeaderValue)>);

impl Diagnostics {
    /// About a credential whose secret was proven.
    pub(crate) fn of(credential: &Credential, action: Action, calendar: &Calendar, now: Timestamp) -> Self {
        let accepted = accepted(action.scopes(), credential.kind);
        let mut headers = Self::default()
            .with("x-oauth-scopes", credential.scopes.names().join(", "))
            .with("x-accepted-oauth-scopes", accepted.join(", "))
            .with("x-credential-type", bitbucket_cloud::credential_type(credential.kind).into());
        let schedule = calendar.schedule(credential.kind);
        if let Some(at) = schedule.announced_at.filter(|at| *at <= now) {
            headers = headers.with("deprecation", format!("@{}", at.0.div_euclid(1000)));
            if let Some(end) = schedule.retires_at {
                headers = headers.with("sunset", http_date(end));
            }
        }
        headers
    }

    /// One header more.
    pub(crate) fn with(mut self, name: &'static str, value: String) -> Self {
        if let Ok(value) = HeaderValue::from_str(&value) {
            self.0.push((HeaderName::from_static(name), value));
        }
        self
    }

    /// Puts the headers on an answer.
    pub(crate) fn put(self, headers: &mut HeaderMap) {
        headers.extend(self.0);
    }
}

fn accepted(scopes: Scopes, kind: Kind) -> Vec<&'static str> {
    bitbucket_cloud::names(scopes, Some(kind))
}

fn http_date(at: Timestamp) -> String {
    let since = Duration::from_millis(at.0.max(0).unsigned_abs());
    httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)
}
