//! What git on this machine would send to a host, and where it would get it from.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use doorward_rules::Kind;
use doorward_wire::{Description, kind_by_looks, percent_decoded, percent_encoded};
use secrecy::SecretString;

use super::{Remedy, Step};
use crate::bounded;
use crate::migrate::netrc::{Machine, machines};
use crate::{Environment, Place};

/// What was found, without asking the host.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The address of the repository, as it is written.
    pub url: String,
    /// The name of the remote, if the address is a clone's.
    pub remote: Option<String>,
    /// What it names, if it is an HTTP address that can be read.
    pub place: Option<Place>,
    /// The user name in the address.
    pub url_user: Option<String>,
    /// The secret in the address.
    pub url_secret: Option<SecretString>,
    /// The program that answers git's questions, and what names it.
    pub askpass: Option<(String, String)>,
    /// The helpers that git asks for this address, in their order, and what each answers by itself.
    pub helpers: Vec<HelperAnswer>,
    /// An `Authorization` header that git is told to send.
    pub extra_header: Option<SecretString>,
    /// Where that stands: `global` or `local`, and its key.
    pub extra_header_key: Option<(&'static str, String)>,
    /// What git would present: user name and secret.
    pub presented: Option<(String, SecretString)>,
    /// Whether the helpers have something only if the user name of the address is left out.
    pub has_another_name: bool,
    /// Variables and settings that send requests through a proxy.
    pub proxies: Vec<String>,
    /// Whether it is `~/.netrc` that has what git would present.
    pub netrc: bool,
    /// Whether the clone has submodules.
    pub has_submodules: bool,
}

/// One of git's helpers.
#[derive(Debug, Clone)]
pub struct HelperAnswer {
    /// As it is configured.
    pub command: String,
    /// The user name and secret that it answers, if it has any.
    pub answer: Option<(String, SecretString)>,
    /// Whether it took longer than one would wait.
    pub late: bool,
}

impl HelperAnswer {
    /// As it is shown to a person.
    pub fn shown(&self) -> String {
        // A command for the shell may have a secret in it; its first word has not.
        let shell =
            self.command.strip_prefix('!').map(|rest| rest.split([' ', '{', '(', ';']).next().unwrap_or_default());
        match shell {
            Some(_) if self.command.ends_with("' credential") => "doorward".into(),
            Some(first) => format!("!{} …", doorward_wire::redact(first)),
            None => doorward_wire::redact(&self.command).chars().take(100).collect(),
        }
    }
}

/// Finds out what git in a directory would do about an address.
///
/// # Errors
/// If git cannot be run.
pub fn gather(
    url: &str,
    remote: Option<&str>,
    directory: &Path,
    environment: Environment<'_>,
) -> std::io::Result<Evidence> {
    let place: Option<Place> = url.parse().ok();
    let (url_user, url_secret) = user_part(url);
    let config = |arguments: &[&str]| -> std::io::Result<Option<String>> {
        let output = git(directory).arg("config").args(arguments).output()?;
        let text = String::from_utf8_lossy(&output.stdout).trim_end().to_owned();
        Ok(output.status.success().then_some(text).filter(|text| !text.is_empty()))
    };
    let askpass = match (environment("GIT_ASKPASS"), config(&["core.askPass"])?, environment("SSH_ASKPASS")) {
        (Some(program), ..) => Some(("GIT_ASKPASS".to_owned(), program)),
        (None, Some(program), _) => Some(("core.askPass".to_owned(), program)),
        (None, None, Some(program)) => Some(("SSH_ASKPASS".to_owned(), program)),
        (None, None, None) => None,
    };
    let alone = without_user(url);
    let asked = url_user.as_ref().map_or_else(|| alone.clone(), |user| with_user(&alone, user));
    let helpers = if place.is_some() { helpers(&asked, directory)? } else { Vec::new() };
    let headers = config(&["--get-urlmatch", "http.extraHeader", &alone])?.unwrap_or_default();
    let authorization = headers.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let netrc = place.as_ref().and_then(|place| from_netrc(place, url_user.as_deref(), environment));
    let by_netrc = url_secret.is_none() && netrc.is_some();
    let presented = match (&url_user, &url_secret) {
        (Some(user), Some(secret)) => Some((user.clone(), secret.clone())),
        // The transport looks there before git asks its helpers.
        _ if by_netrc => netrc,
        _ if place.is_some() => fill(&asked, directory, None)?.answer,
        _ => None,
    };
    let named = PROXIES.iter().filter(|name| environment(name).is_some()).map(|name| (*name).to_owned());
    let configured = config(&["--get-urlmatch", "http.proxy", &alone])?.map(|_| "http.proxy".to_owned());
    let proxies = named.chain(configured).collect();
    let nameless = presented.is_none() && url_user.is_some() && place.is_some();
    let has_another_name = nameless && fill(&alone, directory, None)?.answer.is_some();
    Ok(Evidence {
        url: url.to_owned(),
        remote: remote.map(str::to_owned),
        extra_header_key: authorization.zip(place.as_ref()).and_then(|(_, place)| header_key(place, directory)),
        place,
        url_user,
        url_secret,
        askpass,
        helpers,
        extra_header: authorization.map(|line| line.to_owned().into()),
        presented,
        has_another_name,
        proxies,
        netrc: by_netrc,
        has_submodules: directory.join(".gitmodules").is_file(),
    })
}

