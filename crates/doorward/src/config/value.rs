//! The kinds of value that settings take.

use std::net::SocketAddr;
use std::time::Duration;

use doorward_upstream::Source;
use doorward_wire::{WorkspaceSlug, parse_duration, parse_ranges};

/// What a setting takes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    Path,
    Url,
    /// A URL that may go on with a path.
    Place,
    /// A short name.
    Name,
    /// Workspaces, or all of them.
    Names,
    /// Where credentials come from.
    Sources,
    /// Where one secret comes from; nowhere if it is empty.
    Secret,
    /// An address of a provider; none if it is empty.
    Provider,
    /// A text.
    Text,
    /// Groups and workspaces.
    Pairs,
    Address,
    Switch,
    Count,
    CountOr(&'static str),
    Size,
    SizeOr(&'static str),
    Duration,
    DurationOr(&'static str),
    Ranges,
    Word(&'static [&'static str]),
}

impl Kind {
    /// Whether a text is such a value; if not, what would be.
    pub(crate) fn check(self, text: &str) -> Result<(), String> {
        let fits = match self {
            Self::Path => true,
            Self::Url => text.is_empty() || is_base_url(text),
            Self::Place => is_place(text),
            Self::Name => is_name(text),
            Self::Names => text == "*" || text.split(',').all(|name| is_name(&name.trim().to_lowercase())),
            Self::Sources => text.split(',').all(|source| source.trim().parse::<Source>().is_ok()),
            Self::Secret => match text.parse::<Source>() {
                Ok(Source::Stored(_)) => false,
                source => text.is_empty() || source.is_ok(),
            },
            Self::Provider => text.is_empty() || is_place(text),
            Self::Text => !text.contains(char::is_control),
            Self::Pairs => pairs(text).is_some(),
            Self::Address => text.parse::<SocketAddr>().is_ok(),
            Self::Switch => matches!(text, "true" | "false"),
            Self::Count => text.parse::<u32>().is_ok_and(|count| count > 0),
            Self::CountOr(word) => text == word || Self::Count.check(text).is_ok(),
            Self::Size => size(text).is_some_and(|bytes| bytes > 0),
            Self::SizeOr(word) => text == word || Self::Size.check(text).is_ok(),
            Self::Duration => duration(text).is_some(),
            Self::DurationOr(word) => text == word || duration(text).is_some(),
            Self::Ranges => parse_ranges(text).is_ok(),
            Self::Word(words) => words.contains(&text),
        };
        if fits { Ok(()) } else { Err(self.phrase()) }
    }

    /// What it takes, in words.
    pub(crate) fn phrase(self) -> String {
        match self {
            Self::Path => "a path".into(),
            Self::Url => "a URL such as https://git.example.org, without a path".into(),
            Self::Place => "a URL such as https://bitbucket.org or https://api.bitbucket.org/2.0".into(),
            Self::Name => "small letters, digits, `-` and `_`".into(),
            Self::Sources => {
                "env:NAME, file:PATH, store:NAME or command:LINE, or several with commas between them".into()
            }
            Self::Secret => "env:NAME, file:PATH or command:LINE".into(),
            Self::Provider => "a URL such as https://id.example.org/realms/acme".into(),
            Self::Text => "a text".into(),
            Self::Pairs => {
                "pairs such as developers=acme, with commas between them, or semicolons if a group has commas".into()
            }
            Self::Names => "names with commas between them, or *".into(),
            Self::Address => "an address and port such as 127.0.0.1:7990 or [::1]:7990".into(),
            Self::Switch => "true or false".into(),
            Self::Count => "a whole number above 0".into(),
            Self::CountOr(word) => format!("{}, or {word}", Self::Count.phrase()),
            Self::SizeOr(word) => format!("{}, or {word}", Self::Size.phrase()),
            Self::Size => "a number of bytes such as 65536, 64k, 10m or 4g".into(),
            Self::Duration => "a length of time such as 30s, 5m or 12h".into(),
            Self::DurationOr(word) => format!("a length of time such as 30d or 1y, or {word}"),
            Self::Ranges => "addresses or ranges such as 10.0.0.0/8 or ::1, with commas between them".into(),
            Self::Word(words) => words.join(", "),
        }
    }
}

pub(super) fn is_on(text: &str) -> bool {
    text == "true"
}

pub(super) fn duration(text: &str) -> Option<Duration> {
    parse_duration(text).ok().filter(|duration| !duration.is_zero())
}

/// Bytes; a unit is a power of 1024.
pub(super) fn size(text: &str) -> Option<u64> {
    let (number, unit) = match text.strip_suffix(['k', 'm', 'g']) {
        Some(number) => (number, text.as_bytes()[number.len()]),
        None => (text, b'b'),
    };
    let power = b"bkmg".iter().position(|known| *known == unit)?;
    number.parse::<u64>().ok()?.checked_mul(1024_u64.pow(u32::try_from(power).ok()?))
}

/// Groups, and the workspaces that they are for. Where groups have commas in their names, semicolons are between them, and only there
/// may they have a `=`.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, WorkspaceSlug)>> {
    let separator = if text.contains(';') { ';' } else { ',' };
    let parts = text.split(separator).map(str::trim).filter(|part| !part.is_empty());
    let pair = |part: &str| {
        let (group, workspace) = part.rsplit_once('=').filter(|(group, _)| separator == ';' || !group.contains('='))?;
        let workspace = workspace.trim().parse().ok()?;
        Some((group.trim().to_owned(), workspace)).filter(|(group, _)| !group.is_empty())
    };
    parts.map(pair).collect()
}

/// The parts of a list with commas between them.
pub(super) fn list(text: &str) -> Vec<String> {
    text.split([',', ' ']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
}

/// A URL as browsers write where they are: small letters, and no port that is the usual one (RFC 6454 §4).
pub(super) fn origin(url: &str) -> String {
    let url = url.trim_end_matches('/').to_ascii_lowercase();
    let port = if url.starts_with("https://") { ":443" } else { ":80" };
    url.strip_suffix(port).map_or_else(|| url.clone(), str::to_owned)
}

fn is_base_url(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|host| !host.is_empty() && host.is_ascii() && !host.contains(['/', '@', ' ']))
}

fn is_place(text: &str) -> bool {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty() && !rest.starts_with('/') && !rest.contains(['@', '?', '#', ' ', '"', '\\']) && rest.is_ascii()
    })
}

fn is_name(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
    (1..=63).contains(&text.len()) && text.bytes().all(fits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_as_people_write_them() {
        assert_eq!([size("512"), size("64k"), size("4g")], [Some(512), Some(65_536), Some(4 << 30)]);
        assert_eq!([size(""), size("k"), size("1t"), size("99999999999g")], [None; 4]);
        let url = |text| origin(text);
        assert_eq!(url("https://Git.Example.org:443"), "https://git.example.org");
        assert_eq!(url("http://localhost:8080"), "http://localhost:8080");
        let group = |text: &str| pairs(text).map(|pairs| pairs.into_iter().map(|(group, _)| group).collect::<Vec<_>>());
        assert_eq!(group("dev=acme, ops = acme"), Some(vec!["dev".into(), "ops".into()]));
        assert_eq!(group("CN=dev,OU=x,DC=y=acme;"), Some(vec!["CN=dev,OU=x,DC=y".into()]));
        assert_eq!(group("CN=dev,OU=x,DC=y=acme"), None, "that would be three others");
        assert!(Kind::Url.check("https://git.example.org:8443").is_ok() && Kind::Url.check("https://a@b").is_err());
    }
}
