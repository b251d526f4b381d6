//! A look at the refs of a repository there, with one credential: what they are, or that they are not for this caller.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use doorward_git::{Listing, ObjectFormat};
use doorward_rules::{Form, Reason, Surface, Timestamp};
use doorward_wire::{PktLine, RepositoryName, redact};
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Method, StatusCode};

use crate::agent::{Answer, Body, collect, whole};
use crate::ask::{Question, Unanswered};
use crate::upstream::Subject;
use crate::waits::Waits;
use crate::{Caller, Upstream};

/// What a look has seen.
#[derive(Debug, Clone)]
pub enum Seen {
    /// The caller may read, and these are the refs.
    Refs(Listing),
    /// The caller may read; the upstream speaks a version of the protocol in which it has to answer each by itself.
    Old,
    /// The caller may not.
    Turned(Arc<Turned>),
    /// Nobody knows for now.
    Unanswered(Arc<Unanswered>),
}

/// Why a caller may not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Turned {
    /// Its credential is of no use whatever the upstream would say.
    Here(Reason),
    /// The upstream has refused it.
    There {
        /// The status.
        status: StatusCode,
        /// What it said, without secrets.
        said: String,
    },
}

/// How an upstream lists the refs of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Dialect {
    format: ObjectFormat,
    unborn: bool,
    /// What it says that it can do.
    can: Arc<BTreeSet<String>>,
}

impl Upstream {
    /// Looks at a repository with a credential, or without one. The look begins after the question; all who ask with the same
    /// credential meanwhile share it.
    pub async fn look(&self, name: &RepositoryName, caller: Option<&Caller>, now: Timestamp) -> Seen {
        let subject = Subject { repository: self.mirror_of(name), print: caller.map(Caller::print) };
        if caller.is_none() && self.is_private(subject.repository) {
            let said = "it wants a credential".to_owned();
            return Seen::Turned(Arc::new(Turned::There { status: StatusCode::UNAUTHORIZED, said }));
        }
        self.counters().question();
        self.lookout().ask(subject, || self.look_once(name, caller, subject, now)).await
    }

    /// What was seen of a repository with a credential a moment ago, by whomever.
    pub fn seen_lately(&self, name: &RepositoryName, caller: Option<&Caller>) -> Option<Listing> {
        self.latest().recall(Subject { repository: self.mirror_of(name), print: caller.map(Caller::print) })
    }

    /// What both can do in version 2, of a repository whose refs were seen; it is what a client may ask for that is to be passed on.
    pub fn common(&self, name: &RepositoryName, ours: &[u8]) -> Option<Vec<u8>> {
        self.dialect(self.mirror_of(name)).map(|dialect| dialect.common(ours))
    }

    /// The form in which a job should have sent its credential, if it sent one that would have been refused.
    pub fn should_be(&self, caller: Option<&Caller>, surface: Surface, now: Timestamp) -> Option<Form> {
        let caller = caller?;
        caller.present(surface, now).ok()?.should_be
    }

    async fn look_once(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        subject: Subject,
        now: Timestamp,
    ) -> Seen {
        self.counters().look();
        let began = Instant::now();
        match self.refs(name, caller, subject, now).await {
            Ok(Ok(seen)) => {
                if let Seen::Refs(refs) = &seen {
                    self.latest().note(subject, (began, Instant::now()), refs);
                }
                seen
            }
            Ok(Err(turned)) => {
                self.latest().forget(subject);
                if caller.is_none() && turned.is_of_credential() {
                    self.set_private(subject.repository);
                }
                Seen::Turned(Arc::new(turned))
            }
            Err(unanswered) => Seen::Unanswered(Arc::new(unanswered)),
        }
    }

