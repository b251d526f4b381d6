//! The credential helper: `get`, `store`, `erase`, as git runs it.
//!
//! A secret that git wants erased is not thrown away on one refusal if it worked before: hosts refuse valid secrets now
//! and then, in bursts, and refuse a valid one for good where its owner has nothing to look for. It is tried once more;
//! what is really dead is remembered as such and never offered again.

use std::path::Path;
use std::time::Duration;

use doorward_rules::{Kind, Timestamp};
use doorward_wire::{Description, UnverifiedToken};
use secrecy::SecretString;
use thiserror::Error;

use crate::choose::Choice;
use crate::vault::{History, fingerprint};
use crate::{Entry, Environment, Held, Keep, Passed, Place, Probe, Vault, VaultError, choose, from_environment};

/// What a helper works with.
pub struct Helper<'a> {
    /// The environment.
    pub environment: Environment<'a>,
    /// The vault.
    pub vault: &'a Vault,
    /// This program, for a probe.
    pub program: &'a Path,
    /// What time it is.
    pub now: Timestamp,
}

/// Why a helper did not do what git asked.
#[derive(Debug, Error)]
pub enum HelperError {
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

/// Asks a host whether it takes a secret under a user name.
pub type Ask<'a> = &'a dyn Fn(&Place, &str, &SecretString) -> Probe;

impl Helper<'_> {
    /// What to answer git, and what to tell the person at the terminal.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be opened and there is nothing else.
    pub fn get(&self, asked: &Description) -> Result<(Option<Description>, Vec<String>), HelperError> {
        let Some(place) = Place::of(asked) else { return Ok((None, Vec::new())) };
        let choice = self.explain(&place, asked.username.as_deref())?;
        let Some(chosen) = choice.chosen else {
            let notice = |passed: Passed| format!("{} for {} is not used: {}", passed.source, passed.place, passed.why);
            return Ok((None, choice.passed.into_iter().map(notice).collect()));
        };
        let answer = Description {
            protocol: asked.protocol.clone(),
            host: asked.host.clone(),
            path: asked.path.clone(),
            username: Some(chosen.username),
            password: Some(chosen.secret),
            password_expiry_utc: chosen.expires_at.map(|at| at.0.div_euclid(1000)),
            ..Description::default()
        };
        Ok((Some(answer), Vec::new()))
    }

    /// What would be used for a place, and why.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be opened and there is nothing else.
    pub fn explain(&self, place: &Place, username: Option<&str>) -> Result<Choice, HelperError> {
        let environment = from_environment(place, self.environment);
        // A vault that cannot be used is no reason not to use what is in the environment.
        let contents = match self.vault.read() {
            Err(error) if environment.is_empty() => return Err(error.into()),
            contents => contents.unwrap_or_default(),
        };
        Ok(choose(place, environment, &contents, username, &|entry| self.vault.secret(entry), self.now))
    }

    /// Notes that a host has accepted a secret, and keeps it if it came from elsewhere.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be written.
    pub fn store(&self, told: &Description) -> Result<(), HelperError> {
        let (Some(place), Some(secret)) = (Place::of(told), &told.password) else { return Ok(()) };
        let elsewhere = !told.ephemeral && !self.is_in_the_environment(&place, secret);
        let fingerprint = fingerprint(secret);
        let known = self.vault.change(|contents| {
            contents.history_mut(&place, &fingerprint).accepted(&place, self.now);
            contents.entries.iter().any(|entry| entry.place.covers(&place) && entry.fingerprint() == fingerprint)
        })?;
        if elsewhere && !known {
            let entry = Entry {
                place: reach(&place, secret),
                username: told.username.clone().filter(|name| !name.starts_with("x-")),
                held: Held::Here(secret.clone()),
                added_at: self.now,
                expires_at: told.password_expiry_utc.map(|at| Timestamp(at.saturating_mul(1000))),
            };
            self.vault.store(entry, Keep::Anywhere)?;
        }
        Ok(())
    }

