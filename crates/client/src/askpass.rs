//! `GIT_ASKPASS`: answers the one question that git puts as its argument.

use doorward_rules::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::probe::{ANSWER_SECRET, ANSWER_USERNAME};
use crate::{Environment, Place, Vault, VaultError, choose, from_environment};

/// What git asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Prompt {
    /// `Username for 'https://host': `
    Username(Place),
    /// `Password for 'https://user@host': `
    Password(Place, Option<String>),
}

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum AskpassError {
    /// Not a question of git's.
    #[error("`{0}` is no question of git's about a user name or password")]
    Prompt(String),
    /// There is nothing to answer with.
    #[error("there is no credential for {place}{because}; `doorward credential explain {place}` tells more")]
    Nothing {
        /// What was asked about.
        place: Place,
        /// Why what there is cannot be used.
        because: String,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Prompt {
    /// Reads a question of git's, in its English words: git runs askpass with the texts of its own language, so the
    /// address between quotes is what counts, and whether the question is the first or the second.
    ///
    /// # Errors
    /// [`AskpassError::Prompt`] if there is no address in it.
    pub fn parse(text: &str) -> Result<Self, AskpassError> {
        let error = || AskpassError::Prompt(doorward_wire::redact(text).chars().take(200).collect());
        let url = text.split('\'').nth(1).ok_or_else(error)?;
        let place: Place = url.parse().map_err(|_| error())?;
        let user = url
            .split_once("://")
            .and_then(|(_, rest)| rest.split('/').next()?.rsplit_once('@').map(|(user, _)| user.to_owned()));
        let user = user.filter(|user| !user.is_empty());
        if text.trim_start().to_ascii_lowercase().starts_with("username") {
            Ok(Self::Username(place))
        } else {
            Ok(Self::Password(place, user))
        }
    }
}

/// The answer to a question.
///
/// # Errors
/// [`AskpassError`] if there is none.
pub fn askpass(
    prompt: &Prompt,
    environment: Environment<'_>,
    vault: &Vault,
    now: Timestamp,
) -> Result<SecretString, AskpassError> {
    // Asked by a probe of our own: about the one credential that is on trial.
    if let (Some(username), Some(secret)) = (environment(ANSWER_USERNAME), environment(ANSWER_SECRET)) {
        return Ok(match prompt {
            Prompt::Username(_) => username.into(),
            Prompt::Password(..) => secret.into(),
        });
    }
    let (place, user) = match prompt {
        Prompt::Username(place) => (place, None),
        Prompt::Password(place, user) => (place, user.as_deref()),
    };
    let choice = choose(place, from_environment(place, environment), &vault.read()?, user, now);
    match (choice.chosen, prompt) {
        (Some(chosen), Prompt::Username(_)) => Ok(chosen.username.into()),
        (Some(chosen), Prompt::Password(..)) => Ok(chosen.secret.expose_secret().trim().into()),
        (None, _) => {
            let because =
                choice.passed.first().map_or(String::new(), |passed| format!(" that can be used ({})", passed.why));
            Err(AskpassError::Nothing { place: place.clone(), because })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Prompt;

    #[test]
    fn gits_questions_are_understood_and_others_are_not() {
        let place = |text: &str| text.parse().expect("a place");
        assert_eq!(
            Prompt::parse("Username for 'https://bitbucket.org': ").ok(),
            Some(Prompt::Username(place("https://bitbucket.org")))
        );
        assert_eq!(
            Prompt::parse("Password for 'https://ada@bitbucket.org/acme/site.git': ").ok(),
            Some(Prompt::Password(place("https://bitbucket.org/acme/site"), Some("ada".into())))
        );
        assert!(Prompt::parse("Enter passphrase for key '/home/ada/.ssh/id': ").is_err());
        assert!(Prompt::parse("").is_err());
    }
}
