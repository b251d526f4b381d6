//! What git on this machine would send to a host, and where it would get it from.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use doorward_wire::Description;
use secrecy::{ExposeSecret, SecretString};

use crate::place::decoded;
use crate::{Environment, Place};

/// What was found, without asking the host.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// The address of the repository, as it is written.
    pub url: String,
    /// What it names, if it is an HTTP address that can be read.
    pub place: Option<Place>,
    /// The user name in the address.
    pub url_user: Option<String>,
    /// The secret in the address.
    pub url_secret: Option<SecretString>,
    /// The program that answers git's questions, and what names it.
    pub askpass: Option<(String, String)>,
    /// The helpers that are configured, each with its key.
    pub helpers: Vec<String>,
    /// An `Authorization` header that git is told to send.
    pub extra_header: Option<SecretString>,
    /// What git would present: user name and secret.
    pub presented: Option<(String, SecretString)>,
    /// Variables that send requests through a proxy.
    pub proxies: Vec<String>,
    /// Whether `~/.netrc` has something for the host.
    pub netrc: bool,
}

/// Finds out what git in a directory would do about an address.
///
/// # Errors
/// If git cannot be run.
pub fn gather(url: &str, directory: &Path, environment: Environment<'_>) -> std::io::Result<Evidence> {
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
    let helpers = config(&["--get-regexp", r"^credential\..*helper$"])?.unwrap_or_default();
    let headers = config(&["--get-urlmatch", "http.extraHeader", url])?.unwrap_or_default();
    let authorization = headers.lines().find(|line| line.to_ascii_lowercase().starts_with("authorization:"));
    let presented = match (&url_user, &url_secret) {
        (Some(user), Some(secret)) => Some((user.clone(), secret.clone())),
        _ if place.is_some() => fill(url, directory)?,
        _ => None,
    };
    let host = place.as_ref().map_or("", |place| place.host().split(':').next().unwrap_or_default()).to_owned();
    let netrc = environment("HOME").and_then(|home| fs::read_to_string(Path::new(&home).join(".netrc")).ok());
    Ok(Evidence {
        url: url.to_owned(),
        place,
        url_user,
        url_secret,
        askpass,
        helpers: helpers.lines().map(str::to_owned).collect(),
        extra_header: authorization.map(|line| line.to_owned().into()),
        presented,
        proxies: PROXIES.iter().filter(|name| environment(name).is_some()).map(|name| (*name).to_owned()).collect(),
        netrc: netrc.is_some_and(|text| text.split_whitespace().any(|word| word == host)),
    })
}

/// What git's helpers and askpass answer; nobody is asked at the terminal.
fn fill(url: &str, directory: &Path) -> std::io::Result<Option<(String, SecretString)>> {
    let mut child = git(directory)
        .args(["credential", "fill"])
        .env("GIT_TERMINAL_PROMPT", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // A helper may have ended before it has read the question.
        let _ = input.write_all(format!("url={url}\n\n").as_bytes());
    }
    let output = child.wait_with_output()?;
    let answer = Description::read(output.stdout.as_slice()).unwrap_or_default();
    Ok(answer.username.zip(answer.password))
}

/// User name and secret in an address, with `%40` and the like as what they stand for.
fn user_part(url: &str) -> (Option<String>, Option<SecretString>) {
    let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
    let Some((user, _)) = authority.rsplit_once('@') else { return (None, None) };
    let (name, secret) = user.split_once(':').map_or((user, None), |(name, secret)| (name, Some(secret)));
    let name = Some(decoded(name)).filter(|name| !name.is_empty());
    (name, secret.map(|secret| decoded(secret).into()))
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.current_dir(directory).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

impl Evidence {
    /// The address without what is secret in it.
    pub fn shown_url(&self) -> String {
        doorward_wire::redact(&self.url).into_owned()
    }

    /// The secret that git would present, without what git itself takes off its end.
    pub(super) fn secret(&self) -> Option<&str> {
        self.presented.as_ref().map(|(_, secret)| secret.expose_secret())
    }
}

const PROXIES: &[&str] = &["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"];

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(decoded("100%"), "100%");
    }
}
