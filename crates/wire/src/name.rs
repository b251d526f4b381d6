//! Names that people choose: of accounts, workspaces and repositories.
//!
//! All are folded to small letters, so that a URL in another spelling reaches the same repository.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A user name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AccountName(String);

/// An e-mail address. Only its form is checked: something, an `@`, something.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Email(String);

/// A workspace's name in URLs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkspaceSlug(String);

/// A repository's name in URLs, without `.git`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositorySlug(String);

/// A repository's full name: `workspace/slug`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RepositoryName {
    /// The workspace it is in.
    pub workspace: WorkspaceSlug,
    /// Its own name.
    pub slug: RepositorySlug,
}

/// A project's name in a workspace, in capital letters: `PROJ`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectKey(String);

/// A project's full name: `workspace/KEY`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProjectName {
    /// The workspace it is in.
    pub workspace: WorkspaceSlug,
    /// Its own name.
    pub key: ProjectKey,
}

/// A text that cannot be such a name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{given}` cannot be {what}: {rule}")]
pub struct NameError {
    given: String,
    what: &'static str,
    rule: &'static str,
}

/// Gives a name its parser, its text and its `FromStr`, from a rule that returns what is wrong.
macro_rules! name {
    ($type:ident, $what:literal, $check:expr) => {
        name!($type, $what, str::to_ascii_lowercase, $check);
    };
    ($type:ident, $what:literal, $fold:expr, $check:expr) => {
        impl FromStr for $type {
            type Err = NameError;

            fn from_str(given: &str) -> Result<Self, NameError> {
                let folded = $fold(given);
                let check: fn(&str) -> Option<&'static str> = $check;
                match check(&folded) {
                    None => Ok(Self(folded)),
                    Some(rule) => Err(NameError { given: given.chars().take(100).collect(), what: $what, rule }),
                }
            }
        }

        impl $type {
            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(AccountName, "a user name", |name| {
    let reserved = name.starts_with("x-token-") || name.starts_with("x-bitbucket-");
    slug_fault(name, b"._-").or(reserved.then_some("this name is kept for tokens"))
});
name!(Email, "an e-mail address", |address| {
    let parts =
        address.split_once('@').is_some_and(|(name, host)| !name.is_empty() && !host.is_empty() && !host.contains('@'));
    let printable = !address.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':');
    (!parts || !printable || address.len() > 254).then_some("it has the form `name@host`")
});
name!(WorkspaceSlug, "a workspace's name", |slug| {
    slug_fault(slug, b"_-").or(RESERVED.contains(&slug).then_some("this name is kept for the server's own pages"))
});
name!(RepositorySlug, "a repository's name", |slug| {
    slug_fault(slug, b"._-").or(slug.ends_with(".git").then_some("the ending .git is for URLs alone"))
});

name!(ProjectKey, "a project's key", str::to_ascii_uppercase, |key| {
    let letters = key.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
    let begins = key.bytes().next().is_some_and(|byte| byte.is_ascii_uppercase());
    (!letters || !begins || key.len() > 50)
        .then_some("it has 1 to 50 letters, digits and `_`, of which the first is a letter")
});

impl RepositoryName {
    /// The repository that two segments of a URL name; the second may end with `.git`.
    ///
    /// # Errors
    /// [`NameError`] if no repository can have this name.
    pub fn from_url(workspace: &str, slug: &str) -> Result<Self, NameError> {
        let slug = slug.strip_suffix(".git").unwrap_or(slug);
        Ok(Self { workspace: workspace.parse()?, slug: slug.parse()? })
    }
}

impl FromStr for RepositoryName {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        match given.split_once('/') {
            Some((workspace, slug)) => Self::from_url(workspace, slug),
            None => Err(NameError {
                given: given.chars().take(100).collect(),
                what: "a repository",
                rule: "it has the form `workspace/repository`",
            }),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.slug)
    }
}

impl FromStr for ProjectName {
    type Err = NameError;

    fn from_str(given: &str) -> Result<Self, NameError> {
        match given.split_once('/') {
            Some((workspace, key)) => Ok(Self { workspace: workspace.parse()?, key: key.parse()? }),
            None => Err(NameError {
                given: given.chars().take(100).collect(),
                what: "a project",
                rule: "it has the form `workspace/KEY`",
            }),
        }
    }
}

impl fmt::Display for ProjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.workspace, self.key)
    }
}

fn slug_fault(slug: &str, marks: &[u8]) -> Option<&'static str> {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let fits = slug.bytes().all(|byte| letter(byte) || marks.contains(&byte));
    let begins = slug.bytes().next().is_some_and(|byte| letter(byte) || byte == b'_');
    if slug.is_empty() || slug.len() > 62 {
        Some("it has 1 to 62 characters")
    } else if !fits {
        Some(if marks.contains(&b'.') {
            "it is made of letters, digits, `.`, `_` and `-`"
        } else {
            "it is made of letters, digits, `_` and `-`"
        })
    } else if !begins {
        Some("it begins with a letter, a digit or `_`")
    } else {
        None
    }
}

/// First segments of paths that are, or will be, the server's own.
const RESERVED: &[&str] =
    &["account", "api", "healthz", "login", "metrics", "readyz", "rest", "site", "static", "_sandbox"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folded_and_the_ending_of_a_url_is_dropped() {
        let name = RepositoryName::from_url("Acme", "Site.git").expect("a name");
        assert_eq!(name.to_string(), "acme/site");
        assert_eq!("acme/site".parse(), Ok(name));
    }

    #[test]
    fn nothing_that_could_leave_its_directory_or_confuse_a_log_is_a_name() {
        for slug in ["", ".", "..", ".git", "-x", "a/b", "a b", "a\nb", "a\0b", "ä", "a%2fb", "a.git", &"x".repeat(63)]
        {
            assert!(slug.parse::<RepositorySlug>().is_err(), "{slug:?}");
            assert!(format!("acme/{slug}").parse::<RepositoryName>().is_err() || slug == "a.git", "{slug:?}");
        }
        for slug in ["healthz", "api", "a.b", "_sandbox"] {
            assert!(slug.parse::<WorkspaceSlug>().is_err(), "{slug:?}");
        }
        for name in ["x-token-auth", "x-bitbucket-api-token-auth", "", "a:b"] {
            assert!(name.parse::<AccountName>().is_err(), "{name:?}");
        }
        for address in ["", "a", "@b", "a@", "a@b@c", "a b@c", "a:b@c"] {
            assert!(address.parse::<Email>().is_err(), "{address:?}");
        }
    }

    #[test]
    fn a_refused_name_says_what_it_should_be() {
        let error = "acme".parse::<RepositoryName>().expect_err("no slash").to_string();
        assert_eq!(error, "`acme` cannot be a repository: it has the form `workspace/repository`");
    }
}
