//! Which credential is used for a place, where it came from, and why not another.

use std::cmp::Reverse;
use std::fmt;
use std::path::PathBuf;

use doorward_rules::{Fault, Kind, Phase, RuleSet, Rules, Surface, Timestamp, bitbucket_cloud, present};
use doorward_wire::UnverifiedToken;
use secrecy::SecretString;

use crate::vault::Contents;
use crate::{Entry, Held, KeyringError, Place};

/// A secret that might be used, and where it came from.
#[derive(Debug, Clone)]
pub struct Candidate {
    /// The secret, and what it is for.
    pub entry: Entry,
    /// Where it came from.
    pub source: Source,
}

/// Where a secret came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// This file, which was named for the call.
    File(PathBuf),
    /// This variable.
    Environment(String),
    /// The vault's file.
    Vault,
    /// The keyring of the desktop.
    Keyring,
}

/// What is used, and what is not.
#[derive(Debug)]
pub struct Choice {
    /// The user name, the secret and where it came from.
    pub chosen: Option<Chosen>,
    /// Those that were looked at and passed over, each with the reason.
    pub passed: Vec<Passed>,
}

/// A credential in the form in which git is to present it.
#[derive(Debug, Clone)]
pub struct Chosen {
    /// The user name that goes with the kind.
    pub username: String,
    /// The secret.
    pub secret: SecretString,
    /// Its kind, if its looks tell.
    pub kind: Option<Kind>,
    /// What it was stored for.
    pub place: Place,
    /// Where it came from.
    pub source: Source,
    /// The user name of its owner, if it was stored with one.
    pub owner: Option<String>,
    /// When it ends, if that is known.
    pub expires_at: Option<Timestamp>,
    /// Why it is this one.
    pub why: &'static str,
}

/// A candidate that is not used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// Where it came from.
    pub source: Source,
    /// What it was stored for.
    pub place: Place,
    /// Why it is not used.
    pub why: String,
}

/// Gives the secret of an entry, or says why it cannot be had now.
pub type Open<'a> = &'a dyn Fn(&Entry) -> Result<SecretString, KeyringError>;

/// Chooses among what was named for the call, and what the environment and the vault have for a place. The narrowest one counts, and of two that are as
/// narrow, the environment's, or the one that was stored last. `username` is the one that a URL names, if it does; `secret` opens a candidate, and is asked
/// only for those that come into question.
pub fn choose(
    place: &Place,
    environment: Vec<Candidate>,
    contents: &Contents,
    username: Option<&str>,
    secret: Open<'_>,
    now: Timestamp,
) -> Choice {
    let stored = contents.entries.iter().filter(|entry| entry.place.covers(place));
    let stored = stored.map(|entry| Candidate { entry: entry.clone(), source: entry.into() });
    let mut candidates: Vec<Candidate> = environment.into_iter().chain(stored).collect();
    // What was stored last is what is meant.
    candidates.sort_by_key(|Candidate { entry, source }| {
        let order = match source {
            Source::File(_) => 0,
            Source::Environment(_) => 1,
            Source::Vault | Source::Keyring => 2,
        };
        // What was named for this call counts, however wide it is.
        (order > 0, Reverse(entry.place.depth()), order, Reverse(entry.added_at))
    });
    let several = candidates.len() > 1;
    let mut choice = Choice { chosen: None, passed: Vec::new() };
    for candidate in candidates {
        let Candidate { entry, source } = candidate;
        let usable = match &choice.chosen {
            Some(_) => Err("another one comes before it".into()),
            None => usable(place, &entry, contents, username, secret, now),
        };
        match usable {
            Ok((username, secret, kind)) => {
                let why = match (several, entry.place.depth()) {
                    (false, _) => "it is the only one for this place",
                    (true, 0) => "it is the latest one for this host, and there is none for the repository that works",
                    (true, _) => "it is the narrowest one for this place",
                };
                let Entry { place, expires_at, username: owner, .. } = entry;
                choice.chosen = Some(Chosen { username, secret, kind, place, source, owner, expires_at, why });
            }
            Err(why) => choice.passed.push(Passed { source, place: entry.place, why }),
        }
    }
    choice
}

