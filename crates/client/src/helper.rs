//! The credential helper: `get`, `store`, `erase`, as git runs it.
//!
//! A secret that git wants erased is not thrown away on one refusal if it worked before: hosts refuse valid secrets now
//! and then. It is tried once more; what is really dead is remembered as such and never offered again.

use std::path::Path;
use std::time::Duration;

use doorward_rules::{Kind, Timestamp};
use doorward_wire::{Description, UnverifiedToken};
use secrecy::SecretString;
use thiserror::Error;

use crate::choose::Choice;
use crate::vault::Contents;
use crate::{Entry, Environment, Place, Probe, Vault, VaultError, choose, from_environment};

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
    /// [`HelperError`] if the vault cannot be opened.
    pub fn get(&self, asked: &Description) -> Result<(Option<Description>, Vec<String>), HelperError> {
        let Some(place) = Place::of(asked) else { return Ok((None, Vec::new())) };
        let choice = self.explain(&place, asked.username.as_deref())?;
        let Some(chosen) = choice.chosen else {
            let notice =
                |passed: crate::Passed| format!("{} for {} is not used: {}", passed.source, passed.place, passed.why);
            return Ok((None, choice.passed.into_iter().map(notice).collect()));
        };
        let answer = Description {
            protocol: asked.protocol.clone(),
            host: asked.host.clone(),
            path: asked.path.clone(),
            username: Some(chosen.username),
            password: Some(chosen.secret),
            ..Description::default()
        };
        Ok((Some(answer), Vec::new()))
    }

    /// What would be used for a place, and why.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be opened.
    pub fn explain(&self, place: &Place, username: Option<&str>) -> Result<Choice, HelperError> {
        let environment = from_environment(place, self.environment);
        Ok(choose(place, environment, &self.vault.read()?, username, self.now))
    }

    /// Notes that a host has accepted a secret, and keeps it if it came from elsewhere.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be written.
    pub fn store(&self, told: &Description) -> Result<(), HelperError> {
        let (Some(place), Some(secret)) = (Place::of(told), &told.password) else { return Ok(()) };
        let elsewhere = !self.is_in_the_environment(&place, secret);
        self.vault.change(|contents| {
            let history = contents.history_mut(secret);
            (history.accepted_at, history.refused, history.dead) = (Some(self.now.0), 0, None);
            if elsewhere && !contents.entries.iter().any(|entry| same(&entry.secret, secret)) {
                contents.store(Entry {
                    place: reach(&place, secret),
                    username: told.username.clone().filter(|name| !name.starts_with("x-")),
                    secret: secret.clone(),
                    added_at: self.now,
                });
            }
        })?;
        Ok(())
    }

    /// Notes that a host has refused a secret; what to tell the person at the terminal.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be written.
    pub fn erase(&self, told: &Description, ask: Ask<'_>) -> Result<Option<String>, HelperError> {
        let (Some(place), Some(secret)) = (Place::of(told), &told.password) else { return Ok(None) };
        let contents = self.vault.read()?;
        if !self.is_ours(&place, secret, &contents) {
            return Ok(None);
        }
        let history = contents.history(secret);
        drop(contents);
        let worked = history.accepted_at.is_some_and(|at| self.now.0 - at < LATELY.as_millis() as i64);
        let found = match (worked, &told.username) {
            (true, Some(username)) => ask(&place, username, secret),
            _ => Probe::Refused,
        };
        Ok(self.vault.change(|contents| {
            let history = contents.history_mut(secret);
            history.refused += 1;
            match found {
                Probe::Accepted => {
                    (history.accepted_at, history.refused) = (Some(self.now.0), 0);
                    Some(format!("{place} refused a valid credential once and takes it again; it is kept, try again"))
                }
                // Refusals that mean nothing come in bursts, so asking at once says little.
                Probe::Unknown | Probe::Refused if worked && history.refused < REFUSALS => Some(format!(
                    "{place} refused a credential that worked lately; it is kept, try again in half a minute"
                )),
                Probe::Unknown | Probe::Refused => {
                    let day = &self.now.to_string()[..10];
                    history.dead = Some(format!("the host refused it on {day}; store a new one in its place"));
                    Some(format!(
                        "{place} does not take this credential any more; it is not offered again until it is stored anew"
                    ))
                }
            }
        })?)
    }

    fn is_ours(&self, place: &Place, secret: &SecretString, contents: &Contents) -> bool {
        let stored = contents.entries.iter().any(|entry| entry.place.covers(place) && same(&entry.secret, secret));
        stored || self.is_in_the_environment(place, secret)
    }

    fn is_in_the_environment(&self, place: &Place, secret: &SecretString) -> bool {
        from_environment(place, self.environment).iter().any(|candidate| same(&candidate.entry.secret, secret))
    }
}

/// Where a secret that was typed for a place is of use: a repository's own token there alone.
fn reach(place: &Place, secret: &SecretString) -> Place {
    let kind = UnverifiedToken::parse(secret).ok().and_then(|token| token.kinds.iter().next());
    if kind.is_some_and(Kind::is_access_token) { place.clone() } else { place.whole_host() }
}

/// Whether two secrets are the same, in a time that does not depend on where they differ.
fn same(one: &SecretString, other: &SecretString) -> bool {
    UnverifiedToken::password(one).digest == UnverifiedToken::password(other).digest
}

/// What worked this long ago is tried once more before it is given up.
const LATELY: Duration = Duration::from_secs(30 * 86_400);
/// How often in a row a secret that worked lately may be refused before it is given up.
const REFUSALS: u32 = 3;