/// What `~/.netrc` has for a host, under a user name if that is given.
fn from_netrc(place: &Place, user: Option<&str>, environment: Environment<'_>) -> Option<(String, SecretString)> {
    let host = place.host().rsplit_once(':').map_or(place.host(), |(host, _)| host);
    let path = Path::new(&environment("HOME")?).join(".netrc");
    // Nothing else has an end that one can wait for.
    let file = fs::File::open(&path).ok().filter(|_| path.metadata().is_ok_and(|found| found.is_file()))?;
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text).ok()?;
    let entry = |machine: Machine| {
        let (login, password) = (&text[machine.login?], &text[machine.password?]);
        let fits = text[machine.host].eq_ignore_ascii_case(host) && user.is_none_or(|user| user == login);
        fits.then(|| (login.to_owned(), password.into()))
    };
    machines(&text).into_iter().find_map(entry)
}

/// What each helper answers that git would ask for an address.
fn helpers(url: &str, directory: &Path) -> std::io::Result<Vec<HelperAnswer>> {
    let listed = git(directory).args(["config", "--null", "--get-regexp", r"^credential\..*helper$"]).output()?;
    let mut commands: Vec<String> = Vec::new();
    for entry in String::from_utf8_lossy(&listed.stdout).split('\0').filter(|entry| !entry.is_empty()) {
        let (key, command) = entry.split_once('\n').unwrap_or((entry, ""));
        if !is_for(key, url) {
            continue;
        }
        // An empty one takes back those before it.
        if command.is_empty() { commands.clear() } else { commands.push(command.to_owned()) }
    }
    commands.iter().take(MOST_HELPERS).map(|command| fill(url, directory, Some(command))).collect()
}

/// Whether a key `credential.helper` or `credential.<url>.helper` is about an address: of the same scheme and host.
fn is_for(key: &str, url: &str) -> bool {
    let Some(scope) = key.strip_prefix("credential.").and_then(|rest| rest.strip_suffix(".helper")) else {
        return true;
    };
    let (Ok(scope), Ok(place)) = (scope.parse::<Place>(), url.parse::<Place>()) else { return false };
    scope.covers(&place)
}

/// What git's helpers and askpass answer, or one helper alone; nobody is asked at the terminal, nor in a window.
fn fill(url: &str, directory: &Path, helper: Option<&str>) -> std::io::Result<HelperAnswer> {
    let mut command = git(directory);
    if let Some(helper) = helper {
        // By the environment: other people can see arguments.
        command.env("GIT_CONFIG_COUNT", "2").env("GIT_ASKPASS", "");
        command.env("GIT_CONFIG_KEY_0", "credential.helper").env("GIT_CONFIG_VALUE_0", "");
        command.env("GIT_CONFIG_KEY_1", "credential.helper").env("GIT_CONFIG_VALUE_1", helper);
    }
    command.args(["credential", "fill"]).env("GIT_TERMINAL_PROMPT", "0").env("GCM_INTERACTIVE", "never");
    let ended = bounded::run(&mut command, format!("url={url}\n\n").as_bytes(), PATIENCE)?;
    let answer = Description::read(ended.stdout.as_bytes()).unwrap_or_default();
    let command = helper.unwrap_or_default().to_owned();
    Ok(HelperAnswer { command, answer: answer.username.zip(answer.password), late: ended.late })
}

