//! The credential helper: `get`, `store`, `erase`, as git runs it.
//!
//! A secret that git wants erased is not thrown away on one refusal if it worked before: hosts refuse valid secrets now
//! and then, in bursts, and refuse a valid one for good where its owner has nothing to look for. It is tried once more;
//! what is really dead is remembered as such and never offered again.

use std::path::Path;
use std::time::Duration;

use doorward_rules::{Kind, Timestamp};
use doorward_wire::{Description, kind_by_looks};
use secrecy::SecretString;
use thiserror::Error;

use crate::choose::{Candidate, Choice, Chosen, Source};
use crate::vault::{History, fingerprint};
use crate::{Entry, Environment, Held, Keep, Passed, Place, Probe, Vault, VaultError, choose, from_environment};

/// What a helper works with.
pub struct Helper<'a> {
    /// What was named for this call; it comes before everything else.
    pub given: Option<Candidate>,
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
    pub fn get(&self, asked: &Description, ask: Ask<'_>) -> Result<(Option<Description>, Vec<String>), HelperError> {
        let Some(place) = Place::of(asked) else { return Ok((None, Vec::new())) };
        let mut choice = self.explain(&place, asked.username.as_deref())?;
        let mut notices = Vec::new();
        // A vault that cannot be written is no reason not to use what is in it.
        if let Some(chosen) = &choice.chosen
            && let Some(notice) = self.offer(&place, chosen, ask).ok().flatten()
        {
            notices.push(notice);
            // It may be dead now.
            choice = self.explain(&place, asked.username.as_deref())?;
        }
        let Some(chosen) = choice.chosen else {
            let notice = |passed: Passed| format!("{} for {} is not used: {}", passed.source, passed.place, passed.why);
            notices.extend(choice.passed.into_iter().map(notice));
            return Ok((None, notices));
        };
        let can = |what: &str| asked.capabilities.iter().any(|capability| capability == what);
        let named = |scheme: &str| asked.challenges.iter().any(|challenge| challenge == scheme);
        let bearer = can(AUTHTYPE) && named("bearer") && !named("basic");
        let mut answer = Description {
            protocol: asked.protocol.clone(),
            host: asked.host.clone(),
            path: asked.path.clone(),
            password_expiry_utc: chosen.expires_at.map(|at| at.0.div_euclid(1000)),
            ..Description::default()
        };
        if bearer {
            answer.capabilities.push(AUTHTYPE.into());
            (answer.authtype, answer.credential) = (Some("Bearer".into()), Some(chosen.secret));
        } else {
            (answer.username, answer.password) = (Some(chosen.username), Some(chosen.secret));
        }
        if can(STATE) {
            answer.capabilities.push(STATE.into());
            answer.state.push(format!("{OFFERED}{}", self.now.0));
        }
        Ok((Some(answer), notices))
    }

    /// Notes that a credential is offered. If nothing came of the last time, it may have been refused in a way that git
    /// does not tell its helpers of: then the host is asked, and what it says is returned.
    fn offer(&self, place: &Place, chosen: &Chosen, ask: Ask<'_>) -> Result<Option<String>, HelperError> {
        let fingerprint = fingerprint(&chosen.secret);
        let history = self.vault.read().unwrap_or_default().history(place, &fingerprint);
        let since = |at: Option<i64>| at.map(|at| self.now.0.saturating_sub(at));
        if matches!(chosen.source, Source::Environment(_) | Source::File(_))
            || since(history.accepted_at).is_some_and(|ago| ago < HOUR)
        {
            return Ok(None);
        }
        let found = match since(history.offered_at) {
            Some(ago) if ago >= UNANSWERED => Some(ask(place, &chosen.username, &chosen.secret)),
            Some(_) => return Ok(None),
            None => None,
        };
        let worked = history.accepted_at.is_some();
        Ok(self.vault.change(|contents| {
            let history = contents.history_mut(place, &fingerprint);
            history.offered_at = Some(self.now.0);
            found.and_then(|found| history.found(place, found, worked, self.now))
        })?)
    }

    /// What would be used for a place, and why.
    ///
    /// # Errors
    /// [`HelperError`] if the vault cannot be opened and there is nothing else.
    pub fn explain(&self, place: &Place, username: Option<&str>) -> Result<Choice, HelperError> {
        let environment = self.candidates(place);
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
        let (Some(place), Some(secret)) = (Place::of(told), secret_of(told)) else { return Ok(()) };
        let elsewhere = !told.ephemeral && self.given_by(&place, secret).is_none();
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
        let Some(secret) = secret_of(told) else {
            let meant = |entry: &Entry| {
                entry.place.covers(&place) && (told.username.is_none() || entry.username == told.username)
            };
            self.vault.remove(meant)?;
            return Ok(None);
        };
        let contents = self.vault.read()?;
        if let Some(given) = self.given_by(&place, secret) {
            return Ok(Some(format!("{place} refused the credential in {given}; put another one there")));
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
        // A question that was asked before the host last said yes is no news.
        let asked_at = told.state.iter().find_map(|state| state.strip_prefix(OFFERED)?.parse::<i64>().ok());
        if asked_at.is_some_and(|at| history.accepted_at.is_some_and(|accepted| at < accepted)) {
            return Ok(Some(format!("{place} refused a credential that it has taken since; it is kept, try again")));
        }
        let worked = history.accepted_at.is_some_and(|at| self.now.0.saturating_sub(at) < LATELY);
        let found = match (worked, &told.username) {
            (true, Some(username)) => ask(&place, username, secret),
            _ => Probe::Refused,
        };
        Ok(self
            .vault
            .change(|contents| contents.history_mut(&place, &fingerprint).refused(&place, found, worked, self.now))?)
    }

    /// What comes before the vault: what was named for this call, and the environment.
    fn candidates(&self, place: &Place) -> Vec<Candidate> {
        let given = self.given.clone().filter(|given| given.entry.place.covers(place));
        given.into_iter().chain(from_environment(place, self.environment)).collect()
    }

    /// Where a secret came from, if not from the vault.
    fn given_by(&self, place: &Place, secret: &SecretString) -> Option<Source> {
        let found = self.candidates(place).into_iter().find(|one| one.entry.fingerprint() == fingerprint(secret));
        found.map(|candidate| candidate.source)
    }
}

