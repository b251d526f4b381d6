//! Names of refs, as `git check-ref-format` allows them.

use std::fmt;

use thiserror::Error;

/// The full name of a ref below `refs/`, such as `refs/heads/main`. Bytes, since git does not ask for UTF-8.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RefName(Vec<u8>);

/// Why bytes are not the name of a ref that can be pushed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RefNameError {
    /// It does not begin with `refs/`.
    #[error("a ref's name begins with refs/, as in refs/heads/main or refs/tags/v1")]
    Place,
    /// Two slashes in a row, one at the end, or a component that begins with a dot or ends with `.lock`.
    #[error("a ref's name has a component that is empty, begins with a dot or ends with .lock")]
    Component,
    /// A byte or a sequence that git forbids.
    #[error("a ref's name has a space, a control character, or one of `~ ^ : ? * [ \\ .. @{{`, or ends with a dot")]
    Forbidden,
}

impl RefName {
    /// Reads the name of a ref that a push may touch.
    ///
    /// The rules are git's (git-check-ref-format, 1 to 10), and that it is below `refs/`. Git itself refuses to create
    /// `refs/x` without a second component, but lets it be deleted.
    ///
    /// # Errors
    /// [`RefNameError`], for the first rule that is broken.
    pub fn parse(name: &[u8]) -> Result<Self, RefNameError> {
        let rest = name.strip_prefix(b"refs/").ok_or(RefNameError::Place)?;
        let forbidden = |byte: &u8| *byte <= b' ' || *byte == 0x7f || b"~^:?*[\\".contains(byte);
        let pair = |pair: &[u8]| pair == b".." || pair == b"@{";
        if name.iter().any(forbidden) || name.windows(2).any(pair) || name.ends_with(b".") {
            return Err(RefNameError::Forbidden);
        }
        let bad = |part: &[u8]| part.is_empty() || part.starts_with(b".") || part.ends_with(b".lock");
        if rest.split(|byte| *byte == b'/').any(bad) {
            return Err(RefNameError::Component);
        }
        Ok(Self(name.to_vec()))
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// How many components the name has; `refs/heads/main` has three.
    pub fn depth(&self) -> usize {
        self.0.split(|byte| *byte == b'/').count()
    }
}

/// The name as text; what is not UTF-8 in it becomes `�`.
impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(&self.0))
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    const NAMES: &[&str] = &[
        "refs/heads/main",
        "refs/heads/a/b/c",
        "refs/heads/ünï",
        "refs/tags/v1.0",
        "refs/heads/-x",
        "refs/heads/@",
        "refs/heads/a..b",
        "refs/heads/.a",
        "refs/heads/a/.b",
        "refs/heads/a.lock",
        "refs/heads/a.lock/b",
        "refs/heads//a",
        "refs/heads/a/",
        "refs/heads/a b",
        "refs/heads/a~1",
        "refs/heads/a^",
        "refs/heads/a:b",
        "refs/heads/a?",
        "refs/heads/a*",
        "refs/heads/a[b",
        "refs/heads/a\\b",
        "refs/heads/a.",
        "refs/heads/a@{b",
        "refs/heads/a\u{7f}",
        "refs/heads/a\tb",
        "refs/heads/{",
        "refs/heads/a@b",
        "refs/heads/..",
        "refs/heads/../../x",
        "refs/heads/a.LOCK",
        "refs/notes/commits",
        "refs/stash",
        "refs/heads/a.b",
        "refs/heads/ ",
    ];

    #[test]
    fn git_agrees_about_every_name() {
        for name in NAMES {
            let git = Command::new("git").args(["check-ref-format", name]).status().expect("git runs").success();
            assert_eq!(RefName::parse(name.as_bytes()).is_ok(), git, "{name:?}");
        }
    }

    #[test]
    fn only_names_below_refs_can_be_pushed() {
        for name in ["HEAD", "refs", "", "heads/main", "REFS/heads/main", "/refs/heads/main"] {
            assert_eq!(RefName::parse(name.as_bytes()), Err(RefNameError::Place), "{name:?}");
        }
        assert_eq!(RefName::parse(b"refs/heads/a\0b"), Err(RefNameError::Forbidden));
        assert_eq!(RefName::parse(b"refs/heads/caf\xe9").map(|name| name.to_string()), Ok("refs/heads/caf�".into()));
    }
}