    /// Notes that a host has refused a secret; what to tell the person at the terminal. Without a secret, as a person asks
    /// for it with `git credential reject`, what is stored for the place and the user name is forgotten.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be written.
    pub fn erase(&self, told: &Description, ask: Ask<'_>) -> Result<Option<String>, HelperError> {
        let Some(place) = Place::of(told) else { return Ok(None) };
        let Some(secret) = &told.password else {
            let meant = |entry: &Entry| {
                entry.place.covers(&place) && (told.username.is_none() || entry.username == told.username)
            };
            self.vault.remove(meant)?;
            return Ok(None);
        };
        let contents = self.vault.read()?;
        if self.is_in_the_environment(&place, secret) {
            return Ok(Some(format!(
                "{place} refused the credential in the environment; set its variable to another one"
            )));
        }
        let fingerprint = fingerprint(secret);
        if !contents.entries.iter().any(|entry| entry.place.covers(&place) && entry.fingerprint() == fingerprint) {
            return Ok(None);
        }
        // Under another user name than the one that goes with it, a refusal says nothing about the secret.
        let choice = choose(
            &place,
            Vec::new(),
            &contents,
            told.username.as_deref(),
            &|entry| self.vault.secret(entry),
            self.now,
        );
        let right = choice
            .chosen
            .filter(|chosen| crate::vault::fingerprint(&chosen.secret) == fingerprint)
            .map(|chosen| chosen.username);
        if let (Some(right), Some(sent)) = (&right, &told.username)
            && right != sent
        {
            return Ok(Some(format!(
                "{place} refused a credential under another user name than `{right}`, which goes with it; it is kept"
            )));
        }
        let history = contents.history(&place, &fingerprint);
        drop(contents);
        let worked = history.accepted_at.is_some_and(|at| self.now.0.saturating_sub(at) < LATELY);
        let found = match (worked, &told.username) {
            (true, Some(username)) => ask(&place, username, secret),
            _ => Probe::Refused,
        };
        Ok(self
            .vault
            .change(|contents| contents.history_mut(&place, &fingerprint).refused(&place, found, worked, self.now))?)
    }

    fn is_in_the_environment(&self, place: &Place, secret: &SecretString) -> bool {
        from_environment(place, self.environment)
            .iter()
            .any(|candidate| candidate.entry.fingerprint() == fingerprint(secret))
    }
}

impl History {
    fn accepted(&mut self, place: &Place, now: Timestamp) {
        self.places.retain(|known| known != place);
        self.places.push(place.clone());
        if self.places.len() > PLACES {
            self.places.remove(0);
        }
        (self.accepted_at, self.refused, self.refused_at, self.dead) = (Some(now.0), 0, None, None);
    }

    /// Notes a refusal; what to tell about it.
    fn refused(&mut self, place: &Place, found: Probe, worked: bool, now: Timestamp) -> Option<String> {
        if found == Probe::Accepted {
            self.accepted(place, now);
            return Some(format!("{place} refused a valid credential once and takes it again; it is kept, try again"));
        }
        if worked && !self.places.contains(place) {
            return Some(format!("{place} refused a credential that its host takes for others; it is kept for those"));
        }
        // Of a burst, which many commands may meet at once, only the first one counts.
        if self.refused_at.is_none_or(|at| now.0.saturating_sub(at) >= BURST) {
            self.refused += 1;
            self.refused_at = Some(now.0);
        }
        if worked && self.refused < REFUSALS {
            return Some(format!(
                "{place} refused a credential that worked lately; it is kept, try again in half a minute"
            ));
        }
        let day = &now.to_string()[..10];
        self.dead = Some(format!("the host refused it on {day}; store a new one in its place"));
        Some(format!("{place} does not take this credential any more; it is not offered again until it is stored anew"))
    }
}

/// Where a secret that was typed for a place is of use: a repository's own token there alone.
fn reach(place: &Place, secret: &SecretString) -> Place {
    let kind = UnverifiedToken::parse(secret).ok().and_then(|token| token.kinds.iter().next());
    if kind.is_some_and(Kind::is_access_token) { place.clone() } else { place.whole_host() }
}

/// What worked this long ago, in milliseconds, is tried once more before it is given up.
const LATELY: i64 = Duration::from_secs(30 * 86_400).as_millis() as i64;
/// Refusals that come closer together than this, in milliseconds, are one.
const BURST: i64 = Duration::from_secs(30).as_millis() as i64;
/// How many refusals in a row end a secret that worked lately.
const REFUSALS: u32 = 3;
/// How many places are remembered that a secret was accepted at.
const PLACES: usize = 50;

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        text.parse().expect("a place")
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp(Timestamp::utc(2026, 11, 22).0 + seconds * 1000)
    }

    #[test]
    fn a_burst_of_refusals_is_one_and_three_of_them_are_the_end() {
        let site = place("https://bitbucket.org/acme/site");
        let mut history = History::default();
        history.accepted(&site, at(0));
        for _ in 0..50 {
            let told = history.refused(&site, Probe::Refused, true, at(1)).expect("a notice");
            assert!(told.contains("it is kept"), "{told}");
        }
        history.refused(&site, Probe::Unknown, true, at(40));
        assert_eq!((history.refused, history.dead.is_some()), (2, false));
        history.refused(&site, Probe::Refused, true, at(80));
        assert!(history.dead.is_some());
        history.accepted(&site, at(90));
        assert_eq!((history.refused, history.dead), (0, None));
    }

    #[test]
    fn a_repository_that_one_may_not_see_does_not_end_a_credential_that_others_take() {
        let (site, other) = (place("https://bitbucket.org/acme/site"), place("https://bitbucket.org/other/secret"));
        let mut history = History::default();
        history.accepted(&site, at(0));
        for minute in 1..10 {
            history.refused(&other, Probe::Refused, true, at(60 * minute));
        }
        assert_eq!((history.refused, history.dead), (0, None));
    }
}
