//! Tries an upstream: whether it can be reached, and what a credential is good for on each of its surfaces.

use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use doorward_rules::{Reason, Surface, Timestamp, bitbucket_cloud};
use doorward_wire::RepositoryName;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method, StatusCode};
use secrecy::SecretString;

use crate::agent::{Agent, NoAnswer, whole};
use crate::caller::{Caller, PrintKey, authorization};
use crate::look::{request, turned};
use crate::{Turned, UpstreamSettings};

/// What was found on one surface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was tried: `git fetch`, `git push`, `Git LFS` or `REST`.
    pub surface: &'static str,
    /// How the credential was presented; none without one.
    pub form: Option<String>,
    /// Whether it works.
    pub works: bool,
    /// What the upstream said, or what it took.
    pub told: String,
    /// The scopes of the credential, as the upstream names them.
    pub scopes: Option<String>,
    /// The kind of the credential, as the upstream names it.
    pub kind: Option<String>,
    /// From when on no credential of its kind is taken there, if that is announced.
    pub ends: Option<Timestamp>,
}

/// What is asked on one surface.
struct Asked {
    what: &'static str,
    surface: Surface,
    url: String,
    /// A body of JSON, for what is no GET.
    body: &'static str,
}

/// Tries each surface once, with the user name and secret that a job would send (as Bearer, if there is no name) or without any; git,
/// Git LFS and REST of a repository, if one is named.
pub async fn check(
    settings: &UpstreamSettings,
    credential: Option<(Option<&str>, &SecretString)>,
    repository: Option<&RepositoryName>,
    now: Timestamp,
) -> Result<Vec<Finding>, String> {
    let agent = Agent::new(settings.quiet)?;
    let header = credential.map(|(user, secret)| authorization(user, secret)).transpose()?;
    let caller = Caller::read(header.iter(), settings.forms, &PrintKey::new());
    let caller = caller.map_err(|error| error.to_string())?;
    let mut asked = Vec::new();
    match repository {
        Some(name) => {
            let git = |service: &str| format!("{}/{name}.git/info/refs?service={service}", settings.git);
            let get = |what, url| Asked { what, surface: Surface::Git, url, body: "" };
            asked.push(get("git fetch", git("git-upload-pack")));
            asked.push(get("git push", git("git-receive-pack")));
            let url = format!("{}/{name}.git/info/lfs/objects/batch", settings.git);
            asked.push(Asked { what: LFS, surface: Surface::Lfs, url, body: BATCH });
        }
        None => {
            asked.push(Asked { what: "git", surface: Surface::Git, url: format!("{}/", settings.git), body: "" });
        }
    }
    if let Some(rest) = &settings.rest {
        let path = repository.map_or_else(|| "/user".to_owned(), |name| format!("/repositories/{name}"));
        asked.push(Asked { what: "REST", surface: Surface::Rest, url: format!("{rest}{path}"), body: "" });
    }
    let mut findings = Vec::new();
    for asked in asked {
        findings.push(try_one(&agent, asked, caller.as_ref(), now).await);
    }
    Ok(findings)
}

async fn try_one(agent: &Agent, asked: Asked, caller: Option<&Caller>, now: Timestamp) -> Finding {
    let Asked { what, surface, url, body } = asked;
    let calendar = bitbucket_cloud::calendar();
    let ends = caller.and_then(Caller::kind).and_then(|kind| calendar.schedule(kind).retires_at);
    let ends = ends.filter(|ends| *ends > now);
    let finding = |form, works, told| Finding { surface: what, form, works, told, scopes: None, kind: None, ends };
    let presented = match caller.map(|caller| caller.present(surface, now)).transpose() {
        Ok(presented) => presented,
        Err(reason) => return finding(None, false, refused_here(&reason)),
    };
    let form =
        presented.as_ref().map(|presented| presented.form.map_or("as it was sent".into(), |form| form.to_string()));
    let method = if body.is_empty() { Method::GET } else { Method::POST };
    let made = request(method, &url, presented.as_ref().map(|presented| &presented.header), whole(body));
    let request = match made {
        Ok(mut request) => {
            if !body.is_empty() {
                request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(LFS_TYPE));
                request.headers_mut().insert(ACCEPT, HeaderValue::from_static(LFS_TYPE));
            }
            request
        }
        Err(error) => return finding(form, false, error.to_string()),
    };
    let began = Instant::now();
    let sent = tokio::time::timeout(PATIENCE, agent.send(request, &AtomicBool::new(false))).await;
    let late = || NoAnswer { why: format!("it did not answer within {} s", PATIENCE.as_secs()), unsent: false };
    let response = match sent.unwrap_or_else(|_| Err(late())) {
        Ok(response) => response,
        Err(no) => return finding(form, false, format!("it cannot be reached: {}", no.why)),
    };
    let (status, took) = (response.status(), began.elapsed().as_millis());
    let header = |headers: &HeaderMap, name: &str| {
        headers.get(name).and_then(|value| value.to_str().ok()).filter(|value| !value.is_empty()).map(str::to_owned)
    };
    let (scopes, kind) =
        (header(response.headers(), "x-oauth-scopes"), header(response.headers(), "x-credential-type"));
    // Of the host alone no more is asked than that it answers.
    let is_host = what == "git" && !status.is_server_error();
    let wants_one = caller.is_none() && status == StatusCode::UNAUTHORIZED;
    // An access token is no user's, and is told so.
    let is_nobodys = url.ends_with("/user") && status == StatusCode::FORBIDDEN && kind.is_some();
    let has_none = what == LFS && [StatusCode::NOT_FOUND, StatusCode::NOT_IMPLEMENTED].contains(&status);
    let works = status.is_success() || is_host || wants_one || is_nobodys || has_none;
    let told = match works {
        true if is_nobodys => "it is let in, and is no user's; name a repository to try it on that".to_owned(),
        true if has_none => format!("there is none for this repository ({})", status.as_u16()),
        true if is_host => format!("it answers, in {took} ms; name a repository to try a credential on git"),
        true if wants_one => format!("it wants a credential, {} in {took} ms", status.as_u16()),
        true => format!("{} in {took} ms", status.as_u16()),
        false => match turned(response).await {
            Turned::There { said, .. } if !said.is_empty() => format!("{}: {said}", status.as_u16()),
            _ => status.as_u16().to_string(),
        },
    };
    Finding { scopes, kind, ..finding(form, works, told) }
}

fn refused_here(reason: &Reason) -> String {
    format!("{reason}; create an API token there, and use it in place of this one")
}

const LFS: &str = "Git LFS";
const LFS_TYPE: &str = "application/vnd.git-lfs+json";
/// A question for nothing.
const BATCH: &str = r#"{"operation": "download", "transfers": ["basic"], "objects": []}"#;
/// How long one surface may take.
const PATIENCE: Duration = Duration::from_secs(30);
