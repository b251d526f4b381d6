//! Secrets that come from the environment, as CI systems give them.

use doorward_rules::Timestamp;
use secrecy::SecretString;

use crate::choose::{Candidate, Source};
use crate::{Entry, Held, Place};

/// The environment: every variable, as text.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The secrets in the environment that may be given to a host.
///
/// - `DOORWARD_TOKEN_GIT_EXAMPLE_ORG`: for `git.example.org`; a dot and a colon are `_`, a hyphen is `__`.
/// - `BITBUCKET_API_TOKEN`: for Bitbucket Cloud, and no other host.
/// - `DOORWARD_TOKEN`: for the host that `DOORWARD_HOST` names. Without that it is given to nobody, since any host that a
///   repository names could ask for it.
pub fn from_environment(place: &Place, environment: Environment<'_>) -> Vec<Candidate> {
    let mut found = Vec::new();
    let mut add = |name: &str, username: Option<String>| {
        let Some(secret) = environment(name).filter(|secret| !secret.trim().is_empty()) else { return };
        let secret = SecretString::from(secret.trim().to_owned());
        let (place, held) = (place.whole_host(), Held::Here(secret));
        let entry = Entry { place, username, held, added_at: Timestamp(0), expires_at: None };
        found.push(Candidate { entry, source: Source::Environment(name.to_owned()) });
    };
    if let Some(host) = variable(place.host()) {
        add(&format!("DOORWARD_TOKEN_{host}"), environment("DOORWARD_USERNAME"));
    }
    if place.is_bitbucket_cloud() {
        add("BITBUCKET_API_TOKEN", environment("BITBUCKET_USERNAME"));
    }
    let named = environment("DOORWARD_HOST").and_then(|host| host.parse::<Place>().ok());
    if named.is_some_and(|named| named.host() == place.host()) {
        add("DOORWARD_TOKEN", environment("DOORWARD_USERNAME"));
    }
    found
}

/// A host as part of a variable's name; `None` for one that would have the name of another.
fn variable(host: &str) -> Option<String> {
    let letter = |c: char| match c {
        '.' | ':' => Some("_".to_owned()),
        '-' => Some("__".to_owned()),
        c if c.is_ascii_alphanumeric() => Some(c.to_ascii_uppercase().to_string()),
        _ => None,
    };
    host.chars().map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(place: &str, variables: &[(&str, &str)]) -> Vec<String> {
        let environment =
            |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let place = place.parse().expect("a place");
        from_environment(&place, &environment).into_iter().map(|candidate| candidate.source.to_string()).collect()
    }

    #[test]
    fn a_secret_is_for_the_host_that_it_was_set_for_and_for_no_other() {
        let all = [
            ("BITBUCKET_API_TOKEN", "a"),
            ("DOORWARD_TOKEN", "b"),
            ("DOORWARD_HOST", "git.example.org"),
            ("DOORWARD_TOKEN_127_0_0_1_7990", "c"),
        ];
        assert_eq!(names("https://bitbucket.org/acme/site", &all), ["the variable BITBUCKET_API_TOKEN"]);
        assert_eq!(names("https://git.example.org", &all), ["the variable DOORWARD_TOKEN"]);
        assert_eq!(names("http://127.0.0.1:7990", &all), ["the variable DOORWARD_TOKEN_127_0_0_1_7990"]);
        let hyphen = [("DOORWARD_TOKEN_GIT_EXAMPLE_ORG", "d")];
        assert!(
            names("https://git-example.org", &hyphen).is_empty()
                && names("https://git_example.org", &hyphen).is_empty()
        );
        assert_eq!(names("https://git-x.example", &[("DOORWARD_TOKEN_GIT__X_EXAMPLE", "e")]).len(), 1);
        assert!(names("https://evil.example", &all).is_empty());
        assert!(names("https://git.example.org", &all[..2]).is_empty(), "no host is named");
        assert!(names("https://bitbucket.org", &[("BITBUCKET_API_TOKEN", " ")]).is_empty());
    }
}
