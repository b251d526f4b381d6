//! Masks secrets in text that is about to be logged or shown.

use std::borrow::Cow;

use crate::token::PREFIXES;

/// The text without its tokens and without the user part of its URLs.
///
/// For text that was made elsewhere: a requested path, what git wrote, an address that somebody typed. Text of our own
/// holds no secret in the first place, since secrets are types that cannot be printed.
pub fn redact(text: &str) -> Cow<'_, str> {
    if first_token(text).is_none() && !text.contains('@') {
        return Cow::Borrowed(text);
    }
    Cow::Owned(without_user_parts(&without_tokens(text)))
}

/// Where the prefix of the first token ends. Somebody may have folded it.
fn first_token(text: &str) -> Option<usize> {
    let prefix_at = |start: usize| {
        let found = |prefix: &&&str| {
            text.as_bytes()[start..]
                .get(..prefix.len())
                .is_some_and(|bytes| bytes.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        PREFIXES.iter().find(found).map(|prefix| start + prefix.len())
    };
    (0..text.len()).find_map(prefix_at)
}

fn without_tokens(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(end) = first_token(rest) {
        let secret = &rest[end..];
        let length = secret.find(|c: char| !c.is_ascii_alphanumeric() && !"_-=%".contains(c)).unwrap_or(secret.len());
        clean.push_str(&rest[..end]);
        clean.push_str(if length == 0 { "" } else { MASK });
        rest = &secret[length..];
    }
    clean + rest
}

/// Masks what stands between `://` and the last `@` before the path.
fn without_user_parts(text: &str) -> String {
    let mut clean = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("://").map(|start| start + 3) {
        let (before, after) = rest.split_at(start);
        let authority =
            after.find(|c: char| c == '/' || c.is_whitespace() || c == '\'' || c == '"').unwrap_or(after.len());
        clean.push_str(before);
        match after[..authority].rfind('@') {
            Some(at) => {
                clean.push_str(MASK);
                clean.push_str(&after[at..authority]);
            }
            None => clean.push_str(&after[..authority]),
        }
        rest = &after[authority..];
    }
    clean + rest
}

const MASK: &str = "***";

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn tokens_and_user_parts_are_masked_and_the_rest_stays() {
        for (text, clean) in [
            ("/acme/site.git/info/refs", "/acme/site.git/info/refs"),
            ("/dwa_7k2m9q4x1v3b_0123/x", "/dwa_***/x"),
            ("a dwa_1 ATBBabc= b ATATT3x", "a dwa_*** ATBB*** b ATATT***"),
            ("https://ada:p@ss@host/x y@z", "https://***@host/x y@z"),
            ("fatal: 'http://dwa_1@h/' and 'ftp://u@h'", "fatal: 'http://***@h/' and 'ftp://***@h'"),
            ("dwa_", "dwa_"),
            ("/atbbq3w9sz7xy2/x", "/atbb***/x"),
            ("mail ada@example.org", "mail ada@example.org"),
        ] {
            assert_eq!(redact(text), clean);
        }
    }
}
