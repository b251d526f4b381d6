//! `GIT_ASKPASS`: answers the one question that git puts as its argument.

use doorward_rules::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use thiserror::Error;

use crate::probe::{ANSWER_PLACE, ANSWER_PROOF, ANSWER_SECRET, ANSWER_USERNAME};
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
        place: Box<Place>,
        /// Why what there is cannot be used.
        because: String,
    },
    /// The vault cannot be used.
    #[error(transparent)]
    Vault(#[from] VaultError),
}

impl Prompt {
    /// Reads a question of git's. Git does not translate these two; anything else is no question of its.
    ///
    /// Versions of git before 2.48.1 do not encode what is odd in an address, so that a user part such as
    /// `bitbucket.org/` would look like a host here: whatever git would have to encode is refused.
    ///
    /// # Errors
    /// [`AskpassError::Prompt`] if it is none.
    pub fn parse(text: &str) -> Result<Self, AskpassError> {
        let error = || AskpassError::Prompt(doorward_wire::redact(text).chars().take(200).collect());
        let inner = text.trim_end().strip_suffix(':').and_then(|text| text.strip_suffix('\''));
        let (first, url) = match inner.and_then(|text| text.split_once(" for '")) {
            Some(("Username", url)) => (true, url),
            Some(("Password", url)) => (false, url),
            _ => return Err(error()),
        };
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~%:/@[]".contains(&byte);
        let (_, rest) = url.split_once("://").ok_or_else(error)?;
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        if !url.bytes().all(plain) || path.contains('@') || authority.matches('@').count() > 1 {
            return Err(error());
        }
        let place: Place = url.parse().map_err(|_| error())?;
        let user = authority
            .split_once('@')
            .map(|(user, _)| doorward_wire::percent_decoded(user))
            .filter(|user| !user.is_empty());
        Ok(if first { Self::Username(place) } else { Self::Password(place, user) })
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
    let (place, user) = match prompt {
        Prompt::Username(place) => (place, None),
        Prompt::Password(place, user) => (place, user.as_deref()),
    };
    // Asked by a probe of our own: about the one credential that is on trial, and for its own host alone.
    if let (Some(username), Some(secret)) = (environment(ANSWER_USERNAME), environment(ANSWER_SECRET)) {
        let meant = environment(ANSWER_PLACE).and_then(|place| place.parse::<Place>().ok());
        if meant.map(|meant| meant.whole_host()) != Some(place.whole_host()) {
            return Err(AskpassError::Nothing { place: Box::new(place.clone()), because: " on trial".into() });
        }
        return Ok(match prompt {
            Prompt::Username(_) => username.into(),
            Prompt::Password(..) => {
                environment(ANSWER_PROOF).map(|proof| std::fs::write(proof, ""));
                secret.into()
            }
        });
    }
    let from_environment = from_environment(place, environment);
    // A vault that cannot be used is no reason not to use what is in the environment.
    let contents = match vault.read() {
        Err(error) if from_environment.is_empty() => return Err(error.into()),
        contents => contents.unwrap_or_default(),
    };
    let choice = choose(place, from_environment, &contents, user, &|entry| vault.secret(entry), now);
    match (choice.chosen, prompt) {
        (Some(chosen), Prompt::Username(_)) => Ok(chosen.username.into()),
        (Some(chosen), Prompt::Password(..)) => Ok(chosen.secret.expose_secret().trim().into()),
        (None, _) => {
            let because =
                choice.passed.first().map_or(String::new(), |passed| format!(" that can be used ({})", passed.why));
            Err(AskpassError::Nothing { place: Box::new(place.clone()), because })
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
        assert_eq!(
            Prompt::parse("Password for 'https://ada%40example.org@bitbucket.org': ").ok(),
            Some(Prompt::Password(place("https://bitbucket.org"), Some("ada@example.org".into())))
        );
        for text in [
            "",
            "Benutzername für 'https://bitbucket.org': ",
            "Enter PIN for 'bitbucket.org': ",
            "Password for 'bitbucket.org': ",
            // Addresses whose host is not what it looks like.
            "Password for 'https://bitbucket.org'@evil.example': ",
            "Password for 'https://bitbucket.org/@evil.example': ",
            "Password for 'https://bitbucket.org@x@evil.example': ",
            "Password for 'https://bitbucket.org?@evil.example': ",
        ] {
            assert!(Prompt::parse(text).is_err(), "{text}");
        }
    }
}
