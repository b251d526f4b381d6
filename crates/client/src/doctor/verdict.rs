//! From findings and the answers of a host to a verdict.

use super::{Evidence, Finding, HostKind, Inquiry, Remedy};
use crate::{RestAnswer, RestError};

/// What to conclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How things stand.
    pub standing: Standing,
    /// Why.
    pub sentence: String,
    /// What to do.
    pub remedy: Remedy,
    /// How sure that is.
    pub confidence: Confidence,
}

/// How things stand with a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It can be reached.
    Healthy,
    /// It cannot, and whoever asks can mend it.
    Fixable,
    /// It cannot, and an administrator has to mend it.
    Administrator,
    /// It cannot, and the host or the network has to come to itself.
    Provider,
    /// It was not asked, or what it said is not understood.
    Unknown,
}

/// How sure a verdict is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Confidence {
    /// The host or the bytes themselves say so.
    High,
    /// It fits what is known, and little else does.
    Medium,
    /// It is the likeliest of several.
    Low,
}

/// The answers of a host.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    /// To git.
    pub git: &'a Inquiry,
    /// To git, when it asked once more.
    pub again: Option<&'a Inquiry>,
    /// To REST, if it was asked.
    pub rest: Option<&'a Result<RestAnswer, RestError>>,
}

/// What to conclude from what was found on this machine and what the host answered.
pub fn judge(evidence: &Evidence, findings: &[Finding], answers: Option<Answers<'_>>) -> Verdict {
    let serious = findings.iter().find(|finding| finding.serious);
    let Some(answers) = answers else {
        return match serious {
            Some(finding) => Verdict::of(finding, Confidence::Medium),
            None => Verdict::new(
                Standing::Unknown,
                "nothing is wrong on this machine; the host was not asked",
                Remedy::say("ask without --offline"),
                Confidence::Low,
            ),
        };
    };
    let Answers { git, again, rest } = answers;
    if git.reached {
        let fetch_only = findings.iter().any(|finding| finding.code == "fetch_only");
        let sentence = match fetch_only {
            true => "the repository can be fetched from; with this token it cannot be pushed to",
            false => "the repository can be reached",
        };
        return Verdict::new(Standing::Healthy, sentence, Remedy::say(""), Confidence::High);
    }
    if again.is_some_and(|again| again.reached) {
        let sentence = "the host refused a valid credential, and took it a moment later";
        return Verdict::new(Standing::Provider, sentence, Remedy::say(RUN), Confidence::High);
    }
    if git.host == HostKind::Doorward && !git.told.is_empty() {
        return told_by_doorward(git);
    }
    let log_in = || evidence.place.as_ref().map_or(Remedy::say("doorward login"), |place| evidence.log_in(place));
    // What nobody can mend by another credential comes before what is wrong with this one.
    if let Some(finding) = serious.filter(|finding| ABOUT_THE_ADDRESS.contains(&finding.code)) {
        return Verdict::of(finding, Confidence::High);
    }
    // It is sent whatever the helpers have, so that no other credential helps.
    let header = findings.iter().find(|finding| finding.code == "extra_header");
    if let (Some(400 | 401 | 403 | 410), Some(finding)) = (git.status(), header) {
        return Verdict::of(finding, Confidence::Medium);
    }
    let retired = findings.iter().find(|finding| finding.code == "kind_retired");
    if let (Some(410), Some(finding)) = (git.status(), retired) {
        return Verdict::of(finding, Confidence::High);
    }
    match git.status() {
        Some(401) => refused(findings, git, rest.and_then(|rest| rest.as_ref().ok()), log_in),
        Some(status) => answered(status, git, rest.and_then(|rest| rest.as_ref().ok()), log_in),
        None => unanswered(findings, git),
    }
}

