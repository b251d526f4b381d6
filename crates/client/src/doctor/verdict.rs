//! From evidence to findings, and from findings and the host's answer to a verdict.

use doorward_rules::{
    Fault, Form, Kind, NameForm, Phase, RuleSet, Rules, Surface, Timestamp, bitbucket_cloud, present,
};
use doorward_wire::UnverifiedToken;
use secrecy::SecretString;

use super::{Evidence, HostKind, Inquiry};

/// Something that is wrong, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stable name.
    pub code: &'static str,
    /// What is the case.
    pub sentence: String,
    /// What to do about it: a command, or a sentence.
    pub remedy: String,
    /// Whether it keeps the repository from being reached.
    pub serious: bool,
}

/// What to conclude.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How things stand.
    pub standing: Standing,
    /// Why.
    pub sentence: String,
    /// What to do; empty if nothing is to be done.
    pub remedy: String,
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

/// What is wrong on this machine.
pub fn examine(evidence: &Evidence, host: HostKind, now: Timestamp) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut add =
        |serious, code, sentence: String, remedy: String| findings.push(Finding { code, sentence, remedy, serious });
    let Some(place) = &evidence.place else {
        if evidence.url.contains("ssh://") || (evidence.url.contains('@') && !evidence.url.contains("://")) {
            add(
                true,
                "remote_is_ssh",
                "this address is for SSH, which has keys and no tokens".into(),
                "git remote set-url origin https://…".into(),
            );
        } else {
            let sentence = format!(
                "`{}` cannot be read as an address: a secret in it may need percent-encoding",
                evidence.shown_url()
            );
            add(
                true,
                "remote_unreadable",
                sentence,
                "take the secret out of the address and store it with `doorward credential add`".into(),
            );
        }
        return findings;
    };
    let host_url = place.whole_host();
    let store = format!("doorward credential add {host_url}");
    if place.is_in_the_clear() {
        add(
            true,
            "in_the_clear",
            format!("{host_url} is not encrypted: whoever listens learns the secret"),
            "use https".into(),
        );
    }
    if let Some((name, program)) = &evidence.askpass
        && echoes(program)
    {
        let sentence = format!("{name} is `{program}`, which answers git with the text of its own question");
        add(true, "askpass_echo", sentence, format!("unset {name}, or use doorward-askpass"));
    }
    if evidence.url_secret.is_some() {
        let sentence = "there is a secret in the address, where every process and log can see it".into();
        add(false, "secret_in_address", sentence, format!("git remote set-url origin {place}.git && {store}"));
    }
    if evidence.extra_header.is_some() {
        let sentence = "http.extraHeader has an Authorization header, which is sent whatever the helpers have".into();
        add(false, "extra_header", sentence, "git config --show-origin --get-all http.extraHeader".into());
    }
    if evidence.netrc {
        let sentence = "~/.netrc has something for this host, which is sent before any helper is asked".into();
        add(false, "netrc", sentence, "take it out of ~/.netrc if it is not the credential you mean".into());
    }
    if !evidence.proxies.is_empty() {
        let sentence = format!("requests go through a proxy: {}", evidence.proxies.join(", "));
        add(false, "proxy", sentence, "if the proxy answers in the host's place, set no_proxy".into());
    }
    let Some((name, secret)) = &evidence.presented else {
        if evidence.extra_header.is_none() {
            let sentence = "git has no credential for this host".into();
            add(false, "no_credential", sentence, format!("doorward setup {host_url} && {store}"));
        }
        return findings;
    };
    examine_secret(evidence, name, secret, host, now, &store, &mut add);
    findings
}

