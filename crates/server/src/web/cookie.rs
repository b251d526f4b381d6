//! Cookies: the session of who has signed in, a visit by which the forms of who has not are known again, one by which a browser
//! that has signed in before is told from a stranger's, and one for a sign-in at a provider that was begun.
//!
//! With TLS their names begin with `__Host-`, so that no other host, and nobody on the way, can set them (RFC 6265bis §4.1.3.2).

use axum::http::header::COOKIE;
use axum::http::{HeaderMap, HeaderValue};
use doorward_rules::{Kind, Scheme};
use doorward_wire::{Authorization, Presentation, PresentedName, UnverifiedToken};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

/// The session that a request presents. What cannot be one is none: a browser sends whatever somebody has put there.
pub(crate) fn session(headers: &HeaderMap, secure: bool) -> Authorization {
    let Some(secret) = session_secret(headers, secure) else { return Authorization::Nothing };
    match UnverifiedToken::parse(&secret) {
        Ok(token) if token.kinds.contains(Kind::WebSession) => {
            Authorization::Token(Presentation { scheme: Scheme::Cookie, name: PresentedName::Empty, token })
        }
        _ => Authorization::Nothing,
    }
}

/// The secret of the session, be it one or not.
pub(super) fn session_secret(headers: &HeaderMap, secure: bool) -> Option<SecretString> {
    value(headers, SESSION, secure)
}

/// The visit that a request is part of.
pub(super) fn visit(headers: &HeaderMap, secure: bool) -> Option<SecretString> {
    value(headers, VISIT, secure).filter(|visit| {
        let visit = visit.expose_secret();
        visit.len() == VISIT_LENGTH && visit.bytes().all(|byte| byte.is_ascii_hexdigit())
    })
}

/// What tells that a browser has signed in before, be it true or not.
pub(super) fn browser(headers: &HeaderMap, secure: bool) -> Option<SecretString> {
    value(headers, BROWSER, secure)
}

/// A visit that begins.
pub(super) fn new_visit() -> SecretString {
    let mut bytes = [0; VISIT_LENGTH / 2];
    // Without randomness no form could be told from a forged one.
    getrandom::fill(&mut bytes).expect("the operating system gives random bytes");
    hex(&bytes).into()
}

/// What each form of a session or a visit sends back. It cannot be turned back into the cookie.
pub(super) fn form_token(cookie: &SecretString) -> SecretString {
    let mut hash = Sha256::new();
    hash.update("doorward form\0");
    hash.update(cookie.expose_secret());
    hex(&hash.finalize()).into()
}

/// What a form sends back as it stands on one page: it looks different on each, so that nobody finds it out by how well pages are
/// compressed.
pub(super) fn masked(form_token: &SecretString) -> SecretString {
    let bytes: Vec<u8> = bytes_of(form_token.expose_secret()).unwrap_or_default();
    let mut mask = vec![0; bytes.len()];
    getrandom::fill(&mut mask).expect("the operating system gives random bytes");
    let hidden: Vec<u8> = bytes.iter().zip(&mask).map(|(byte, mask)| byte ^ mask).collect();
    format!("{}{}", hex(&mask), hex(&hidden)).into()
}

/// What a form sends back, of what stood on a page.
pub(super) fn unmasked(masked: &str) -> Option<String> {
    let bytes = bytes_of(masked).filter(|bytes| bytes.len() == VISIT_LENGTH)?;
    let (mask, hidden) = bytes.split_at(VISIT_LENGTH / 2);
    Some(hex(&mask.iter().zip(hidden).map(|(mask, hidden)| mask ^ hidden).collect::<Vec<_>>()))
}

fn bytes_of(hex: &str) -> Option<Vec<u8>> {
    let digits = hex.as_bytes();
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let byte = |pair: &[u8]| Some((digit(*pair.first()?)? << 4 | digit(*pair.get(1)?)?) as u8);
    digits.len().is_multiple_of(2).then(|| digits.chunks(2).map(byte).collect())?
}

/// The secret of a sign-in at a provider that was begun in this browser.
pub(super) fn flow(headers: &HeaderMap, secure: bool) -> Option<SecretString> {
    value(headers, FLOW, secure)
}

/// Sets the session.
pub(super) fn set_session(secret: &SecretString, secure: bool) -> HeaderValue {
    set(SESSION, secret.expose_secret(), secure, "")
}

/// Takes the session away.
pub(super) fn end_session(secure: bool) -> HeaderValue {
    set(SESSION, "", secure, "; Max-Age=0")
}

/// Sets the visit.
pub(super) fn set_visit(visit: &SecretString, secure: bool) -> HeaderValue {
    set(VISIT, visit.expose_secret(), secure, "")
}

/// Says that a browser has signed in before, for a year.
pub(super) fn set_browser(known: &SecretString, secure: bool) -> HeaderValue {
    set(BROWSER, known.expose_secret(), secure, "; Max-Age=31536000")
}

