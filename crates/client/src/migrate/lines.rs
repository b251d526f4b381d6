//! Secrets that do not stand in an address: by their own shape, in a header, or named by a variable.

use std::ops::Range;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::doctor::echoes;

/// An app password by its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Secret {
    /// Where it stands.
    pub(super) range: Range<usize>,
    /// The user name before it, if there is one with a colon between.
    pub(super) user: Option<Range<usize>>,
    /// Whether its line is about REST.
    pub(super) for_rest: bool,
}

/// A header with a user name and a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Where its secret begins.
    pub(super) at: usize,
    /// Its whole line.
    pub(super) line: Range<usize>,
    /// What stands in it.
    pub(super) decoded: String,
}

/// Everything in a text that has the shape of an app password.
pub(super) fn secrets(text: &str) -> Vec<Secret> {
    let bytes = text.as_bytes();
    let found = memchr::memmem::find_iter(bytes, b"ATBB").filter_map(|start| {
        let word = bytes[start..].iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let begins = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
        (begins && word == LENGTH).then(|| secret(text, start..start + word))
    });
    found.collect()
}

fn secret(text: &str, range: Range<usize>) -> Secret {
    let line = line_of(text, range.start);
    let before = &text[line.start..range.start];
    let user = before.strip_suffix(':').map(|before| {
        let length = before.chars().rev().take_while(|letter| !letter.is_whitespace() && !"\"'=:".contains(*letter));
        let length: usize = length.map(char::len_utf8).sum();
        range.start - 1 - length..range.start - 1
    });
    let all = &text[line];
    let for_rest = all.contains("curl") || all.contains("api.bitbucket.org") || all.contains("/2.0/");
    Secret { range, user: user.filter(|user| !user.is_empty()), for_rest }
}

/// Every `Basic …` in a text that can be read.
pub(super) fn headers(text: &str) -> Vec<Header> {
    let bytes = text.as_bytes();
    let found = memchr::memmem::find_iter(bytes, b"asic ").filter_map(|at| {
        let start = at + 5;
        let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
        let length = bytes[start..].iter().take_while(letter).take(LONGEST).count();
        let decoded = STANDARD.decode(&bytes[start..start + length]).ok()?;
        let decoded = String::from_utf8(decoded).ok().filter(|text| text.contains(':'))?;
        Some(Header { at: start, line: line_of(text, start), decoded })
    });
    found.collect()
}

/// Where a text sets `GIT_ASKPASS` to a program that answers with the question.
pub(super) fn echoing_askpass(text: &str) -> Vec<usize> {
    let found = memchr::memmem::find_iter(text.as_bytes(), b"GIT_ASKPASS").filter(|at| {
        let rest = text[at + "GIT_ASKPASS".len()..].trim_start_matches([' ', '=', ':', '"', '\'']);
        let word: String =
            rest.chars().take_while(|letter| !letter.is_whitespace() && !"\"';".contains(*letter)).collect();
        echoes(&word)
    });
    found.collect()
}

/// Whether an odd number of single quotes stands before a place on its line.
pub(super) fn is_single_quoted(text: &str, at: usize) -> bool {
    let line = line_of(text, at);
    text[line.start..at].matches('\'').count() % 2 == 1
}

/// The line around a place, with its end.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let end = text[at..].find('\n').map_or(text.len(), |newline| at + newline + 1);
    start..end
}

/// How long an app password is.
const LENGTH: usize = 36;
/// Longer than any header with a user name and a secret.
const LONGEST: usize = 4096;
