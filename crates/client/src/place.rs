//! Where a credential is for: a host, one of its workspaces, or one repository.

use std::fmt;
use std::str::FromStr;

use doorward_wire::Description;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A host, perhaps with a workspace, perhaps with a repository in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    scheme: Scheme,
    host: String,
    workspace: Option<String>,
    repository: Option<String>,
    /// The path as it was written: other hosts have more than two parts in it, and tell letters apart by their case.
    written: String,
}

/// By what it names, however that is written.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        (self.scheme, &self.host, &self.workspace, &self.repository)
            == (other.scheme, &other.host, &other.workspace, &other.repository)
    }
}

impl Eq for Place {}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Https,
    Http,
}

/// A text that names no place.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not the address of a host, workspace or repository such as https://bitbucket.org/acme/site")]
pub struct PlaceError(String);

impl Place {
    /// What git asks about; `None` for what is not HTTP.
    pub fn of(description: &Description) -> Option<Self> {
        let (protocol, host) = (description.protocol.as_deref()?, description.host.as_deref()?);
        // Git decodes what is odd in a host's name; a name with such letters is not what it looks like.
        if !is_host(&host.to_ascii_lowercase()) {
            return None;
        }
        let path = description.path.as_deref().unwrap_or_default();
        format!("{protocol}://{host}/{path}").parse().ok()
    }

    /// Whether a credential for this place is of use in another.
    pub fn covers(&self, other: &Self) -> bool {
        let within = |mine: &Option<String>, theirs: &Option<String>| mine.is_none() || mine == theirs;
        self.scheme == other.scheme
            && self.host == other.host
            && within(&self.workspace, &other.workspace)
            && within(&self.repository, &other.repository)
    }

    /// How narrow it is: 0 for a host, 2 for a repository.
    pub fn depth(&self) -> usize {
        usize::from(self.workspace.is_some()) + usize::from(self.repository.is_some())
    }

    /// The host, with its port if that is not the usual one.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The host alone.
    #[must_use]
    pub fn whole_host(&self) -> Self {
        Self { workspace: None, repository: None, written: String::new(), ..self.clone() }
    }

    /// Whether it is Bitbucket Cloud.
    pub fn is_bitbucket_cloud(&self) -> bool {
        BITBUCKET_CLOUD.contains(&self.host.as_str())
    }

    /// Whether it is this machine.
    pub fn is_this_machine(&self) -> bool {
        let name = self.host.rsplit_once(':').map_or(self.host.as_str(), |(name, port)| {
            if port.bytes().all(|byte| byte.is_ascii_digit()) { name } else { self.host.as_str() }
        });
        ["localhost", "127.0.0.1", "[::1]"].contains(&name) || name.ends_with(".localhost")
    }

    /// Whether a secret that is sent there crosses a network in the clear.
    pub fn is_in_the_clear(&self) -> bool {
        self.scheme == Scheme::Http && !self.is_this_machine()
    }

    /// Where its REST begins.
    pub fn rest_base(&self) -> String {
        if self.is_bitbucket_cloud() {
            return "https://api.bitbucket.org/2.0".into();
        }
        format!("{}/2.0", self.whole_host())
    }

    /// The address of the repository, for git; `None` if it is not one.
    pub fn repository_url(&self) -> Option<String> {
        let scheme = self.scheme.word();
        self.repository.as_ref().map(|_| format!("{scheme}://{}/{}", self.host, self.written))
    }
}

impl Scheme {
    fn word(self) -> &'static str {
        match self {
            Self::Https => "https",
            Self::Http => "http",
        }
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    /// Reads a URL, with or without a user part, `.git` and a path that goes on.
    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let error = || PlaceError(doorward_wire::redact(text).chars().take(200).collect());
        let (scheme, rest) = match text.split_once("://") {
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => (Scheme::Https, rest),
            Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => (Scheme::Http, rest),
            Some(_) => return Err(error()),
            None => (Scheme::Https, text),
        };
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host).to_ascii_lowercase();
        let default_port = if scheme == Scheme::Https { ":443" } else { ":80" };
        let host = host.strip_suffix(default_port).unwrap_or(&host).to_owned();
        if !is_host(&host) {
            return Err(error());
        }
        let mut parts = path.split('/').filter(|part| !part.is_empty()).map(str::to_ascii_lowercase);
        let workspace = parts.next();
        let repository = parts.next().map(|part| part.strip_suffix(".git").unwrap_or(&part).to_owned());
        if workspace.iter().chain(&repository).any(|part| part.contains(|c: char| c.is_control() || c.is_whitespace()))
        {
            return Err(error());
        }
        let written = if repository.is_some() { as_git(path, &host) } else { String::new() };
        Ok(Self { scheme, host, workspace, repository, written })
    }
}