impl History {
    fn accepted(&mut self, place: &Place, now: Timestamp) {
        self.places.retain(|known| known != place);
        self.places.push(place.clone());
        if self.places.len() > PLACES {
            self.places.remove(0);
        }
        (self.accepted_at, self.offered_at) = (Some(now.0), None);
        (self.refused, self.refused_at, self.dead) = (0, None, None);
    }

    /// Notes what a host says of a credential of which git has told nothing; what to tell about it.
    fn found(&mut self, place: &Place, found: Probe, worked: bool, now: Timestamp) -> Option<String> {
        let day = &now.to_string()[..10];
        match found {
            Probe::Unknown => None,
            Probe::Accepted => {
                self.accepted(place, now);
                None
            }
            Probe::Refused => self.refused(place, Probe::Refused, worked, now),
            Probe::Gone(told) => {
                self.dead = Some(format!("the host said on {day} that it is gone: {told}"));
                Some(format!("{place} has ended credentials of this kind: {told}"))
            }
            // It has never been of use, and is not by itself.
            Probe::Forbidden(told) if !worked && told.contains("scope") => {
                self.dead = Some(format!("the host said on {day}: {told}"));
                Some(format!("{place} knows this credential, and it may not do this: {told}"))
            }
            Probe::Forbidden(told) => Some(format!("{place} knows this credential, which is kept, and says: {told}")),
        }
    }

