//! A host's REST: one question, whose a credential is and what it may do; and any call of a server that is administered.
//!
//! `GET /2.0/user` is what nearly every tool asks first. Also a refusal tells something: the credential's kind and scopes
//! stand in headers. No redirect is followed, since it would lead the secret elsewhere.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use secrecy::{ExposeSecret, SecretString};
use serde_json::Value;
use thiserror::Error;
use ureq::Agent;
use ureq::http::HeaderMap;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, TlsProvider, parse_pem};

use crate::{Environment, Place};

/// How a credential is presented to REST.
#[derive(Debug, Clone)]
pub enum Presented<'a> {
    /// With this user name, or e-mail address.
    Basic(&'a str, &'a SecretString),
    /// By itself.
    Bearer(&'a SecretString),
}

/// What REST answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RestAnswer {
    /// The status.
    pub status: u16,
    /// The scopes that the credential has, if the host tells.
    pub scopes: Option<Vec<String>>,
    /// Its kind, in the host's word.
    pub kind: Option<String>,
    /// The user name of its account.
    pub username: Option<String>,
    /// The name of the account as people see it.
    pub display_name: Option<String>,
    /// What the host says of a refusal.
    pub message: Option<String>,
    /// How far its clock is ahead of ours, in seconds.
    pub clock_ahead: Option<i64>,
    /// Whether more than four fifths of the allowed requests are used up.
    pub near_limit: bool,
    /// After how many seconds one may ask again.
    pub retry_after: Option<u64>,
}

/// Why REST has not answered; it says nothing about a credential.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RestError {
    /// The name of the host cannot be resolved.
    #[error("the name {0} cannot be resolved")]
    Name(String),
    /// Its certificate is not one that this machine trusts.
    #[error("the certificate of {0} is not trusted by this machine ({1})")]
    Certificate(String, String),
    /// It did not answer in time.
    #[error("{0} did not answer in time")]
    Late(String),
    /// Something else.
    #[error("{0} cannot be reached ({1})")]
    Unreachable(String, String),
}

/// The REST of a host, with one credential for every call.
#[derive(Debug)]
pub struct Api {
    agent: Agent,
    base: String,
    host: String,
    authorization: SecretString,
}

/// What a call was answered with.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// What was answered, if it is JSON.
    pub body: Value,
    /// After how many seconds one may ask again.
    pub retry_after: Option<u64>,
}

impl Api {
    /// The REST of a host. The proxy is the one that the environment names, and the certificates are those that git trusts.
    pub fn new(place: &Place, presented: &Presented<'_>, environment: Environment<'_>, patience: Duration) -> Self {
        let base = place.rest_base();
        let host = base.split('/').nth(2).unwrap_or_default().to_owned();
        let authorization = match presented {
            Presented::Basic(name, secret) => {
                format!("Basic {}", STANDARD.encode(format!("{name}:{}", secret.expose_secret())))
            }
            Presented::Bearer(secret) => format!("Bearer {}", secret.expose_secret()),
        };
        let agent = Agent::config_builder()
            .timeout_global(Some(patience))
            .max_redirects(0)
            .http_status_as_error(false)
            .tls_config(trusting(&roots(&base, environment)))
            .user_agent(concat!("doorward/", env!("CARGO_PKG_VERSION")))
            .build()
            .into();
        Self { agent, base, host, authorization: authorization.into() }
    }

    /// The host, with its port if that is not the usual one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// One call: a method, a path below `/2.0`, and what is sent.
    ///
    /// # Errors
    /// [`RestError`] if there is no answer. What was to be changed may have been changed all the same.
    pub fn call(&self, method: &str, path: &str, body: Option<&Value>) -> Result<ApiAnswer, RestError> {
        let (status, headers, text) = self.ask(method, path, body, LONGEST_PAGE)?;
        let retry_after = headers.get("retry-after").and_then(|seconds| seconds.to_str().ok()?.parse().ok());
        let body = match text {
            Ok(text) => serde_json::from_str(&text).unwrap_or_default(),
            // An answer that broke off is none; of a refusal, the status says enough.
            Err(error) if status < 300 => return Err(unreachable(error, self.host.clone())),
            Err(_) => Value::Null,
        };
        Ok(ApiAnswer { status, body, retry_after })
    }

