//! Addresses with a user name, and perhaps a secret, in them: found in any text, also where variables stand for either.

use std::ops::Range;

/// The part of an address before `@`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct UserPart {
    /// All of it, with the `@`.
    pub(super) whole: Range<usize>,
    /// The user name.
    pub(super) user: Range<usize>,
    /// The secret, if there is one.
    pub(super) secret: Option<Range<usize>>,
    /// The host, with its port.
    pub(super) host: Range<usize>,
    /// Where the path begins.
    pub(super) path: usize,
}

impl UserPart {
    /// All that are in a text, in their order.
    pub(super) fn all(text: &str) -> Vec<Self> {
        // `http`, `https`, `git+https`; SSH has keys and no secrets.
        let of_http =
            |at: &usize| text.as_bytes()[..*at].ends_with(b"http") || text.as_bytes()[..*at].ends_with(b"https");
        let starts = memchr::memmem::find_iter(text.as_bytes(), b"://").filter(of_http).map(|at| at + 3);
        let mut found: Vec<Self> = Vec::new();
        for start in starts {
            if found.last().is_none_or(|last| last.path <= start) {
                found.extend(Self::at(text, start));
            }
        }
        found
    }

    fn at(text: &str, start: usize) -> Option<Self> {
        let end = start + authority(&text[start..]);
        let at = start + text[start..end].rfind('@')?;
        let user = &text[start..at];
        let colon = outside_variables(user, ':').map(|colon| start + colon);
        Some(Self {
            whole: start..at + 1,
            user: start..colon.unwrap_or(at),
            secret: colon.map(|colon| colon + 1..at),
            host: at + 1..end,
            path: end,
        })
    }
}

/// Whether a text is, or has in it, the name of a variable in one of the ways in which shells and CI services write it.
pub(super) fn is_variable(text: &str) -> bool {
    text.contains('$') || (text.len() > 2 && text.starts_with('%') && text.ends_with('%'))
}

/// How long an authority is, at most as long as any is.
fn authority(text: &str) -> usize {
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(length) = variable(rest) {
            rest = &rest[length..];
        } else if next.is_whitespace() || next.is_control() || "/?#\"'`<>()[]{}|\\,;".contains(next) {
            break;
        } else {
            rest = &rest[next.len_utf8()..];
        }
        if text.len() - rest.len() > LONGEST {
            break;
        }
    }
    text.len() - rest.len()
}

/// How long a reference to a variable at the beginning of a text is, if there is one that is bracketed.
fn variable(text: &str) -> Option<usize> {
    let end = match text {
        _ if text.starts_with("${{") => "}}",
        _ if text.starts_with("${") => "}",
        _ if text.starts_with("$(") => ")",
        _ => return None,
    };
    let bytes = &text.as_bytes()[..text.len().min(VARIABLE)];
    let found = memchr::memmem::find(bytes, end.as_bytes())?;
    (!bytes[..found].contains(&b'\n')).then_some(found + end.len())
}

/// Where a letter first is, but not within the name of a variable.
fn outside_variables(text: &str, letter: char) -> Option<usize> {
    let mut at = 0;
    while let Some(next) = text[at..].chars().next() {
        if next == letter {
            return Some(at);
        }
        at += variable(&text[at..]).unwrap_or(next.len_utf8());
    }
    None
}

/// Longer than any reference to a variable.
const VARIABLE: usize = 256;
/// Longer than any user name with its secret.
const LONGEST: usize = 4096;

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> Vec<(&str, Option<&str>, &str)> {
        UserPart::all(text)
            .into_iter()
            .map(|part| (&text[part.user], part.secret.map(|secret| &text[secret]), &text[part.host]))
            .collect()
    }

    #[test]
    fn user_names_and_secrets_are_found_wherever_an_address_stands() {
        for (text, found) in [
            ("url = https://ada:s@bitbucket.org/a/b.git", ("ada", Some("s"), "bitbucket.org")),
            ("\"git+https://ada@bitbucket.org/a/b\"", ("ada", None, "bitbucket.org")),
            ("https://$USER:$APP@bitbucket.org", ("$USER", Some("$APP"), "bitbucket.org")),
            ("https://ada:${{ secrets.APP }}@bitbucket.org/a", ("ada", Some("${{ secrets.APP }}"), "bitbucket.org")),
            ("https://ada:${APP:-none}@h:8080/a", ("ada", Some("${APP:-none}"), "h:8080")),
            ("https://ada%40example.org:a:b@h", ("ada%40example.org", Some("a:b"), "h")),
        ] {
            assert_eq!(parts(text), [found], "{text}");
        }
        for text in ["https://bitbucket.org/a@b", "mail: ada@bitbucket.org", "https://a b@c", "x://", "https://${a"] {
            assert!(parts(text).is_empty(), "{text}: {:?}", parts(text));
        }
        assert_eq!(parts("https://a:b@c https://d:e@f/").len(), 2);
    }
}