fn examine_secret(
    evidence: &Evidence,
    name: &str,
    secret: &SecretString,
    host: HostKind,
    now: Timestamp,
    store: &str,
    add: &mut impl FnMut(bool, &'static str, String, String),
) {
    let text = evidence.secret().unwrap_or_default();
    if text.trim_matches(['"', '\'']) != text {
        add(true, "token_quoted", "there are quotes around the secret".into(), store.into());
        return;
    }
    if text.trim() != text || text.contains(char::is_whitespace) {
        add(true, "token_with_white_space", "there is white space in the secret".into(), store.into());
    }
    let cloud =
        host == HostKind::BitbucketCloud || evidence.place.as_ref().is_some_and(crate::Place::is_bitbucket_cloud);
    let kind = match UnverifiedToken::parse(secret) {
        Ok(token) => token.kinds.iter().next(),
        Err(Fault::Truncated) => {
            return add(true, "token_truncated", "the end of the token is missing".into(), store.into());
        }
        Err(Fault::Altered) => {
            return add(
                true,
                "token_altered",
                "the token's checksum does not fit: it was changed on its way".into(),
                store.into(),
            );
        }
        Err(fault @ (Fault::ForeignApiToken | Fault::ForeignAccessToken | Fault::ForeignAppPassword)) => {
            let sentence =
                "the token looks like Bitbucket Cloud's, but its checksum does not fit: probably its end is missing";
            add(cloud, "token_checksum", sentence.into(), store.into());
            doorward_wire::bitbucket_cloud::kind_of(fault)
        }
        Err(_) => None,
    };
    let Some(kind) = kind.filter(|_| cloud) else { return };
    let calendar = bitbucket_cloud::calendar();
    if let Phase::Retired { since } = calendar.phase(kind, now) {
        let sentence =
            format!("this is an {}; Bitbucket Cloud takes none since {}", kind.phrase(), &since.to_string()[..10]);
        return add(true, "kind_retired", sentence, format!("create an API token, then `{store}`"));
    }
    let form = Form::basic(form_of(name));
    if !RuleSet::BitbucketCloud.accepts(kind, Surface::Git, form, now) {
        let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
        let right = present(rules, kind, Surface::Git, now).map_or("another", |form| form.name.word());
        let sentence = format!("{} wants the user name {right} on git, and {} is sent", article(kind), shown(name));
        add(
            true,
            "user_name",
            sentence,
            format!(
                "doorward setup {}",
                evidence.place.as_ref().map_or(String::new(), |place| place.whole_host().to_string())
            ),
        );
    }
}

/// What to conclude from what was found and what the host answered; `again` is a second answer, if it was asked twice.
pub fn judge(findings: &[Finding], inquiry: Option<&Inquiry>, again: Option<&Inquiry>) -> Verdict {
    let serious = findings.iter().find(|finding| finding.serious);
    let of = |finding: &Finding, confidence| Verdict {
        standing: Standing::Fixable,
        sentence: finding.sentence.clone(),
        remedy: finding.remedy.clone(),
        confidence,
    };
    let verdict = |standing, sentence: &str, remedy: &str, confidence| Verdict {
        standing,
        sentence: sentence.into(),
        remedy: remedy.into(),
        confidence,
    };
    let Some(inquiry) = inquiry else {
        return serious.map_or_else(
            || {
                verdict(
                    Standing::Unknown,
                    "nothing is wrong on this machine; the host was not asked",
                    "ask without --offline",
                    Confidence::Low,
                )
            },
            |finding| of(finding, Confidence::Medium),
        );
    };
    if inquiry.reached {
        return verdict(Standing::Healthy, "the repository can be reached", "", Confidence::High);
    }
    if again.is_some_and(|again| again.reached) {
        let sentence = "the host refused a valid credential, and took it a moment later";
        return verdict(
            Standing::Provider,
            sentence,
            "doorward run --spread 5m --retry-for 10m -- git …",
            Confidence::High,
        );
    }
    if inquiry.host == HostKind::Doorward && !inquiry.told.is_empty() {
        return told_by_doorward(inquiry);
    }
    let says = |text: &str| inquiry.told.iter().any(|line| line.contains(text));
    match inquiry.status() {
        Some(410) if says("App passwords") => verdict(
            Standing::Fixable,
            "app passwords are not accepted any more",
            "create an API token, then `doorward credential add`",
            Confidence::High,
        ),
        Some(403) if says("privilege scopes") => verdict(
            Standing::Fixable,
            "the token is valid, and has not the scope that this needs",
            "create a token with read:repository:bitbucket, and write:repository:bitbucket to push",
            Confidence::High,
        ),
        Some(403) if says("whitelist your IP") => verdict(
            Standing::Administrator,
            "the workspace does not allow this machine's address",
            "ask the workspace's administrator to allow it",
            Confidence::High,
        ),
        Some(403) if says("two-step") => verdict(
            Standing::Fixable,
            "the workspace asks for two-step verification, and your account has none",
            "set it up in your account's settings",
            Confidence::High,
        ),
        Some(403 | 404) => verdict(
            Standing::Administrator,
            "there is no such repository, or the credential's owner may not see it",
            "check the spelling, and ask the repository's administrator for access",
            Confidence::Medium,
        ),
        Some(429) => verdict(
            Standing::Provider,
            "the host has had too many requests",
            "doorward run --spread 5m --retry-for 1h -- git …",
            Confidence::High,
        ),
        Some(500..=599) => verdict(
            Standing::Provider,
            "the host has trouble of its own",
            "doorward run --retry-for 1h -- git …",
            Confidence::High,
        ),
        Some(401) => match serious {
            Some(finding) => of(finding, Confidence::High),
            None if inquiry.statuses.len() < 2 || findings.iter().any(|finding| finding.code == "no_credential") => {
                let finding = findings.iter().find(|finding| finding.code == "no_credential");
                finding.map_or_else(
                    || verdict(Standing::Fixable, "git presented no credential", "doorward setup", Confidence::Medium),
                    |finding| of(finding, Confidence::High),
                )
            }
            None => verdict(
                Standing::Fixable,
                "the host does not take this credential: revoked, expired, without scopes, or somebody else's",
                "create a new token with its scopes, then `doorward credential add`",
                Confidence::Medium,
            ),
        },
        _ => match serious {
            Some(finding) => of(finding, Confidence::High),
            None if inquiry.late => verdict(
                Standing::Provider,
                "the host does not answer",
                "check the network and the proxy",
                Confidence::Medium,
            ),
            None => Verdict {
                standing: Standing::Provider,
                sentence: inquiry.said.last().cloned().unwrap_or_else(|| "the host cannot be reached".into()),
                remedy: "check the network, the proxy and the certificate".into(),
                confidence: Confidence::Low,
            },
        },
    }
}

/// This project's server says itself what is the case and what to do.
fn told_by_doorward(inquiry: &Inquiry) -> Verdict {
    let hint = inquiry.told.iter().find_map(|line| line.strip_prefix("hint: "));
    let standing = match inquiry.status() {
        Some(429 | 500..=599) => Standing::Provider,
        Some(404) => Standing::Administrator,
        _ if hint.is_some_and(|hint| hint.contains("ask ")) => Standing::Administrator,
        _ => Standing::Fixable,
    };
    Verdict {
        standing,
        sentence: inquiry.told.first().cloned().unwrap_or_default(),
        remedy: hint.unwrap_or_default().to_owned(),
        confidence: Confidence::High,
    }
}

/// Whether a program answers git with git's own question, or with nothing.
pub(crate) fn echoes(program: &str) -> bool {
    ECHOES.contains(&program.rsplit('/').next().unwrap_or_default())
}

/// The form of a user name, as far as it can be told without knowing whose the token is.
pub(crate) fn form_of(name: &str) -> NameForm {
    match name {
        "" => NameForm::Empty,
        "x-token-auth" => NameForm::TokenAuth,
        "x-bitbucket-api-token-auth" => NameForm::ApiTokenAuth,
        name if name.contains('@') => NameForm::Email,
        _ => NameForm::UserName,
    }
}

fn shown(name: &str) -> String {
    if name.contains('@') { "an e-mail address".into() } else { format!("`{}`", doorward_wire::redact(name)) }
}

fn article(kind: Kind) -> String {
    let phrase = kind.phrase();
    let article = if phrase.starts_with(['A', 'O', 'a']) { "an" } else { "a" };
    format!("{article} {phrase}")
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

/// Programs that people set as askpass to have no question asked.
const ECHOES: &[&str] = &["echo", "cat", "printf", "true", "yes"];
