//! What stands after a flag: words, moments, lengths of time, ranges.

use std::time::Duration;

use clap::ValueEnum;
use doorward_rules::{IpNet, Kind, Kinds, Privilege, Scope, Timestamp};
use doorward_server::SANDBOX_EARLIEST;
use doorward_wire::{nearest, parse_duration, parse_ranges};

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    On,
    Off,
}

/// The kinds of token that can be made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum TokenKind {
    #[default]
    Api,
    AppPassword,
    Repository,
    Project,
    Workspace,
}

/// The kinds that can be planned for, and allowed or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum KindWord {
    Api,
    AppPassword,
    Repository,
    Project,
    Workspace,
    Oauth,
}

/// A value, or none in particular.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OrAny<T>(pub(crate) Option<T>);

/// Ranges of addresses.
#[derive(Debug, Clone)]
pub(crate) struct Ranges(pub(crate) Vec<IpNet>);

/// A moment, or a length of time from now.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Moment {
    At(Timestamp),
    In(Duration),
}

/// How long a token lasts.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lifetime(pub(crate) Option<Duration>);

#[derive(Debug, Clone, Copy, Default, ValueEnum)]
pub(crate) enum ObjectFormatWord {
    #[default]
    Sha1,
    Sha256,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum PrivilegeWord {
    Read,
    Write,
    Admin,
    None,
}

impl From<TokenKind> for Kind {
    fn from(kind: TokenKind) -> Self {
        match kind {
            TokenKind::Api => Self::ApiToken,
            TokenKind::AppPassword => Self::AppPassword,
            TokenKind::Repository => Self::RepositoryToken,
            TokenKind::Project => Self::ProjectToken,
            TokenKind::Workspace => Self::WorkspaceToken,
        }
    }
}

impl From<KindWord> for Kind {
    fn from(word: KindWord) -> Self {
        match word {
            KindWord::Api => Self::ApiToken,
            KindWord::AppPassword => Self::AppPassword,
            KindWord::Repository => Self::RepositoryToken,
            KindWord::Project => Self::ProjectToken,
            KindWord::Workspace => Self::WorkspaceToken,
            KindWord::Oauth => Self::OAuthToken,
        }
    }
}

impl Moment {
    pub(crate) fn after(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::In(duration) => now.after(duration),
        }
    }
}

impl From<PrivilegeWord> for Privilege {
    fn from(word: PrivilegeWord) -> Self {
        match word {
            PrivilegeWord::Read => Self::Read,
            PrivilegeWord::Write => Self::Write,
            PrivilegeWord::Admin => Self::Admin,
            PrivilegeWord::None => Self::None,
        }
    }
}

pub(super) fn scope(name: &str) -> Result<Scope, String> {
    Scope::parse(name).map_err(|error| {
        let near = nearest(name, Scope::ALL.iter().map(|scope| scope.name()));
        if near.is_empty() {
            format!("{error}; for git there are read:repository:bitbucket and write:repository:bitbucket")
        } else {
            format!("{error}; did you mean {}?", near.join(" or "))
        }
    })
}

pub(super) fn sandbox_time(text: &str) -> Result<Timestamp, String> {
    let at: Timestamp = text.parse().map_err(|error| format!("this is {error}"))?;
    if (SANDBOX_EARLIEST..=Timestamp::LAST).contains(&at) {
        Ok(at)
    } else {
        Err(format!("what Bitbucket Cloud answered then is not known here; the earliest is {SANDBOX_EARLIEST}"))
    }
}

pub(super) fn moment(text: &str) -> Result<Moment, String> {
    if text == "now" {
        return Ok(Moment::In(Duration::ZERO));
    }
    if text.parse().is_ok_and(|at: Timestamp| at > Timestamp::LAST) || parse_duration(text).is_ok_and(|d| d > LONGEST) {
        return Err("the latest is a hundred years from now".into());
    }
    let duration = || parse_duration(text).map(Moment::In);
    text.parse()
        .map(Moment::At)
        .or_else(|error| duration().map_err(|_| format!("this is {error}, nor a time from now such as 90d")))
}

pub(super) fn longest(text: &str) -> Result<OrAny<Duration>, String> {
    if text == "any" {
        return Ok(OrAny(None));
    }
    let duration = parse_duration(text).map_err(|error| format!("{error}, or any"))?;
    if duration < DAY { Err("the shortest limit is 1d".into()) } else { Ok(OrAny(Some(duration))) }
}

pub(super) fn addresses(text: &str) -> Result<OrAny<Ranges>, String> {
    if text == "any" {
        return Ok(OrAny(None));
    }
    let ranges = parse_ranges(text).map_err(|error| format!("{error}, or any"))?;
    if ranges.is_empty() { Err("name at least one range, or any".into()) } else { Ok(OrAny(Some(Ranges(ranges)))) }
}

pub(super) fn allowed_kinds(text: &str) -> Result<OrAny<Kinds>, String> {
    if text == "any" {
        return Ok(OrAny(None));
    }
    let kinds: Result<Vec<Kind>, String> = text
        .split(',')
        .map(|word| {
            let known = KindWord::from_str(word.trim(), true).map(Kind::from);
            known.map_err(|_| {
                format!("`{word}` is none of api, app-password, repository, project, workspace, oauth; or any")
            })
        })
        .collect();
    Ok(OrAny(Some(Kinds::of(&kinds?))))
}

pub(super) fn label(text: &str) -> Result<String, &'static str> {
    let fits = !text.trim().is_empty() && text.chars().count() <= 100 && !text.contains(char::is_control);
    if fits {
        Ok(text.to_owned())
    } else {
        Err("a label has 1 to 100 characters, none of which is a control character")
    }
}

pub(super) fn lifetime(text: &str) -> Result<Lifetime, String> {
    if text == "never" {
        return Ok(Lifetime(None));
    }
    let duration = parse_duration(text).map_err(|error| format!("{error}, or never"))?;
    if duration > LONGEST { Err("the longest life is 100y; or never".into()) } else { Ok(Lifetime(Some(duration))) }
}

const DAY: Duration = Duration::from_secs(86_400);
const LONGEST: Duration = Duration::from_secs(100 * 365 * 86_400);