/// Says that a sign-in at a provider was begun in this browser, for a quarter of an hour.
pub(super) fn set_flow(secret: &SecretString, secure: bool) -> HeaderValue {
    set(FLOW, secret.expose_secret(), secure, "; Max-Age=900")
}

/// Says that it is over.
pub(super) fn end_flow(secure: bool) -> HeaderValue {
    set(FLOW, "", secure, "; Max-Age=0")
}

/// Session and visit live no longer than the browser runs. A link from elsewhere brings the session along, so that it leads somewhere; a form
/// from elsewhere does not.
fn set(name: &str, value: &str, secure: bool, more: &str) -> HeaderValue {
    let (prefix, suffix) = if secure { (HOST_PREFIX, "; Secure") } else { ("", "") };
    let text = format!("{prefix}{name}={value}; Path=/; HttpOnly; SameSite=Lax{suffix}{more}");
    let mut value = HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""));
    value.set_sensitive(true);
    value
}

/// The value of a cookie. With TLS only one counts that no other host can have set, be it one of the same domain.
fn value(headers: &HeaderMap, name: &str, secure: bool) -> Option<SecretString> {
    let name = if secure { format!("{HOST_PREFIX}{name}") } else { name.to_owned() };
    let headers = headers.get_all(COOKIE).iter().filter_map(|header| header.to_str().ok());
    let mut cookies = headers.flat_map(|header| header.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let found = cookies.find(|(known, _)| *known == name);
    found.map(|(_, value)| value.to_owned()).filter(|value| !value.is_empty()).map(SecretString::from)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

const SESSION: &str = "doorward_session";
const VISIT: &str = "doorward_visit";
const BROWSER: &str = "doorward_browser";
const FLOW: &str = "doorward_flow";
const HOST_PREFIX: &str = "__Host-";
const VISIT_LENGTH: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn with(cookies: &[&'static str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for cookie in cookies {
            headers.append(COOKIE, HeaderValue::from_static(cookie));
        }
        headers
    }

    #[test]
    fn a_cookie_is_found_among_others_and_with_tls_none_that_another_host_can_have_set() {
        let read = |cookies: &[&'static str], secure| {
            session_secret(&with(cookies), secure).map(|secret| secret.expose_secret().to_owned())
        };
        let found = |cookies: &[&'static str]| read(cookies, false);
        assert_eq!(found(&["a=b; doorward_session=one"]).as_deref(), Some("one"));
        assert_eq!(found(&["a=b", "doorward_session=one;c=d"]).as_deref(), Some("one"));
        assert_eq!(read(&["doorward_session=one; __Host-doorward_session=two"], true).as_deref(), Some("two"));
        assert_eq!(read(&["doorward_session=one"], true), None);
        assert_eq!(found(&["xdoorward_session=one"]), None);
        assert_eq!(found(&["doorward_session="]), None);
    }

    #[test]
    fn what_a_form_sends_back_looks_different_each_time_and_is_the_same() {
        let token = form_token(&new_visit());
        let (one, two) = (masked(&token), masked(&token));
        assert_ne!(one.expose_secret(), two.expose_secret());
        for masked in [one, two] {
            assert!(!masked.expose_secret().contains(&token.expose_secret()[..8]));
            assert_eq!(unmasked(masked.expose_secret()).as_deref(), Some(token.expose_secret()));
        }
        for odd in ["", "0", "zz", token.expose_secret(), &"é".repeat(64)] {
            assert_eq!(unmasked(odd), None, "{odd}");
        }
    }

    #[test]
    fn what_is_no_session_is_none_and_neither_is_a_token_of_another_kind() {
        let mint = |kind| {
            let fill = |buffer: &mut [u8]| buffer.fill(7);
            doorward_wire::MintedToken::mint(kind, doorward_wire::TokenShape::Doorward, fill).secret
        };
        let read = |secret: &SecretString| {
            let mut headers = HeaderMap::new();
            let cookie = format!("doorward_session={}", secret.expose_secret());
            headers.insert(COOKIE, HeaderValue::from_str(&cookie).expect("a header"));
            session(&headers, false)
        };
        assert!(matches!(read(&mint(Kind::WebSession)), Authorization::Token(found) if found.scheme == Scheme::Cookie));
        assert_eq!(read(&mint(Kind::ApiToken)), Authorization::Nothing);
        assert_eq!(read(&"dws_nonsense".into()), Authorization::Nothing);
    }

    #[test]
    fn no_script_and_no_other_site_gets_a_cookie() {
        let secure = set_session(&"x".into(), true);
        assert_eq!(secure.to_str().expect("text"), "__Host-doorward_session=x; Path=/; HttpOnly; SameSite=Lax; Secure");
        assert!(secure.is_sensitive());
        assert_eq!(
            end_session(false).to_str().expect("text"),
            "doorward_session=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"
        );
    }
}
