//! Composer's `auth.json`: `{"http-basic": {"HOST": {"username": "…", "password": "…"}}}`.
//!
//! Read with a JSON parser, and its strings then found in the text, so that nothing else in the file moves.

use std::ops::Range;

use serde_json::Value;

/// The entry of one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Basic {
    /// The host.
    pub(super) host: String,
    /// Where the user name stands, between its quotes.
    pub(super) username: Range<usize>,
    /// Where the secret stands.
    pub(super) password: Range<usize>,
}

/// The entries of a file; none if it is not JSON of this shape.
pub(super) fn entries(text: &str) -> Vec<Basic> {
    let Ok(file) = serde_json::from_str::<Value>(text) else { return Vec::new() };
    let Some(hosts) = file["http-basic"].as_object() else { return Vec::new() };
    let section = text.find("\"http-basic\"").unwrap_or(0);
    let entry = |(host, entry): (&String, &Value)| {
        let (username, password) = (entry["username"].as_str()?, entry["password"].as_str()?);
        // What must be escaped in JSON stands otherwise in the text, and is left to a person.
        // The host as a name, and not as some value.
        let quoted = format!("\"{host}\"");
        let mut names = text[section..].match_indices(&quoted).map(|(at, name)| section + at + name.len());
        let from = names.find(|at| text[*at..].trim_start().starts_with(':'))?;
        let find = |name: &str, value: &str| {
            let name_at = from + text[from..].find(&format!("\"{name}\""))?;
            let quoted = format!("\"{value}\"");
            let start = name_at + name.len() + 2;
            let at = start + text[start..].find(&quoted)? + 1;
            text[start..at - 1].chars().all(|letter| letter.is_whitespace() || letter == ':').then_some(())?;
            Some(at..at + value.len())
        };
        Some(Basic { host: host.clone(), username: find("username", username)?, password: find("password", password)? })
    };
    hosts.iter().filter_map(entry).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_found_where_it_stands() {
        let text = r#"{"bitbucket-oauth": {"bitbucket.org": {"consumer-key": "k"}},
            "http-basic": {"h": {"password": "p", "username": "u"}, "bitbucket.org": {"username": "ada", "password": "ATBBx"}}}"#;
        let found = entries(text);
        let bitbucket = found.iter().find(|basic| basic.host == "bitbucket.org").expect("found");
        assert_eq!((&text[bitbucket.username.clone()], &text[bitbucket.password.clone()]), ("ada", "ATBBx"));
        assert_eq!(found.len(), 2);
        for odd in
            ["", "[]", r#"{"http-basic": 5}"#, r#"{"http-basic": {"h": {"username": "\u0061", "password": "b"}}}"#]
        {
            assert!(entries(odd).is_empty(), "{odd}");
        }
    }
}