/// A path as git asks for it: at Bitbucket Cloud up to the repository; elsewhere all of it, since there may be groups in groups.
fn as_git(path: &str, host: &str) -> String {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let repository = if BITBUCKET_CLOUD.contains(&host) { &parts[..parts.len().min(2)] } else { &parts[..] };
    let path = repository.join("/");
    if path.ends_with(".git") || repository.len() > 2 { path } else { format!("{path}.git") }
}

/// Whether a text is a host's name or address, with or without a port.
fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.contains(']') => (name, Some(port)),
        _ => (text, None),
    };
    let bracketed = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let name_fits = match bracketed {
        Some(address) => address.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte)),
    };
    name_fits && port.is_none_or(|port| port.parse::<u16>().is_ok())
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.word(), self.host)?;
        [&self.workspace, &self.repository].into_iter().flatten().try_for_each(|part| write!(f, "/{part}"))
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, PlaceError> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

const BITBUCKET_CLOUD: [&str; 3] = ["bitbucket.org", "www.bitbucket.org", "api.bitbucket.org"];

#[cfg(test)]
mod tests {
    use super::Place;

    fn place(text: &str) -> Place {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    #[test]
    fn an_address_is_read_however_it_is_written() {
        for (text, written) in [
            ("https://bitbucket.org/Acme/Site.git", "https://bitbucket.org/acme/site"),
            ("HTTPS://ada:secret@bitbucket.org:443/acme/site/src/main", "https://bitbucket.org/acme/site"),
            ("bitbucket.org", "https://bitbucket.org"),
            ("http://127.0.0.1:7990/home/", "http://127.0.0.1:7990/home"),
        ] {
            assert_eq!(place(text).to_string(), written);
        }
        let subgroup = place("https://ada@git.example.org/Group/Sub/Project.git");
        assert_eq!(subgroup.repository_url().as_deref(), Some("https://git.example.org/Group/Sub/Project.git"));
        for text in [
            "",
            "ssh://git@bitbucket.org/a/b",
            "https://",
            "https://a b/c",
            "https://host/a b",
            "git@bitbucket.org/x y",
            "git@bitbucket.org:a/b",
            "https://ada:a/b@h/x",
            "https://[::1/x",
            "https://h:99999",
        ] {
            assert!(text.parse::<Place>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_host_that_is_not_what_it_looks_like_is_none() {
        for host in [
            "bitbucket.org/.evil.example",
            "evil.example@bitbucket.org",
            "bitbucket.org%2f.evil.example",
            "bitbucket.org?x",
            "a b",
        ] {
            let asked = doorward_wire::Description {
                protocol: Some("https".into()),
                host: Some(host.into()),
                ..doorward_wire::Description::default()
            };
            assert_eq!(Place::of(&asked), None, "{host}");
        }
    }

    #[test]
    fn a_place_covers_what_lies_within_and_no_other_host() {
        let (host, workspace, site) = (
            place("https://bitbucket.org"),
            place("https://bitbucket.org/acme"),
            place("https://bitbucket.org/acme/site"),
        );
        assert!(host.covers(&site) && workspace.covers(&site) && site.covers(&site));
        assert!(!site.covers(&workspace) && !place("https://bitbucket.org/acm").covers(&site));
        assert!(!place("https://bitbucket.org.evil.example").covers(&host));
        assert!(!place("http://bitbucket.org").covers(&host), "a secret for https is not given to http");
        assert!(place("http://git.example.org").is_in_the_clear() && !place("http://127.0.0.1:7990").is_in_the_clear());
        assert!(place("http://127.0.0.1.evil.example").is_in_the_clear());
    }
}
