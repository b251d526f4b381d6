//! From evidence to findings: what is wrong on this machine, and what the host's REST adds to it.

use doorward_rules::{
    Fault, Form, Kind, NameForm, Phase, RuleSet, Rules, Surface, Timestamp, bitbucket_cloud, present,
};
use doorward_wire::UnverifiedToken;
use secrecy::ExposeSecret;

use super::evidence::AUTHORIZATION;
use super::{Evidence, HostKind, Remedy, Step};
use crate::{Place, RestAnswer, RestError};

/// Something that is wrong, or worth knowing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The stable name.
    pub code: &'static str,
    /// What is the case.
    pub sentence: String,
    /// What to do about it.
    pub remedy: Remedy,
    /// Whether it keeps the repository from being reached.
    pub serious: bool,
}

impl Finding {
    fn serious(code: &'static str, sentence: impl Into<String>, remedy: Remedy) -> Self {
        Self { code, sentence: sentence.into(), remedy, serious: true }
    }

    fn note(code: &'static str, sentence: impl Into<String>, remedy: Remedy) -> Self {
        Self { code, sentence: sentence.into(), remedy, serious: false }
    }
}

/// What is wrong on this machine.
pub fn examine(evidence: &Evidence, host: HostKind, now: Timestamp) -> Vec<Finding> {
    match &evidence.place {
        None => vec![unreadable(evidence)],
        Some(place) => {
            let looks: [fn(&Look<'_>) -> Vec<Finding>; 5] = [address, askpass, configuration, helpers, presented];
            let look = Look { evidence, place, host, now };
            looks.iter().flat_map(|look_at| look_at(&look)).collect()
        }
    }
}

/// What REST adds to it.
pub fn examine_rest(evidence: &Evidence, rest: &Result<RestAnswer, RestError>) -> Vec<Finding> {
    let answer = match rest {
        Ok(answer) => answer,
        Err(error @ RestError::Certificate(..)) => {
            let remedy = Remedy::say("name your proxy's certificate in http.sslCAInfo, or add it to the system's");
            return vec![Finding::note("rest_certificate", error.to_string(), remedy)];
        }
        Err(error) => {
            let remedy = Remedy::say("check that this machine may reach it, if your jobs use REST");
            return vec![Finding::note("rest_unreachable", error.to_string(), remedy)];
        }
    };
    let mut findings = Vec::new();
    if let Some(ahead) = answer.clock_ahead.filter(|ahead| ahead.abs() > SKEW) {
        let way = if ahead > 0 { "behind" } else { "ahead of" };
        let sentence = format!("this machine's clock is {} minutes {way} the host's", ahead.abs() / 60);
        findings.push(Finding::note("clock_skew", sentence, Remedy::say("set the clock, with NTP for instance")));
    }
    if answer.near_limit || answer.status == 429 {
        let sentence = "this credential has used up nearly all requests that REST allows it";
        let remedy = Remedy::say("ask less often, or spread the requests over several access tokens");
        findings.push(Finding::note("rest_limit", sentence, remedy));
    }
    if answer.has("write:repository:bitbucket") == Some(false) && answer.has("read:repository:bitbucket") == Some(true)
    {
        let sentence = "the token may fetch, and not push";
        let remedy = Remedy::say("for pushes create one with write:repository:bitbucket as well");
        findings.push(Finding::note("fetch_only", sentence, remedy));
    }
    if answer.kind.as_deref() == Some("repo_access_token") && evidence.has_submodules {
        let sentence = "the token is this repository's own, and the submodules are other repositories";
        let remedy =
            Remedy::say("store a token of the workspace, or one for each of them with `doorward credential add`");
        findings.push(Finding::note("submodules_elsewhere", sentence, remedy));
    }
    findings
}

/// What all of the machine's findings are made from.
struct Look<'a> {
    evidence: &'a Evidence,
    place: &'a Place,
    host: HostKind,
    now: Timestamp,
}

/// An address that is none of HTTP.
fn unreadable(evidence: &Evidence) -> Finding {
    let url = &evidence.url;
    let scheme = url.split_once("://").map(|(scheme, _)| scheme.to_ascii_lowercase());
    match scheme.as_deref() {
        Some("ssh" | "git+ssh") => of_ssh(evidence),
        Some("http" | "https") => {
            let shown = evidence.shown_url();
            let sentence = match url.contains('@') {
                true => format!("`{shown}` cannot be read as an address: a secret in it may need percent-encoding"),
                false => format!("`{shown}` is not the address of a host"),
            };
            let remedy = match url.contains('@') {
                true => "take the secret out of the address, and store it with `doorward credential add`",
                false => "give the address of a repository, such as https://bitbucket.org/acme/site",
            };
            Finding::serious("remote_unreadable", sentence, Remedy::say(remedy))
        }
        Some("file") => local(),
        Some(other) => {
            let sentence = format!("this address is for {}, and not for HTTPS", doorward_wire::redact(other));
            Finding::serious("remote_of_another_kind", sentence, Remedy::say("use an address that begins with https"))
        }
        // A colon before any slash is scp's way, which git takes for SSH.
        None if url.split('/').next().is_some_and(|first| first.contains(':')) => of_ssh(evidence),
        None => local(),
    }
}

fn local() -> Finding {
    let sentence = "this is a directory on this machine, for which nobody asks for a credential";
    Finding::serious("remote_is_local", sentence, Remedy::say("name an address that begins with https"))
}

fn of_ssh(evidence: &Evidence) -> Finding {
    let https = over_https(&evidence.url);
    // It may well work by key: whether it is to be changed is for a person to say.
    let remedy = match (&evidence.remote, &https) {
        (Some(remote), Some(url)) => format!("for tokens: {}", Step::SetUrl(remote.clone(), url.clone())),
        _ => https.map_or_else(
            || "for tokens use an address that begins with https".into(),
            |url| format!("for tokens use {url}"),
        ),
    };
    let remedy = Remedy::say(remedy);
    let sentence = if evidence.url.contains("bitbucket.org") && !evidence.url.contains("ssh.bitbucket.org") {
        "this address is for SSH, which has keys and no tokens, and is at ssh.bitbucket.org since 2026-11-12"
    } else {
        "this address is for SSH, which has keys and no tokens"
    };
    Finding::serious("remote_is_ssh", sentence, remedy)
}

/// The address for HTTPS of one for SSH: `git@host:a/b.git`, `ssh://git@host:7999/a/b.git`.
fn over_https(url: &str) -> Option<String> {
    let (host, path) = match url.split_once("://") {
        Some((_, rest)) => {
            let (authority, path) = rest.split_once('/')?;
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            // A port of SSH's is none of HTTPS's, and where it is not the usual one, the rest may be another as well.
            match host.rsplit_once(':') {
                Some((host, "22" | "443")) => (host, path),
                Some(_) => return None,
                None => (host, path),
            }
        }
        None => url.split_once('@')?.1.split_once(':')?,
    };
    // A name of one's own in SSH's configuration is no host.
    if !host.contains('.') {
        return None;
    }
    let host = host.strip_prefix("ssh.").or(host.strip_prefix("altssh.")).unwrap_or(host);
    let url = format!("https://{host}/{}", path.trim_start_matches('/'));
    url.parse::<Place>().ok().filter(|place| place.repository_url().is_some()).map(|_| url)
}

fn address(look: &Look<'_>) -> Vec<Finding> {
    let Look { evidence, place, .. } = look;
    let (mut findings, host) = (Vec::new(), place.whole_host());
    if place.is_in_the_clear() {
        let sentence = format!("{host} is not encrypted: whoever listens learns the secret");
        findings.push(Finding::serious("in_the_clear", sentence, Remedy::say("use https")));
    }
    let path = evidence.url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).map_or("", |(_, path)| path);
    if path.starts_with("!api/") {
        let sentence = "this address is for browsers that are signed in, and takes no token";
        let url = evidence.shown_url().replace("https://bitbucket.org/!api/", "https://api.bitbucket.org/");
        findings.push(Finding::serious("browsers_address", sentence, Remedy::say(format!("use {url}"))));
    }
    let removed =
        |(ended, _): &&(&str, &str)| path.split('?').next().is_some_and(|path| path.trim_matches('/') == *ended);
    if let Some((_, instead)) = REMOVED.iter().find(removed).filter(|_| look.host != HostKind::Doorward) {
        let sentence =
            "Bitbucket Cloud has removed this operation (CHANGE-2770); the credential has nothing to do with it";
        findings.push(Finding::serious("operation_removed", sentence, Remedy::say(format!("use {instead}"))));
    }
    let parts = path.split(['?', '#']).next().unwrap_or_default().split('/').filter(|part| !part.is_empty()).count();
    if parts > 2 && place.is_bitbucket_cloud() && findings.is_empty() {
        let sentence = "this is the address of a page, and goes on after the repository";
        let url = place.repository_url().unwrap_or_default();
        findings.push(Finding::serious("page_address", sentence, Remedy::say(format!("use {url}"))));
    }
    if place.host() == "www.bitbucket.org" {
        let sentence = "www.bitbucket.org leads to bitbucket.org, for which helpers have another credential or none";
        let url = evidence.url_alone().replacen("//www.", "//", 1);
        let remedy = match &evidence.remote {
            Some(remote) => Remedy::Steps(vec![Step::SetUrl(remote.clone(), url)]),
            None => Remedy::say(format!("use {url}")),
        };
        findings.push(Finding::note("www_host", sentence, remedy));
    }
    if evidence.url_secret.is_some() {
        let sentence = "there is a secret in the address, where every process and log can see it";
        findings.push(Finding::note("secret_in_address", sentence, look.evidence.keep_and_set_up(look.place)));
    }
    findings
}