    async fn refs(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        subject: Subject,
        now: Timestamp,
    ) -> Result<Result<Seen, Turned>, Unanswered> {
        let header = match self.authorization(caller, Surface::Git, now) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(Turned::Here(reason))),
        };
        let (arrived, deadline) = (AtomicBool::new(false), Instant::now() + self.settings().patience);
        let question = Question { look: true, ..Question::of_git(caller, subject, deadline, &arrived) };
        let dialect = match self.dialect(subject.repository) {
            Some(dialect) => dialect,
            None => {
                let url = self.url_of(name, "info/refs?service=git-upload-pack");
                let get = || request(Method::GET, &url, header.as_ref(), whole(""));
                let answer = match self.said(question, get).await? {
                    Ok(answer) => answer,
                    Err(turned) => return Ok(Err(turned)),
                };
                let Some(dialect) = Dialect::read(&answer) else {
                    // A page that says something else is no list of refs.
                    if answer.starts_with(SERVICE) {
                        return Ok(Ok(Seen::Old));
                    }
                    let why = format!("{} did not answer as a Git server does", self.settings().name);
                    return Err(Unanswered::new(why, AGAIN));
                };
                self.set_dialect(subject.repository, Some(dialect.clone()));
                dialect
            }
        };
        let url = self.url_of(name, "git-upload-pack");
        let command = dialect.list();
        let post = || command_of(&url, header.as_ref(), &command);
        let answer = self.said(question, post).await;
        let listing = match answer {
            Ok(Ok(answer)) => Listing::read(&answer, dialect.format),
            Ok(Err(turned)) => return Ok(Err(turned)),
            Err(unanswered) => return Err(unanswered),
        };
        match listing {
            Some(listing) => Ok(Ok(Seen::Refs(listing))),
            None => {
                // It may speak otherwise than it did.
                self.set_dialect(subject.repository, None);
                let why = format!("{} listed refs in a way that cannot be read", self.settings().name);
                Err(Unanswered::new(why, AGAIN))
            }
        }
    }

    /// The whole answer to a question, or that the caller was turned away.
    async fn said(
        &self,
        question: Question<'_>,
        make: impl Fn() -> std::io::Result<http::Request<Body>>,
    ) -> Result<Result<Vec<u8>, Turned>, Unanswered> {
        let mut waits = Waits::default();
        loop {
            let response = self.ask(question, &make).await?;
            if !response.status().is_success() {
                return Ok(Err(turned(response).await));
            }
            let why = match collect(response.into_body(), LONGEST).await {
                Ok(bytes) => return Ok(Ok(bytes)),
                Err(no) => format!("{} broke off: {}", self.settings().name, no.why),
            };
            let turn = self.schedule().place(waits.next(None));
            if Instant::now() + turn.wait > question.deadline {
                return Err(Unanswered::new(why, AGAIN));
            }
            let _notice = self.notice(question.subject, &why, question.deadline, None);
            turn.come().await;
        }
    }

    /// What to send as the credential.
    pub(crate) fn authorization(
        &self,
        caller: Option<&Caller>,
        surface: Surface,
        now: Timestamp,
    ) -> Result<Option<HeaderValue>, Reason> {
        let Some(caller) = caller else { return Ok(None) };
        caller.present(surface, now).map(|presented| Some(presented.header))
    }

    pub(crate) fn url_of(&self, name: &RepositoryName, rest: &str) -> String {
        format!("{}/{name}.git/{rest}", self.settings().git)
    }
}

/// A request of the smart protocol in version 2.
pub(crate) fn request(
    method: Method,
    url: &str,
    authorization: Option<&HeaderValue>,
    body: Body,
) -> std::io::Result<http::Request<Body>> {
    let mut request = http::Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = url.parse().map_err(std::io::Error::other)?;
    let headers = request.headers_mut();
    // Some hosts take nothing for git that does not look like it.
    headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
    headers.insert("git-protocol", HeaderValue::from_static("version=2"));
    if let Some(authorization) = authorization {
        headers.insert(AUTHORIZATION, authorization.clone());
    }
    Ok(request)
}

/// A command to `git-upload-pack`.
pub(crate) fn command_of(
    url: &str,
    authorization: Option<&HeaderValue>,
    command: &[u8],
) -> std::io::Result<http::Request<Body>> {
    let mut request = request(Method::POST, url, authorization, whole(command.to_vec()))?;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-git-upload-pack-request"));
    Ok(request)
}

/// What an upstream says to whom it turns away.
pub(crate) async fn turned(response: http::Response<Answer>) -> Turned {
    let status = response.status();
    let is_text = response
        .headers()
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| value.starts_with("text/plain"));
    let body = collect(response.into_body(), MOST_SAID).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&body);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).take(6).collect();
    let said = if is_text { redact(&lines.join(" / ")).into_owned() } else { String::new() };
    Turned::There { status, said }
}

/// Why, in a sentence.
impl std::fmt::Display for Turned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Here(reason) => reason.fmt(f),
            Self::There { status, said } if said.is_empty() => {
                write!(f, "the upstream refused it ({})", status.as_u16())
            }
            Self::There { status, said } => write!(f, "the upstream refused it ({}): {said}", status.as_u16()),
        }
    }
}

impl Turned {
    /// Whether it is about the credential and nothing else.
    pub fn is_of_credential(&self) -> bool {
        matches!(self, Self::Here(_) | Self::There { status: StatusCode::UNAUTHORIZED, .. })
    }
}