/// Where a header that is sent to a place with every request is configured, if that is one key that can be told.
fn header_key(place: &Place, directory: &Path) -> Option<(&'static str, String)> {
    let arguments = ["config", "--show-scope", "--get-regexp", r"^http\.(.*\.)?extraheader$", AUTHORIZATION];
    let output = git(directory).args(arguments).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let keys = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let scope = match words.next()? {
            "global" => "global",
            "local" => "local",
            _ => return None,
        };
        let key = words.next()?;
        let url = key.strip_prefix("http.")?.strip_suffix("extraheader")?.trim_end_matches('.');
        let meant = url.is_empty() || url.parse::<Place>().is_ok_and(|scope| scope.covers(place));
        meant.then(|| (scope, key.to_owned()))
    });
    let keys: Vec<_> = keys.collect();
    match keys.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    }
}

/// An address without its user part, and otherwise as it is written.
pub fn without_user(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{path}")
}

/// An address without a user part with a user name in it.
fn with_user(url: &str, user: &str) -> String {
    url.replacen("://", &format!("://{}@", percent_encoded(user)), 1)
}

/// User name and secret in an address, with `%40` and the like as what they stand for.
fn user_part(url: &str) -> (Option<String>, Option<SecretString>) {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let Some((user, _)) = authority.rsplit_once('@') else { return (None, None) };
    let (name, secret) = user.split_once(':').map_or((user, None), |(name, secret)| (name, Some(secret)));
    let name = Some(percent_decoded(name)).filter(|name| !name.is_empty());
    (name, secret.map(|secret| percent_decoded(secret).into()))
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

impl Evidence {
    /// Has git present, under the right name, what it presents now.
    pub(super) fn keep_and_set_up(&self, place: &Place) -> Remedy {
        // For this repository alone: elsewhere another one may be the right one.
        let mut steps = vec![Step::Store(place.clone()), Step::SetUp(place.clone())];
        steps.extend(self.clean_url());
        Remedy::Steps(steps)
    }

    /// Has git present a new credential.
    pub fn log_in(&self, place: &Place) -> Remedy {
        let another = self.helpers.iter().any(|helper| helper.answer.is_some());
        let old = self.presented.as_ref().is_some_and(|(_, secret)| kind_by_looks(secret) == Some(Kind::AppPassword));
        if self.netrc && !old {
            return Remedy::say("take the entry of this host out of ~/.netrc, or put a valid token there");
        }
        let log_in = (!self.netrc || !another).then(|| Step::LogIn(place.clone()));
        let migrate = self.netrc.then(|| Step::Migrate(place.clone(), "~/.netrc"));
        Remedy::Steps(log_in.into_iter().chain(self.clean_url()).chain(migrate).collect())
    }

    /// The remote's address without a user part, if it has one that stands in a helper's way.
    pub(super) fn clean_url(&self) -> Option<Step> {
        let remote = self.remote.clone()?;
        self.url_user.as_ref()?;
        Some(Step::SetUrl(remote, self.url_alone()))
    }

    /// The address without what is secret in it.
    pub fn shown_url(&self) -> String {
        match (&self.place, self.url.split_once("://")) {
            // Where it cannot be read, a secret may have anything in it, and end anywhere before the last `@`.
            (None, Some((scheme, rest))) => {
                let shown = rest.rsplit_once('@').map_or_else(|| rest.to_owned(), |(_, rest)| format!("***@{rest}"));
                doorward_wire::redact(&format!("{scheme}://{shown}")).into_owned()
            }
            _ => doorward_wire::redact(&self.url).into_owned(),
        }
    }

    /// The address without its user part.
    pub fn url_alone(&self) -> String {
        without_user(&self.url)
    }
}

/// A header's name in whatever letters, for git's regular expressions.
pub(super) const AUTHORIZATION: &str = "^[Aa][Uu][Tt][Hh][Oo][Rr][Ii][Zz][Aa][Tt][Ii][Oo][Nn]:";
/// How long a helper may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// More helpers than anybody has.
const MOST_HELPERS: usize = 8;
/// As much of `~/.netrc` as is read.
const LARGEST: u64 = 1024 * 1024;
const PROXIES: &[&str] = &["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret;

    #[test]
    fn the_user_part_of_an_address_is_read_as_git_reads_it() {
        let read = |url: &str| {
            let (user, secret) = user_part(url);
            (user, secret.map(|secret| secret.expose_secret().to_owned()))
        };
        assert_eq!(
            read("https://ada%40example.org:a%3Db@host/x"),
            (Some("ada@example.org".into()), Some("a=b".into()))
        );
        assert_eq!(read("https://ada@host/x"), (Some("ada".into()), None));
        assert_eq!(read("https://host/a@b"), (None, None));
        assert_eq!(read("https://:t@host/"), (None, Some("t".into())));
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