fn askpass(look: &Look<'_>) -> Vec<Finding> {
    let Some((name, program)) = look.evidence.askpass.as_ref().filter(|(_, program)| echoes(program)) else {
        return Vec::new();
    };
    // What git was answered otherwise, by a helper or the address, comes before it.
    let answered = look.evidence.presented.as_ref();
    if answered.is_some_and(|(name, secret)| !is_echo(name) && !is_echo(secret.expose_secret())) {
        return Vec::new();
    }
    let sentence = format!("{name} is `{program}`, which answers git with its own question, or with nothing");
    let remedy = match name.as_str() {
        "core.askPass" => Remedy::Steps(vec![Step::Unset("global", "core.askPass".into())]),
        name => Remedy::say(format!("unset {name}, or use doorward-askpass")),
    };
    vec![Finding::serious("askpass_echo", sentence, remedy)]
}

fn configuration(look: &Look<'_>) -> Vec<Finding> {
    let (evidence, mut findings) = (look.evidence, Vec::new());
    if evidence.extra_header.is_some() {
        let sentence = "http.extraHeader has an Authorization header, which is sent whatever the helpers have";
        // Its secret may be stored nowhere else, so that no program takes it out.
        let remedy = match &evidence.extra_header_key {
            Some((scope, key)) => {
                format!("keep its secret if you need it, then git config --{scope} --unset-all {key} '{AUTHORIZATION}'")
            }
            None => "git config --show-origin --get-regexp 'http.*extraheader' shows where".into(),
        };
        let remedy = Remedy::say(remedy);
        findings.push(Finding::note("extra_header", sentence, remedy));
    }
    if evidence.netrc {
        let sentence = "what git presents stands in ~/.netrc, which counts before any helper is asked";
        let remedy = Remedy::say("take it out of ~/.netrc if it is not the credential you mean");
        findings.push(Finding::note("netrc", sentence, remedy));
    }
    if !evidence.proxies.is_empty() {
        let sentence = format!("requests go through a proxy: {}", evidence.proxies.join(", "));
        let remedy = Remedy::say("if the proxy answers in the host's place, set no_proxy");
        findings.push(Finding::note("proxy", sentence, remedy));
    }
    findings
}

