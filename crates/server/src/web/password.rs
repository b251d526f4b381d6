//! People's passwords: Argon2id, computed off the threads that answer requests, a few at a time.

use std::sync::Arc;
use std::time::Duration;

use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use axum::http::StatusCode;
use doorward_rules::OwnFault;
use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use zxcvbn::{Score, zxcvbn};

use crate::refusal::Refusal;

/// Where passwords are hashed.
#[derive(Debug, Clone)]
pub(crate) struct Passwords {
    places: Arc<Semaphore>,
}

impl Passwords {
    pub(crate) fn new() -> Self {
        Self { places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Whether a password is the one of a hash; without one it is not, and that takes as long.
    pub(crate) async fn is(&self, password: &SecretString, stored: Option<&str>) -> Result<bool, Refusal> {
        let (password, there) = (password.clone(), stored.is_some());
        let stored = stored.unwrap_or(NOBODYS).to_owned();
        let is = self.work(move || {
            let stored = PasswordHash::new(&stored).map_err(|error| error.to_string())?;
            Ok(argon2().verify_password(password.expose_secret().as_bytes(), &stored).is_ok())
        });
        Ok(is.await? && there)
    }

    /// The hash of a password, to be stored.
    pub(crate) async fn hash(&self, password: &SecretString) -> Result<String, Refusal> {
        let password = password.clone();
        self.work(move || {
            let mut salt = [0; 16];
            getrandom::fill(&mut salt).map_err(|error| error.to_string())?;
            let salt = SaltString::encode_b64(&salt).map_err(|error| error.to_string())?;
            hash(&password, &salt)
        })
        .await
    }

    async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, String> + Send + 'static,
    ) -> Result<T, Refusal> {
        let busy = |_| Refusal::unavailable(OwnFault::Busy);
        let place =
            timeout(PATIENCE, self.places.clone().acquire_owned()).await.map_err(|late| busy(late.to_string()))?;
        let place = place.map_err(|closed| busy(closed.to_string()))?;
        let done = tokio::task::spawn_blocking(move || {
            let done = work();
            drop(place);
            done
        });
        done.await.map_err(|error| error.to_string()).and_then(|done| done).map_err(|error| {
            tracing::error!(error, "a password cannot be hashed");
            Refusal::unavailable(OwnFault::Bug)
        })
    }
}

/// A password that somebody has chosen, told twice.
///
/// # Errors
/// A refusal that says what is wrong with it (OWASP ASVS 2.1).
pub(super) fn chosen(password: &str, again: &str, names: &[&str]) -> Result<SecretString, Refusal> {
    let wrong = |sentence: &str, remedy: &str| {
        Err(Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, "password_unfit", sentence, remedy))
    };
    let letters = password.chars().count();
    if password != again {
        return wrong("the two are not the same", "type it in again, both times");
    }
    if letters < SHORTEST {
        return wrong("it has fewer than 12 characters", "take a longer one; a sentence is fine");
    }
    if letters > LONGEST {
        return wrong("it has more than 128 characters", "take a shorter one");
    }
    // What is known of the account is tried first; the parts of an address are known as well.
    let known: Vec<&str> = names
        .iter()
        .flat_map(|name| name.split('@'))
        .chain(["doorward", "bitbucket", "correcthorsebatterystaple"])
        .collect();
    // It takes the square of their number, and so many are enough to tell.
    let beginning: String = password.chars().take(64).collect();
    let strength = zxcvbn(&beginning, &known);
    if strength.score() < Score::Three {
        let guessed = strength.crack_times().offline_slow_hashing_1e4_per_second();
        let why = strength.feedback().and_then(|feedback| feedback.warning()).map(|why| format!(": {why}"));
        let why = why.unwrap_or_default().trim_end_matches('.').to_owned();
        return Err(Refusal::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "password_unfit",
            format!("somebody who had stolen its hash would guess it in {guessed}{why}"),
            "take four words that have nothing to do with each other",
        ));
    }
    Ok(password.to_owned().into())
}

fn hash(password: &SecretString, salt: &SaltString) -> Result<String, String> {
    let hash = argon2().hash_password(password.expose_secret().as_bytes(), salt);
    hash.map(|hash| hash.to_string()).map_err(|error| error.to_string())
}

/// Argon2id as OWASP recommends it: 19 MiB, two passes, one lane.
fn argon2() -> Argon2<'static> {
    let params = Params::new(19 * 1024, 2, 1, None).unwrap_or_default();
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The hash of nobody's password, at the cost of all others: it is checked for names that there are not, so that it takes as long.
const NOBODYS: &str =
    "$argon2id$v=19$m=19456,t=2,p=1$BwcHBwcHBwcHBwcHBwcHBw$AcGZB3iwKMJ7NNTKTZRPHwsZtT2B228ubflUAAEvltA";
/// How many are computed at a time, each in some 20 MiB.
const PLACES: usize = 2;
/// How long one waits for a place.
const PATIENCE: Duration = Duration::from_secs(10);
const SHORTEST: usize = 12;
const LONGEST: usize = 128;

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_is_known_again_and_no_other_is() {
        let passwords = Passwords::new();
        let (right, wrong) = ("a sentence that nobody knows".into(), "a sentence that somebody knows".into());
        let hash = passwords.hash(&right).await.expect("hashed");
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(passwords.is(&right, Some(&hash)).await.expect("checked"));
        assert!(!passwords.is(&wrong, Some(&hash)).await.expect("checked"));
        assert!(!passwords.is(&"nobody".into(), None).await.expect("checked"));
        // What is checked where there is nothing to check costs as much, and is a hash.
        assert!(passwords.is(&"nobody".into(), Some(NOBODYS)).await.expect("checked"));
        assert_eq!(NOBODYS.rsplit_once('$').map(|(head, _)| &head[..31]), hash.get(..31));
    }

    #[test]
    fn a_password_that_would_be_guessed_is_refused_and_says_why() {
        let told = |password: &str| chosen(password, password, &["ada"]).map(drop).map_err(|refusal| refusal.sentence);
        assert!(told("short").is_err_and(|why| why.contains("fewer than 12")));
        assert!(told(&"x".repeat(129)).is_err_and(|why| why.contains("more than 128")));
        for guessed in [
            "password1234",
            "aaaaaaaaaaaaaaa",
            "qwertyuiop12",
            "121212121212",
            "iloveyouforever",
            "P@ssw0rd2026!",
            "ada.lovelace1815",
            "correcthorsebatterystaple",
        ] {
            let told = chosen(guessed, guessed, &["ada", "ada.lovelace@example.org"]).map(drop);
            assert!(told.is_err_and(|refusal| refusal.sentence.contains("would guess it in")), "{guessed}");
        }
        assert!(chosen("a sentence that", "a sentence This", &[]).is_err());
        for fine in ["a sentence that nobody knows", "päßwört-mit-ümläüten", "x9!kQ2#mB7$w"] {
            assert!(told(fine).is_ok(), "{fine}");
        }
    }
}