/// The user name and kind with which a secret is presented, or why it is not.
fn usable(
    place: &Place,
    entry: &Entry,
    contents: &Contents,
    wanted: Option<&str>,
    open: Open<'_>,
    now: Timestamp,
) -> Result<(String, SecretString, Option<Kind>), String> {
    if place.is_in_the_clear() {
        return Err("it would cross the network in the clear; use https".into());
    }
    if let Some(why) = contents.history(place, &entry.fingerprint()).dead {
        return Err(why);
    }
    if let Some(end) = entry.expires_at.filter(|end| *end <= now) {
        return Err(format!("it expired at {end}"));
    }
    let secret = open(entry).map_err(|error| error.to_string())?;
    let kind = match UnverifiedToken::parse(&secret) {
        Ok(token) => token.kinds.iter().next(),
        Err(Fault::Truncated) => return Err("its end is missing; store it again, whole".into()),
        Err(Fault::Altered) => return Err("it was changed on its way: its checksum does not fit".into()),
        Err(Fault::ForeignApiToken) => Some(Kind::ApiToken),
        Err(Fault::ForeignAccessToken) => Some(Kind::RepositoryToken),
        Err(Fault::ForeignAppPassword) => Some(Kind::AppPassword),
        Err(_) => None,
    };
    if let (Some(wanted), Some(owner)) = (wanted.filter(|name| !name.starts_with("x-")), &entry.username)
        // An e-mail address and a user name may be the same person's.
        && wanted.contains('@') == owner.contains('@')
        && !wanted.eq_ignore_ascii_case(owner)
    {
        return Err(format!("it is `{owner}`'s, and the address names `{wanted}`"));
    }
    let calendar = bitbucket_cloud::calendar();
    if let (true, Some(kind)) = (place.is_bitbucket_cloud(), kind)
        && let Phase::Retired { since } = calendar.phase(kind, now)
    {
        let day = &since.to_string()[..10];
        return Err(format!("{}s are not accepted since {day}; create an API token in its place", kind.phrase()));
    }
    let named = || entry.username.as_deref().or(wanted).map(str::to_owned);
    let fixed = |kind| {
        let rules = Rules { set: RuleSet::BitbucketCloud, calendar: &calendar };
        present(rules, kind, Surface::Git, now)
            .map(|form| form.name.word().to_owned())
            .filter(|name| name.starts_with("x-"))
    };
    let username = match kind {
        // What has no shape of its own at Bitbucket Cloud is an OAuth access token.
        None if place.is_bitbucket_cloud() && named().is_none() => fixed(Kind::OAuthToken),
        None | Some(Kind::AppPassword | Kind::AccountPassword) => named(),
        Some(kind) => fixed(kind),
    };
    let username = username.ok_or("a user name is needed with it, and none is known; store it with one")?;
    Ok((username, secret, kind))
}