fn helpers(look: &Look<'_>) -> Vec<Finding> {
    let late = look.evidence.helpers.iter().filter(|helper| helper.late).map(|helper| {
        let sentence = format!("the helper `{}` did not answer in time", helper.shown());
        Finding::note(
            "helper_hangs",
            sentence,
            Remedy::say("take it out of git's configuration, or unlock what it waits for"),
        )
    });
    let mut findings: Vec<Finding> = late.collect();
    let mut answers = look.evidence.helpers.iter().filter_map(|helper| Some((helper, helper.answer.as_ref()?)));
    if let Some((first, (_, secret))) = answers.next() {
        let other = answers.find(|(_, (_, other))| other.expose_secret() != secret.expose_secret());
        if let Some((other, _)) = other {
            let sentence = format!("`{}` answers first, and `{}` has another secret", first.shown(), other.shown());
            findings.push(Finding::note("helpers_disagree", sentence, look.evidence.keep_and_set_up(look.place)));
        }
    }
    findings
}

fn presented(look: &Look<'_>) -> Vec<Finding> {
    let Some((name, secret)) = &look.evidence.presented else {
        return match look.evidence.extra_header {
            Some(_) => Vec::new(),
            None if look.evidence.has_another_name => {
                let name = look.evidence.url_user.as_deref().map_or(String::new(), shown);
                let sentence =
                    format!("the address names {name}, and git's helpers have a credential under another name");
                let steps = look.evidence.clean_url().into_iter().collect::<Vec<_>>();
                let remedy = match steps.is_empty() {
                    true => Remedy::say("leave the user name out of the address"),
                    false => Remedy::Steps(steps),
                };
                vec![Finding::serious("user_in_address", sentence, remedy)]
            }
            None => vec![Finding::note(
                "no_credential",
                "git has no credential for this host",
                look.evidence.log_in(look.place),
            )],
        };
    };
    let text = secret.expose_secret();
    let mut findings = Vec::new();
    if text.trim_matches(['"', '\'']) != text {
        return vec![Finding::serious(
            "token_quoted",
            "there are quotes around the secret",
            look.evidence.log_in(look.place),
        )];
    }
    if text.trim() != text || text.contains(char::is_whitespace) {
        findings.push(Finding::serious(
            "token_with_white_space",
            "there is white space in the secret",
            look.evidence.log_in(look.place),
        ));
    }
    let token_shaped = ["ATATT", "ATCTT", "ATBB", "dw"].iter().any(|prefix| text.starts_with(prefix));
    if token_shaped && (text.contains('\\') || text.to_ascii_uppercase().contains("%3D")) {
        let sentence =
            "there is a backslash, or an encoded `=`, in the token: it was copied from an address or a script";
        return vec![Finding::serious("token_encoded", sentence, look.evidence.log_in(look.place))];
    }
    let cloud = look.host == HostKind::BitbucketCloud || look.place.is_bitbucket_cloud();
    let kind = match UnverifiedToken::parse(secret) {
        Ok(token) => token.kinds.iter().next(),
        Err(Fault::Truncated) => {
            return vec![Finding::serious(
                "token_truncated",
                "the end of the token is missing",
                look.evidence.log_in(look.place),
            )];
        }
        Err(Fault::Altered) => {
            let sentence = "the token's checksum does not fit: it was changed on its way";
            return vec![Finding::serious("token_altered", sentence, look.evidence.log_in(look.place))];
        }
        Err(fault @ (Fault::ForeignApiToken | Fault::ForeignAccessToken | Fault::ForeignAppPassword)) => {
            let sentence =
                "the token looks like Bitbucket Cloud's, but its checksum does not fit: probably its end is missing";
            findings.push(Finding {
                serious: cloud,
                ..Finding::note("token_checksum", sentence, look.evidence.log_in(look.place))
            });
            doorward_wire::bitbucket_cloud::kind_of(fault)
        }
        Err(_) => None,
    };
    let Some(kind) = kind.filter(|_| cloud) else { return findings };
    let calendar = bitbucket_cloud::calendar();
    if let Phase::Retired { since } = calendar.phase(kind, look.now) {
        let sentence =
            format!("this is {}; Bitbucket Cloud takes none since {}", article(kind), &since.to_string()[..10]);
        findings.push(Finding::serious("kind_retired", sentence, look.evidence.log_in(look.place)));
        return findings;
    }
    if !RuleSet::BitbucketCloud.accepts(kind, Surface::Git, Form::basic(form_of(name)), look.now) {
        let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
        let right = present(rules, kind, Surface::Git, look.now).map_or("another", |form| form.name.word());
        let sentence = format!("{} wants the user name {right} on git, and {} is sent", article(kind), shown(name));
        findings.push(Finding::serious("user_name", sentence, look.evidence.keep_and_set_up(look.place)));
    }
    findings
}