    fn ask(&self, method: &str, path: &str, body: Option<&Value>, longest: u64) -> Result<Asked, RestError> {
        let failed = |error| unreachable(error, self.host.clone());
        let request = ureq::http::Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header("Authorization", self.authorization.expose_secret());
        let answer = match body {
            None => request
                .body(())
                .map_err(|error| failed(error.into()))
                .and_then(|request| self.agent.run(request).map_err(failed))?,
            Some(body) => {
                let request = request.header("Content-Type", "application/json").body(body.to_string());
                self.agent.run(request.map_err(|error| failed(error.into()))?).map_err(failed)?
            }
        };
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok((status, headers, answer.into_body().into_with_config().limit(longest).read_to_string()))
    }
}

/// Status, headers, and the body, if all of it came.
type Asked = (u16, HeaderMap, Result<String, ureq::Error>);

/// Asks whose a credential is, once and within `patience`. The proxy is the one that the environment names, and the
/// certificates are those that git trusts.
///
/// # Errors
/// [`RestError`] if there is no answer.
pub fn who_am_i(
    place: &Place,
    presented: &Presented<'_>,
    environment: Environment<'_>,
    patience: Duration,
) -> Result<RestAnswer, RestError> {
    let api = Api::new(place, presented, environment, patience);
    let (status, headers, body) = api.ask("GET", "/user", None, LONGEST)?;
    // A body that does not come is no reason not to use the status.
    Ok(read(status, &headers, &body.unwrap_or_default(), SystemTime::now()))
}

fn read(status: u16, headers: &HeaderMap, body: &str, now: SystemTime) -> RestAnswer {
    let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let scopes = header("x-oauth-scopes").map(|scopes| {
        scopes.split(',').map(|scope| scope.trim().to_owned()).filter(|scope| !scope.is_empty()).collect()
    });
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let text = |value: &Value| value.as_str().map(shown);
    let seconds = |time: SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs().cast_signed());
    let date = header("date").and_then(|date| httpdate::parse_http_date(date).ok());
    // An error is an object with a message, a bare sentence under the same name, or text.
    let told = text(&json["error"]["message"]).or_else(|| text(&json["error"]));
    let told = told.or_else(|| Some(shown(body)).filter(|body| json.is_null() && !body.contains('<')));
    RestAnswer {
        status,
        scopes,
        kind: header("x-credential-type").map(shown),
        username: text(&json["username"]).or_else(|| text(&json["nickname"])),
        display_name: text(&json["display_name"]),
        message: told.filter(|told| status >= 400 && !told.is_empty()),
        clock_ahead: date.map(|date| seconds(date) - seconds(now)),
        near_limit: header("x-ratelimit-nearlimit").is_some_and(|near| near.eq_ignore_ascii_case("true")),
        retry_after: header("retry-after").and_then(|seconds| seconds.parse().ok()),
    }
}

impl RestAnswer {
    /// Whether the host knows the credential: it let it in, or said what it may not do.
    pub fn knows_it(&self) -> bool {
        self.status < 300 || (self.status == 403 && (self.scopes.is_some() || self.kind.is_some()))
    }

    /// Whether it has a scope, in either vocabulary; `None` if the host does not tell. A scope may imply another.
    pub fn has(&self, scope: &str) -> Option<bool> {
        let scopes = self.scopes.as_ref()?;
        let old = match scope {
            "read:repository:bitbucket" => {
                &["repository", "repository:write", "pullrequest", "pullrequest:write", "project"][..]
            }
            "write:repository:bitbucket" => &["repository:write", "pullrequest:write"],
            _ => &[],
        };
        Some(scopes.iter().any(|has| has == scope || old.contains(&has.as_str())))
    }
}