    /// Notes a refusal; what to tell about it.
    fn refused(&mut self, place: &Place, found: Probe, worked: bool, now: Timestamp) -> Option<String> {
        self.offered_at = None;
        if matches!(found, Probe::Gone(_) | Probe::Forbidden(_)) {
            return self.found(place, found, worked, now);
        }
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

/// The secret of a description, in whichever form it has it.
fn secret_of(description: &Description) -> Option<&SecretString> {
    description.password.as_ref().or(description.credential.as_ref())
}

/// Where a secret that was typed for a place is of use: a repository's own token there alone.
pub fn reach(place: &Place, secret: &SecretString) -> Place {
    if kind_by_looks(secret).is_some_and(Kind::is_access_token) { place.clone() } else { place.whole_host() }
}

/// What both sides can do: present a credential otherwise than as Basic, and remember something about it.
const AUTHTYPE: &str = "authtype";
const STATE: &str = "state";
/// When a credential was offered, in milliseconds since 1970, as git is asked to tell again.
const OFFERED: &str = "doorward.offered=";
/// What a host has taken within this time, in milliseconds, is not watched.
const HOUR: i64 = Duration::from_secs(3600).as_millis() as i64;
/// When nothing has come of an offer for this long, in milliseconds, nothing will.
const UNANSWERED: i64 = Duration::from_secs(60).as_millis() as i64;
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

    /// A helper with a vault of its own, at a time.
    fn with_helper<T>(vault: &Vault, now: Timestamp, work: impl FnOnce(&Helper<'_>) -> T) -> T {
        work(&Helper { given: None, environment: &|_| None, vault, program: Path::new("doorward"), now })
    }

    fn question(text: &str) -> Description {
        Description::read(text.as_bytes()).expect("a description")
    }

    fn stored(directory: &Path, secret: &str) -> Vault {
        let vault = Vault::new(Some(directory.to_owned()), None);
        let (place, held) = (place("https://git.example.org"), Held::Here(secret.into()));
        let entry = Entry { place, username: Some("ada".into()), held, added_at: at(0), expires_at: None };
        vault.store(entry, Keep::Anywhere).expect("stored");
        vault
    }

    const QUESTION: &str = "protocol=https\nhost=git.example.org\npath=a/b\n";

    #[test]
    fn what_git_does_not_tell_of_is_found_out_and_what_is_gone_is_not_offered_again() {
        let scratch = tempfile::tempdir().expect("a directory");
        let vault = stored(scratch.path(), "old");
        let nobody: Ask<'_> = &|_, _, _| panic!("nobody is asked");
        for seconds in [0, 5, 59] {
            let (answer, notices) =
                with_helper(&vault, at(seconds), |h| h.get(&question(QUESTION), nobody)).expect("got");
            assert!(answer.is_some() && notices.is_empty());
        }
        let gone: Ask<'_> = &|_, _, _| Probe::Gone("CHANGE-3222".into());
        let (answer, notices) = with_helper(&vault, at(61), |h| h.get(&question(QUESTION), gone)).expect("got");
        assert!(
            answer.is_none() && notices[0].contains("has ended credentials of this kind: CHANGE-3222"),
            "{notices:?}"
        );
        let (answer, notices) = with_helper(&vault, at(200), |h| h.get(&question(QUESTION), nobody)).expect("got");
        assert!(answer.is_none() && notices[0].contains("that it is gone"), "{notices:?}");
    }

    #[test]
    fn one_that_may_not_do_this_is_kept_if_it_ever_worked_and_an_answer_ends_the_watch() {
        let scratch = tempfile::tempdir().expect("a directory");
        let vault = stored(scratch.path(), "s");
        let nobody: Ask<'_> = &|_, _, _| panic!("nobody is asked");
        let told = question(&format!("{QUESTION}username=ada\npassword=s\n"));
        with_helper(&vault, at(0), |h| h.get(&question(QUESTION), nobody)).expect("got");
        with_helper(&vault, at(1), |h| h.store(&told)).expect("stored");
        with_helper(&vault, at(3000), |h| h.get(&question(QUESTION), nobody)).expect("got");
        with_helper(&vault, at(4000), |h| h.get(&question(QUESTION), nobody)).expect("got");
        let forbidden: Ask<'_> = &|_, _, _| Probe::Forbidden("it lacks a scope".into());
        let (answer, notices) = with_helper(&vault, at(5000), |h| h.get(&question(QUESTION), forbidden)).expect("got");
        assert!(answer.is_some() && notices[0].contains("which is kept"), "{notices:?}");
        // Not asked about again at once.
        with_helper(&vault, at(5010), |h| h.get(&question(QUESTION), nobody)).expect("got");
    }

    #[test]
    fn a_host_that_wants_bearer_gets_it_from_a_git_that_can_and_basic_otherwise() {
        let scratch = tempfile::tempdir().expect("a directory");
        let vault = stored(scratch.path(), "s");
        let get = |more: &str| {
            let asked = question(&format!("{QUESTION}{more}"));
            let (answer, _) = with_helper(&vault, at(0), |h| h.get(&asked, &|_, _, _| Probe::Unknown)).expect("got");
            let mut written = Vec::new();
            answer.expect("an answer").write(&mut written).expect("written");
            String::from_utf8(written).expect("text")
        };
        let can = "capability[]=authtype\ncapability[]=state\n";
        let bearer = get(&format!("{can}wwwauth[]=Bearer realm=\"x\"\n"));
        assert!(bearer.contains("authtype=Bearer\ncredential=s\n") && bearer.contains("state[]=doorward.offered="));
        assert!(!bearer.contains("password="), "{bearer}");
        for basic in [get(can), get(&format!("{can}wwwauth[]=Bearer\nwwwauth[]=Basic\n")), get("wwwauth[]=Bearer\n")] {
            assert!(basic.contains("username=ada\npassword=s\n") && !basic.contains("credential="), "{basic}");
        }
        assert!(!get("").contains("capability"));
        let told = question(&format!("{QUESTION}authtype=Bearer\ncredential=s\n"));
        with_helper(&vault, at(1), |h| h.store(&told)).expect("stored");
        let contents = vault.read().expect("there");
        assert_eq!(
            contents.history(&place("https://git.example.org"), &fingerprint(&"s".into())).accepted_at,
            Some(at(1).0)
        );
    }

    #[test]
    fn a_refusal_of_a_question_that_is_older_than_the_last_yes_is_no_news() {
        let scratch = tempfile::tempdir().expect("a directory");
        let vault = stored(scratch.path(), "s");
        let told = format!("{QUESTION}username=ada\npassword=s\n");
        with_helper(&vault, at(10), |h| h.store(&question(&told))).expect("stored");
        let late = question(&format!("{told}capability[]=state\nstate[]=doorward.offered={}\n", at(9).0));
        let nobody: Ask<'_> = &|_, _, _| panic!("nobody is asked");
        let notice = with_helper(&vault, at(12), |h| h.erase(&late, nobody)).expect("done").expect("a notice");
        assert!(notice.contains("it has taken since"), "{notice}");
        let contents = vault.read().expect("there");
        assert_eq!(contents.history(&place("https://git.example.org"), &fingerprint(&"s".into())).refused, 0);
    }

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