impl From<&Entry> for Source {
    fn from(entry: &Entry) -> Self {
        match entry.held {
            Held::Here(_) => Self::Vault,
            Held::InKeyring { .. } => Self::Keyring,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the file {}", path.display()),
            Self::Environment(name) => write!(f, "the variable {name}"),
            Self::Vault => f.write_str("the vault"),
            Self::Keyring => f.write_str("the keyring"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Vault;
    use doorward_wire::{MintedToken, TokenShape};

    const NOW: Timestamp = Timestamp::utc(2026, 11, 22);

    fn entry(place: &str, username: Option<&str>, secret: &str) -> Entry {
        let place = place.parse().expect("a place");
        Entry {
            place,
            username: username.map(str::to_owned),
            held: Held::Here(secret.into()),
            added_at: NOW,
            expires_at: None,
        }
    }

    fn minted(kind: Kind) -> String {
        use secrecy::ExposeSecret;
        MintedToken::mint(kind, TokenShape::Bitbucket, |buffer| buffer.fill(7)).secret.expose_secret().to_owned()
    }

    fn chosen(place: &str, entries: Vec<Entry>, username: Option<&str>, at: Timestamp) -> Choice {
        let mut contents = Contents::default();
        contents.entries = entries;
        choose(
            &place.parse().expect("a place"),
            Vec::new(),
            &contents,
            username,
            &|entry| Vault::new(None, None).secret(entry),
            at,
        )
    }

    #[test]
    fn the_user_name_goes_with_the_kind_whatever_was_typed() {
        let site = "https://bitbucket.org/acme/site";
        for (kind, name) in [
            (Kind::ApiToken, "x-bitbucket-api-token-auth"),
            (Kind::RepositoryToken, "x-token-auth"),
            (Kind::OAuthToken, "x-token-auth"),
        ] {
            let choice = chosen(site, vec![entry("bitbucket.org", Some("ada"), &minted(kind))], Some("ada"), NOW);
            assert_eq!(choice.chosen.map(|chosen| chosen.username).as_deref(), Some(name), "{kind:?}");
        }
        let opaque = chosen(site, vec![entry("bitbucket.org", None, "opaque")], None, NOW);
        assert_eq!(opaque.chosen.map(|chosen| chosen.username).as_deref(), Some("x-token-auth"));
        let elsewhere =
            chosen("https://git.example.org/a/b", vec![entry("git.example.org", None, "opaque")], None, NOW);
        assert!(elsewhere.chosen.is_none() && elsewhere.passed[0].why.contains("a user name is needed"));
    }

    #[test]
    fn the_narrowest_one_wins_and_the_others_are_told() {
        let token = minted(Kind::RepositoryToken);
        let entries = vec![
            entry("https://bitbucket.org", Some("ada"), &minted(Kind::ApiToken)),
            entry("https://bitbucket.org/acme/site", None, &token),
            entry("https://bitbucket.org/other", None, &token),
        ];
        let choice = chosen("https://bitbucket.org/acme/site", entries, None, NOW);
        assert_eq!(
            choice.chosen.map(|chosen| chosen.place.to_string()).as_deref(),
            Some("https://bitbucket.org/acme/site")
        );
        assert_eq!(choice.passed.len(), 1);
    }

    #[test]
    fn what_cannot_work_is_not_offered_and_the_reason_is_told() {
        let password = minted(Kind::AppPassword);
        let own = MintedToken::mint(Kind::ApiToken, TokenShape::Doorward, |buffer| buffer.fill(7));
        let own = {
            use secrecy::ExposeSecret;
            own.secret.expose_secret().to_owned()
        };
        for (place, username, secret, at, why) in [
            (
                "https://bitbucket.org",
                Some("ada"),
                password.as_str(),
                NOW,
                "app passwords are not accepted since 2026-07-28",
            ),
            ("http://git.example.org", Some("ada"), &own, NOW, "in the clear"),
            ("https://git.example.org", Some("ada"), &own[..40], NOW, "its end is missing"),
            ("https://git.example.org", Some("bob"), &own, NOW, "it is `bob`'s, and the address names `ada`"),
        ] {
            let choice = chosen(place, vec![entry(place, username, secret)], Some("ada"), at);
            assert!(choice.chosen.is_none() && choice.passed[0].why.contains(why), "{:?}", choice.passed);
        }
        let before = chosen(
            "https://bitbucket.org",
            vec![entry("bitbucket.org", Some("ada"), &password)],
            None,
            Timestamp::utc(2026, 6, 1),
        );
        assert_eq!(before.chosen.map(|chosen| chosen.username).as_deref(), Some("ada"));
    }
}