/// The certificates that git trusts: those of the system, and the file that git is told of.
fn roots(url: &str, environment: Environment<'_>) -> Vec<Certificate<'static>> {
    let mut roots = system_certificates();
    let configured = || {
        let mut git = Command::new("git");
        let output =
            git.args(["config", "--get-urlmatch", "http.sslCAInfo", url]).stdin(Stdio::null()).output().ok()?;
        Some(String::from_utf8(output.stdout).ok()?.trim().to_owned()).filter(|path| !path.is_empty())
    };
    let file = environment("GIT_SSL_CAINFO").or_else(configured);
    let pem = file.and_then(|path| std::fs::read(Path::new(&path)).ok()).unwrap_or_default();
    roots.extend(certificates_in(&pem));
    roots
}

/// TLS that trusts these certificates, and no others.
pub(crate) fn trusting(roots: &[Certificate<'static>]) -> TlsConfig {
    TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(roots))
        .build()
}

/// The certificates that this machine trusts.
pub(crate) fn system_certificates() -> Vec<Certificate<'static>> {
    let system = rustls_native_certs::load_native_certs().certs;
    system.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned()).collect()
}

/// The certificates in a PEM file.
pub(crate) fn certificates_in(pem: &[u8]) -> impl Iterator<Item = Certificate<'static>> {
    parse_pem(pem).filter_map(|item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    })
}

fn unreachable(error: ureq::Error, host: String) -> RestError {
    match error {
        ureq::Error::Timeout(_) => RestError::Late(host),
        ureq::Error::HostNotFound => RestError::Name(host),
        error => {
            let text = error.to_string();
            match text.to_ascii_lowercase().contains("certificate") {
                true => RestError::Certificate(host, text),
                false => RestError::Unreachable(host, text),
            }
        }
    }
}

/// What a host says, as it may be shown at a terminal.
fn shown(text: &str) -> String {
    let text: String = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).take(300).collect();
    doorward_wire::redact(text.trim()).into_owned()
}

/// As much of an answer as is read.
const LONGEST: u64 = 64 * 1024;
/// The same for a page of a list.
const LONGEST_PAGE: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &'static str)], body: &str) -> RestAnswer {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("a value")))
            .collect();
        read(status, &headers, body, UNIX_EPOCH + Duration::from_secs(784_111_777))
    }

    #[test]
    fn every_shape_of_a_refusal_is_understood() {
        for (body, message) in [
            (r#"{"type":"error","error":{"message":"Token is invalid"}}"#, Some("Token is invalid")),
            (
                r#"{"error": "API Token provided has no Bitbucket scopes."}"#,
                Some("API Token provided has no Bitbucket scopes."),
            ),
            ("Login failed\ndue to", Some("Login failed due to")),
            ("", None),
            ("<html>no</html>", None),
        ] {
            assert_eq!(answer(401, &[], body).message.as_deref(), message, "{body}");
        }
    }

    #[test]
    fn kind_scopes_clock_and_limits_stand_in_the_headers() {
        let headers = [
            ("x-oauth-scopes", "repository:write, account"),
            ("x-credential-type", "repo_access_token"),
            ("date", "Sun, 06 Nov 1994 08:59:37 GMT"),
            ("x-ratelimit-nearlimit", "true"),
        ];
        let answer = answer(403, &headers, "");
        assert_eq!((answer.clock_ahead, answer.near_limit, answer.knows_it()), (Some(600), true, true));
        assert_eq!(answer.has("read:repository:bitbucket"), Some(true));
        assert_eq!(answer.has("read:user:bitbucket"), Some(false));
        assert_eq!(RestAnswer { status: 401, ..RestAnswer::default() }.has("read:user:bitbucket"), None);
    }
}