/// Whether a text is what such a program answers: the question, `y` or nothing.
fn is_echo(text: &str) -> bool {
    let question = ["Username for", "Password for"].iter().any(|question| text.starts_with(question));
    question || ["", "y"].contains(&text.trim())
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

/// Programs that people set as askpass to have no question asked.
const ECHOES: &[&str] = &["echo", "cat", "printf", "true", "yes"];
/// A difference between two clocks, in seconds, that is no accident.
const SKEW: i64 = 300;
/// The operations over all workspaces that Bitbucket Cloud has removed, and what there is instead.
const REMOVED: &[(&str, &str)] = &[
    ("2.0/repositories", "/2.0/repositories/{workspace}"),
    ("2.0/workspaces", "/2.0/user/workspaces"),
    ("2.0/teams", "/2.0/user/workspaces"),
    ("2.0/user/permissions/workspaces", "/2.0/user/workspaces/{workspace}/permission"),
    ("2.0/user/permissions/repositories", "/2.0/user/workspaces/{workspace}/permissions/repositories"),
];

#[cfg(test)]
mod tests {
    use super::over_https;

    #[test]
    fn an_address_for_ssh_has_one_for_https() {
        for url in [
            "git@bitbucket.org:acme/site.git",
            "ssh://git@bitbucket.org/acme/site.git",
            "ssh://git@altssh.bitbucket.org:443/acme/site.git",
            "git@ssh.bitbucket.org:acme/site.git",
        ] {
            assert_eq!(over_https(url).as_deref(), Some("https://bitbucket.org/acme/site.git"), "{url}");
        }
        assert_eq!(over_https("git@host"), None);
        assert_eq!(over_https("ssh://git@git.example.org:7999/~ada/x.git"), None);
        assert_eq!(over_https("git@work:a/b.git"), None);
        let digits = over_https("git@bitbucket.org:42acme/Site.git");
        assert_eq!(digits.as_deref(), Some("https://bitbucket.org/42acme/Site.git"));
    }
}