/// 401: git takes it for a wrong credential, or for none.
fn refused(findings: &[Finding], git: &Inquiry, rest: Option<&RestAnswer>, log_in: impl Fn() -> Remedy) -> Verdict {
    if let Some(finding) = findings.iter().find(|finding| finding.serious) {
        return Verdict::of(finding, Confidence::High);
    }
    if let Some(finding) = findings.iter().find(|finding| finding.code == "no_credential") {
        return Verdict::of(finding, Confidence::High);
    }
    if git.says("stopped supporting account passwords") {
        let sentence = "the password of an account is not accepted, on git or REST, since 2022";
        return Verdict::new(Standing::Fixable, sentence, log_in(), Confidence::High);
    }
    if git.statuses.len() < 2 {
        return Verdict::new(Standing::Fixable, "git presented no credential", log_in(), Confidence::Medium);
    }
    let told = rest.and_then(|rest| rest.message.as_deref()).unwrap_or_default();
    match rest {
        Some(_) if told.contains("no Bitbucket scopes") || git.says("no Bitbucket scopes") => Verdict::new(
            Standing::Fixable,
            "the API token was made without scopes for Bitbucket",
            log_in(),
            Confidence::High,
        ),
        Some(_) if told.contains("expired. Use your refresh token") => Verdict::new(
            Standing::Fixable,
            "the OAuth access token has expired",
            Remedy::say("get a new one with the refresh token; helpers such as git-credential-oauth do"),
            Confidence::High,
        ),
        Some(rest) if rest.knows_it() => Verdict::new(
            Standing::Provider,
            "REST takes this credential, and git refuses it twice in the right form",
            Remedy::say(RUN),
            Confidence::Medium,
        ),
        Some(rest) if rest.status == 401 => Verdict::new(
            Standing::Fixable,
            "the host takes this credential neither on git nor on REST: revoked, expired, or without scopes",
            log_in(),
            Confidence::Medium,
        ),
        _ => Verdict::new(
            Standing::Fixable,
            "the host does not take this credential: revoked, expired, without scopes, or somebody else's",
            log_in(),
            Confidence::Medium,
        ),
    }
}

/// Any other status.
fn answered(status: u16, git: &Inquiry, rest: Option<&RestAnswer>, log_in: impl Fn() -> Remedy) -> Verdict {
    let lacks = |scope: &str| rest.is_some_and(|rest| rest.has(scope) == Some(false));
    match status {
        410 if git.says("App passwords") => {
            Verdict::new(Standing::Fixable, "app passwords are not accepted any more", log_in(), Confidence::High)
        }
        403 if git.says("privilege scopes") => {
            let named = if lacks("read:repository:bitbucket") { ": it lacks read:repository:bitbucket" } else { "" };
            let sentence = format!("the token is valid, and has not the scope that this needs{named}");
            Verdict::new(Standing::Fixable, sentence, log_in(), Confidence::High)
        }
        403 if git.says("whitelist your IP") => Verdict::new(
            Standing::Administrator,
            "the workspace does not allow this machine's address",
            Remedy::say("ask the workspace's administrator to allow it"),
            Confidence::High,
        ),
        403 if git.says("two-step") => Verdict::new(
            Standing::Fixable,
            "the workspace asks for two-step verification, and your account has none",
            Remedy::say("set it up in your account's settings"),
            Confidence::High,
        ),
        403 | 404 => Verdict::new(
            Standing::Administrator,
            "there is no such repository, or the credential's owner may not see it",
            Remedy::say("check the spelling, and ask the repository's administrator for access"),
            Confidence::Medium,
        ),
        407 => Verdict::new(
            Standing::Administrator,
            "the proxy wants a user name and password of its own",
            Remedy::say("put them into http.proxy, or ask whoever runs the proxy"),
            Confidence::High,
        ),
        429 => Verdict::new(
            Standing::Provider,
            "the host has had too many requests",
            Remedy::say("doorward run --spread 5m --retry-for 1h -- git …"),
            Confidence::High,
        ),
        500..=599 => Verdict::new(
            Standing::Provider,
            "the host has trouble of its own",
            Remedy::say("doorward run --retry-for 1h -- git …"),
            Confidence::High,
        ),
        300..=399 => Verdict::new(
            Standing::Fixable,
            "the host leads to another address",
            Remedy::say("use the address that it leads to"),
            Confidence::Medium,
        ),
        _ => Verdict::new(
            Standing::Provider,
            format!("the host answered {status}, which git does not expect"),
            Remedy::say("check that the address is a repository's, and what stands between"),
            Confidence::Low,
        ),
    }
}