impl Dialect {
    /// Reads what an upstream can do; `None` if it does not speak version 2.
    fn read(advertisement: &[u8]) -> Option<Self> {
        let (mut rest, mut speaks, mut format) = (advertisement, false, "sha1");
        let mut can = BTreeSet::new();
        while let Ok(Some((line, length))) = PktLine::read(rest) {
            rest = &rest[length..];
            let PktLine::Data(line) = line else { continue };
            let line = std::str::from_utf8(line).unwrap_or_default().trim_end();
            speaks |= line == "version 2";
            format = line.strip_prefix("object-format=").unwrap_or(format);
            can.extend(abilities(line));
        }
        let format = [ObjectFormat::Sha1, ObjectFormat::Sha256].into_iter().find(|known| known.word() == format)?;
        let unborn = can.contains("ls-refs=unborn");
        (speaks && can.contains("ls-refs")).then(|| Self { format, unborn, can: can.into() })
    }

    /// What is advertised of our own abilities, without those that the upstream does not have.
    fn common(&self, ours: &[u8]) -> Vec<u8> {
        let (mut rest, mut common) = (ours, Vec::new());
        while let Ok(Some((line, length))) = PktLine::read(rest) {
            rest = &rest[length..];
            let PktLine::Data(line) = line else { continue };
            let line = std::str::from_utf8(line).unwrap_or_default().trim_end();
            let (word, values) = line.split_once('=').unwrap_or((line, ""));
            if ["version 2", "agent", "object-format"].contains(&word) {
                PktLine::write(format!("{line}\n").as_bytes(), &mut common);
                continue;
            }
            if !self.can.contains(word) {
                continue;
            }
            let of_both = values.split(' ').filter(|value| self.can.contains(&format!("{word}={value}")));
            let of_both = of_both.collect::<Vec<_>>().join(" ");
            let equals = if of_both.is_empty() { "" } else { "=" };
            PktLine::write(format!("{word}{equals}{of_both}\n").as_bytes(), &mut common);
        }
        common.extend_from_slice(b"0000");
        common
    }

    fn list(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        PktLine::write(b"command=ls-refs\n", &mut bytes);
        PktLine::write(format!("agent={AGENT}").as_bytes(), &mut bytes);
        PktLine::write(format!("object-format={}", self.format.word()).as_bytes(), &mut bytes);
        bytes.extend_from_slice(b"0001");
        PktLine::write(b"peel\n", &mut bytes);
        PktLine::write(b"symrefs\n", &mut bytes);
        if self.unborn {
            PktLine::write(b"unborn\n", &mut bytes);
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }
}

/// What a line of an advertisement says: a word, and each of its values with the word.
fn abilities(line: &str) -> impl Iterator<Item = String> {
    let (word, values) = line.split_once('=').unwrap_or((line, ""));
    let values = values.split(' ').filter(|value| !value.is_empty()).map(move |value| format!("{word}={value}"));
    std::iter::once(word.to_owned()).chain(values)
}

pub(crate) const AGENT: &str = concat!("git/2.47.0-doorward/", env!("CARGO_PKG_VERSION"));
/// How an advertisement in version 0 or 1 begins (gitprotocol-http).
const SERVICE: &[u8] = b"001e# service=git-upload-pack\n";
/// Bytes of a list of refs: some two million.
const LONGEST: u64 = 192 * 1024 * 1024;
/// Bytes of what an upstream says to whom it turns away.
const MOST_SAID: u64 = 16 * 1024;
/// When to come again to an upstream that cannot be understood.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(15);

#[cfg(test)]
mod tests {
    use super::*;

    fn advertised(lines: &[&str]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for line in lines {
            PktLine::write(format!("{line}\n").as_bytes(), &mut bytes);
        }
        bytes.extend_from_slice(b"0000");
        bytes
    }

    #[test]
    fn what_an_upstream_can_do_is_read_from_what_it_says() {
        let plain =
            advertised(&["version 2", "agent=git/2.39", "ls-refs=unborn", "fetch=shallow", "object-format=sha256"]);
        let read = Dialect::read(&plain).expect("version 2");
        assert_eq!((read.format, read.unborn), (ObjectFormat::Sha256, true));
        let ours = advertised(&[
            "version 2",
            "agent=git/2.47",
            "ls-refs=unborn",
            "fetch=shallow filter sideband-all",
            "object-info",
        ]);
        let both = advertised(&["version 2", "agent=git/2.47", "ls-refs=unborn", "fetch=shallow"]);
        assert_eq!(String::from_utf8(read.common(&ours)), String::from_utf8(both));
        let with_service =
            [&advertised(&["# service=git-upload-pack"])[..], &advertised(&["version 2", "ls-refs"])].concat();
        let read = Dialect::read(&with_service).expect("version 2");
        assert_eq!((read.format, read.unborn), (ObjectFormat::Sha1, false));
        for other in [&b""[..], b"<html>", &advertised(&["# service=git-upload-pack"]), &advertised(&["version 2"])] {
            assert_eq!(Dialect::read(other), None);
        }
    }
}
