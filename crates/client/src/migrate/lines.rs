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
    /// Whether it is all that a variable is given: `NAME=secret`, perhaps between quotes.
    pub(super) is_value: bool,
}

/// `Basic` with a user name and a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Where its secret begins.
    pub(super) at: usize,
    /// What stands in it.
    pub(super) decoded: String,
}

/// Everything in a text that has the shape of an app password.
pub(super) fn secrets(text: &str) -> Vec<Secret> {
    let bytes = text.as_bytes();
    let found = memchr::memmem::find_iter(bytes, b"ATBB").filter_map(|start| {
        let word = bytes[start..].iter().take(LENGTH + 1).take_while(|byte| byte.is_ascii_alphanumeric()).count();
        let begins = start == 0 || !bytes[start - 1].is_ascii_alphanumeric();
        (begins && word == LENGTH).then(|| secret(text, start..start + word))
    });
    found.collect()
}

fn secret(text: &str, range: Range<usize>) -> Secret {
    let line = line_of(text, range.start);
    let (before, after) = (&text[line.start..range.start], text[range.end..line.end].trim_end_matches(['\r', '\n']));
    let quote = before.chars().last().filter(|letter| ['"', '\''].contains(letter));
    let name = before.strip_suffix(['"', '\'']).unwrap_or(before).strip_suffix('=').map(str::trim_start);
    let name = name.map(|name| name.strip_prefix("export ").unwrap_or(name).trim_start());
    let is_name =
        |name: &str| !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let rest = match quote {
        Some(quote) => after.strip_prefix(quote),
        None => Some(after),
    };
    let ends = rest.is_some_and(|rest| rest.trim_start().is_empty() || rest.trim_start().starts_with('#'));
    Secret { range, is_value: name.is_some_and(is_name) && ends }
}

/// Every `Basic …` in a text that can be read.
pub(super) fn headers(text: &str) -> Vec<Header> {
    let bytes = text.as_bytes();
    let found = memchr::memmem::find_iter(bytes, b"asic ").filter_map(|at| {
        let start = at + 5;
        Some(Header { at: start, decoded: pair(&bytes[start..])? })
    });
    found.collect()
}

/// A user name and a secret, or a secret alone, in base64, as npm's configuration has them.
pub(super) fn npm_secrets(text: &str) -> Vec<Header> {
    let found = ["_auth=", "_password="].iter().flat_map(|name| {
        memchr::memmem::find_iter(text.as_bytes(), name.as_bytes()).filter_map(move |at| {
            let start = at + name.len();
            let decoded = decode(text[start..].trim_start_matches('"').as_bytes())?;
            let decoded = if decoded.contains(':') { decoded } else { format!(":{decoded}") };
            Some(Header { at: start, decoded })
        })
    });
    found.collect()
}

fn pair(bytes: &[u8]) -> Option<String> {
    decode(bytes).filter(|text| text.contains(':'))
}

fn decode(bytes: &[u8]) -> Option<String> {
    let letter = |byte: &&u8| byte.is_ascii_alphanumeric() || b"+/=".contains(byte);
    let length = bytes.iter().take(LONGEST).take_while(letter).count();
    String::from_utf8(STANDARD.decode(&bytes[..length]).ok()?).ok()
}

/// Where a text sets `GIT_ASKPASS` to a program that answers with the question.
pub(super) fn echoing_askpass(text: &str) -> Vec<usize> {
    let found = memchr::memmem::find_iter(text.as_bytes(), b"GIT_ASKPASS").filter(|at| {
        let rest = text[at + "GIT_ASKPASS".len()..].trim_start_matches([' ', '=', ':', '"', '\'']);
        let letters = rest.chars().take(200).take_while(|letter| !letter.is_whitespace() && !"\"';".contains(*letter));
        echoes(&letters.collect::<String>())
    });
    found.collect()
}

/// The line around a place, with its end.
pub(super) fn line_of(text: &str, at: usize) -> Range<usize> {
    let bytes = text.as_bytes();
    let start = memchr::memrchr(b'\n', &bytes[..at]).map_or(0, |newline| newline + 1);
    let end = memchr::memchr(b'\n', &bytes[at..]).map_or(text.len(), |newline| at + newline + 1);
    start..end
}

/// How long an app password is.
const LENGTH: usize = 36;
/// Longer than any header with a user name and a secret.
const LONGEST: usize = 4096;