/// No answer at all: what git said tells where it ended.
fn unanswered(findings: &[Finding], git: &Inquiry) -> Verdict {
    if let Some(finding) = findings.iter().find(|finding| finding.serious) {
        return Verdict::of(finding, Confidence::High);
    }
    // What stands in the address is not what went wrong.
    let said = git.said.iter().map(|line| line.rsplit("': ").next().unwrap_or(line)).collect::<Vec<_>>().join(" ");
    let refused =
        said.contains("Failed to connect") || said.contains("Connection refused") || said.contains("Couldn't connect");
    if let (true, Some(proxy)) = (refused, findings.iter().find(|finding| finding.code == "proxy")) {
        let sentence = format!("nothing listens where the proxy should be; {}", proxy.sentence);
        return Verdict::new(
            Standing::Fixable,
            sentence,
            Remedy::say("check https_proxy and http.proxy"),
            Confidence::Medium,
        );
    }
    for (part, standing, sentence, remedy) in TROUBLES {
        if said.contains(part) {
            return Verdict::new(*standing, *sentence, Remedy::say(*remedy), Confidence::High);
        }
    }
    if git.late {
        let remedy = Remedy::say("check the network and the proxy");
        return Verdict::new(Standing::Provider, "the host does not answer", remedy, Confidence::Medium);
    }
    let sentence = git.said.last().cloned().unwrap_or_else(|| "the host cannot be reached".into());
    let remedy = Remedy::say("check the network, the proxy and the certificate");
    Verdict::new(Standing::Provider, sentence, remedy, Confidence::Low)
}

/// This project's server says itself what is the case and what to do.
fn told_by_doorward(git: &Inquiry) -> Verdict {
    let hint = git.told.iter().find_map(|line| line.strip_prefix("hint: "));
    let standing = match git.status() {
        Some(429 | 500..=599) => Standing::Provider,
        Some(404) => Standing::Administrator,
        _ if hint.is_some_and(|hint| hint.contains("ask ")) => Standing::Administrator,
        _ => Standing::Fixable,
    };
    let sentence = git.told.first().cloned().unwrap_or_default();
    Verdict::new(standing, sentence, Remedy::say(hint.unwrap_or_default()), Confidence::High)
}

impl Verdict {
    fn new(standing: Standing, sentence: impl Into<String>, remedy: Remedy, confidence: Confidence) -> Self {
        Self { standing, sentence: sentence.into(), remedy, confidence }
    }

    fn of(finding: &Finding, confidence: Confidence) -> Self {
        Self::new(Standing::Fixable, finding.sentence.clone(), finding.remedy.clone(), confidence)
    }
}

impl Standing {
    /// The word in JSON.
    pub fn word(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Fixable => "fixable",
            Self::Administrator => "administrator",
            Self::Provider => "provider",
            Self::Unknown => "unknown",
        }
    }
}

impl Confidence {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Medium => "medium",
            Self::Low => "low",
        }
    }
}

/// What runs a command again.
const RUN: &str = "doorward run --spread 5m --retry-for 10m -- git …";
/// Findings that no credential helps against.
const ABOUT_THE_ADDRESS: &[&str] = &["browsers_address", "operation_removed", "in_the_clear", "page_address"];
/// What git says when there is no answer, and what that means.
const TROUBLES: &[(&str, Standing, &str, &str)] = &[
    (
        "Could not resolve proxy",
        Standing::Fixable,
        "the name of the proxy cannot be resolved",
        "check https_proxy and http.proxy",
    ),
    (
        "Could not resolve host",
        Standing::Provider,
        "the name of the host cannot be resolved",
        "check the spelling of the host, and this machine's name service",
    ),
    (
        "from proxy after CONNECT",
        Standing::Administrator,
        "the proxy does not let this through",
        "check https_proxy, or ask whoever runs the proxy",
    ),
    (
        "unexpected TLS packet",
        Standing::Fixable,
        "this port speaks plain HTTP, and not TLS",
        "check the port, and whether the address should begin with http",
    ),
    (
        "wrong version number",
        Standing::Fixable,
        "this port speaks plain HTTP, and not TLS",
        "check the port, and whether the address should begin with http",
    ),
    (
        "certificate",
        Standing::Fixable,
        "this machine does not trust the host's certificate",
        "name the certificate of the proxy or the host in http.sslCAInfo, or add it to the system's",
    ),
    (
        "Failed to connect",
        Standing::Provider,
        "no connection to the host can be made",
        "check the address and its port, and what stands between",
    ),
    (
        "Connection refused",
        Standing::Provider,
        "nothing listens at the host's address",
        "check the address and its port",
    ),
];
