//! What to do about something: a sentence for a person, or steps that a program can take.

use std::fmt;

use crate::Place;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Remedy {
    /// A person has to do it.
    Say(String),
    /// These steps, one after the other.
    Steps(Vec<Step>),
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Store the credential that git presents now, for this place.
    Store(Place),
    /// Store a new one.
    LogIn(Place),
    /// Make doorward git's helper for a host.
    SetUp(Place),
    /// Give a remote another address.
    SetUrl(String, String),
    /// Move a file from old credentials to the stored one.
    Migrate(Place, &'static str),
    /// Take a key out of git's configuration, in this scope: `global`, `local`.
    Unset(&'static str, String),
}

impl Remedy {
    /// What a person has to do.
    pub fn say(text: impl Into<String>) -> Self {
        Self::Say(text.into())
    }

    /// Whether nothing is to be done.
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Say(text) if text.is_empty())
    }
}

impl Step {
    /// The command, the program first; `doorward` is this one.
    pub fn command(&self) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        match self {
            Self::Store(place) => words(&["doorward", "credential", "add", &place.to_string()]),
            Self::LogIn(place) if place.is_bitbucket_cloud() => words(&["doorward", "login"]),
            Self::LogIn(place) => words(&["doorward", "login", &place.whole_host().to_string()]),
            Self::SetUp(place) if place.is_bitbucket_cloud() => words(&["doorward", "setup"]),
            Self::SetUp(place) => words(&["doorward", "setup", &place.whole_host().to_string()]),
            Self::SetUrl(remote, url) => words(&["git", "remote", "set-url", remote, url]),
            Self::Migrate(place, path) if place.is_bitbucket_cloud() => {
                words(&["doorward", "migrate", "--apply", path])
            }
            Self::Migrate(place, path) => {
                words(&["doorward", "migrate", "--apply", "--host", &place.whole_host().to_string(), path])
            }
            Self::Unset(scope, key) => words(&["git", "config", &format!("--{scope}"), "--unset-all", key]),
        }
    }
}

/// As a shell takes it: what it would read as something else stands between quotes.
impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let steps = match self {
            Self::Say(text) => return f.write_str(text),
            Self::Steps(steps) => steps,
        };
        for (number, step) in steps.iter().enumerate() {
            write!(f, "{}{step}", if number > 0 { " && " } else { "" })?;
        }
        Ok(())
    }
}

/// One command, as a shell takes it.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words: Vec<String> = self.command().iter().map(|word| quoted(word)).collect();
        f.write_str(&words.join(" "))
    }
}

fn quoted(word: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/:._@%+=-,~".contains(&byte);
    if !word.is_empty() && word.bytes().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_pasted_whatever_stands_in_an_address() {
        let place: Place = "https://git.example.org/a;rm/b$(x)'".parse().expect("a place");
        let remedy = Remedy::Steps(vec![
            Step::Store(place.clone()),
            Step::SetUrl("origin".into(), place.repository_url().expect("a repository")),
        ]);
        assert_eq!(
            remedy.to_string(),
            r"doorward credential add 'https://git.example.org/a;rm/b$(x)'\''' && git remote set-url origin 'https://git.example.org/a;rm/b$(x)'\''.git'"
        );
        assert_eq!(
            Remedy::Steps(vec![Step::LogIn("bitbucket.org".parse().expect("a place"))]).to_string(),
            "doorward login"
        );
    }
}
