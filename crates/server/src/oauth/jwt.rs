//! Statements that an application has signed with its secret (RFC 7519, HS256), in exchange for an access token, as Atlassian
//! Connect apps send them.

use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_rules::Timestamp;
use doorward_store::{Consumer, StoreError};
use ring::hmac;
use secrecy::ExposeSecret;
use serde::Deserialize;

use super::OAuthError;
use crate::app::App;
use crate::rest::page::Query;

#[derive(Deserialize)]
struct Header {
    alg: String,
    /// What must be understood (RFC 7515 §4.1.11), and is not.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    iss: String,
    exp: f64,
    #[serde(default)]
    nbf: Option<f64>,
    #[serde(default)]
    iat: Option<f64>,
    #[serde(default)]
    aud: Option<serde_json::Value>,
}

/// The application that has signed the statement in a request.
///
/// # Errors
/// `invalid_grant` that says what is wrong with it.
pub(super) async fn signer(app: &App, headers: &HeaderMap, form: &Query, issuer: &str) -> Result<Consumer, OAuthError> {
    let header = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("JWT "));
    let statement = header.or_else(|| form.last("assertion")).ok_or_else(|| {
        OAuthError::new(
            "invalid_request",
            "no statement is sent; send it as `Authorization: JWT ...`, or as `assertion`",
        )
    })?;
    let (signed, signature) = statement.trim().rsplit_once('.').ok_or_else(|| wrong("it has not three parts"))?;
    let (head, body) = signed.split_once('.').ok_or_else(|| wrong("it has not three parts"))?;
    let header: Header = part(head)?;
    // Whoever sends it must not choose how it is checked (RFC 8725 §3.1).
    if header.crit.is_some() {
        return Err(wrong("it has `crit`, and nothing that could be named there is understood here"));
    }
    if header.alg != "HS256" {
        return Err(wrong("it is not signed by HS256"));
    }
    let claims: Claims = part(body)?;
    let unknown = || wrong("`iss` is no application's key, or the signature is not made with that one's secret");
    let consumer = match app.store.consumer(&claims.iss).await {
        Err(StoreError::Missing { .. }) => return Err(unknown()),
        consumer => consumer?,
    };
    let secrets = app.store.consumer_secrets(&consumer.key, app.clock.now()).await?;
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| unknown())?;
    let proven = secrets.iter().any(|secret| {
        let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret());
        hmac::verify(&key, signed.as_bytes(), &signature).is_ok()
    });
    if !proven || consumer.revoked_at.is_some() || !consumer.private {
        return Err(unknown());
    }
    check(&claims, app.clock.now(), issuer, &consumer.key)?;
    Ok(consumer)
}

fn check(claims: &Claims, now: Timestamp, issuer: &str, key: &str) -> Result<(), OAuthError> {
    let now = now.0 as f64 / 1e3;
    // Who does not say for whom it is, says so for a shorter time.
    let (longest, told) = match claims.aud {
        Some(_) => (LONGEST, "it is good for more than an hour; let it end sooner"),
        None => (
            LONGEST_FOR_ANYBODY,
            "it is good for more than five minutes; let it end sooner, or name this server as `aud`",
        ),
    };
    if claims.exp <= now - LEEWAY {
        return Err(wrong("it has expired; is the clock right where it is made?"));
    }
    if claims.exp > now + longest + LEEWAY {
        return Err(wrong(told));
    }
    if claims.nbf.into_iter().chain(claims.iat).any(|from| from > now + LEEWAY) {
        return Err(wrong("it is of later than now; is the clock right where it is made?"));
    }
    let is_ours = |audience: &str| audience.trim_end_matches('/') == issuer || audience == key;
    let for_us = match &claims.aud {
        None => true,
        Some(serde_json::Value::String(audience)) => is_ours(audience),
        Some(serde_json::Value::Array(all)) => all.iter().filter_map(|one| one.as_str()).any(is_ours),
        Some(_) => false,
    };
    if for_us { Ok(()) } else { Err(wrong("it is for somebody else: `aud` is not this server")) }
}

fn part<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, OAuthError> {
    let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| wrong("a part of it is not base 64 for addresses"))?;
    serde_json::from_slice(&bytes)
        .map_err(|_| wrong("a part of it is not what it should be: `alg`, and `iss` with `exp`"))
}

fn wrong(why: &str) -> OAuthError {
    OAuthError::new("invalid_grant", format!("the signed statement cannot be taken: {why}"))
}

/// Seconds that clocks may differ, and that a statement may be good for.
const LEEWAY: f64 = 60.0;
const LONGEST: f64 = 3600.0;
const LONGEST_FOR_ANYBODY: f64 = 300.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_good_for_an_hour_at_most_and_for_us_alone() {
        let claims = |change: &dyn Fn(&mut Claims)| {
            let mut claims = Claims { iss: "key".into(), exp: 1_000_300.5, nbf: None, iat: None, aud: None };
            change(&mut claims);
            check(&claims, Timestamp(1_000_000_000), "https://git.example", "key").map_err(|error| error.description)
        };
        assert_eq!(claims(&|_| ()), Ok(()));
        assert_eq!(claims(&|claims| claims.aud = Some("https://git.example/".into())), Ok(()));
        assert_eq!(claims(&|claims| claims.aud = Some(serde_json::json!(["x", "key"]))), Ok(()));
        assert!(claims(&|claims| claims.exp = 999_900.0).is_err_and(|why| why.contains("expired")));
        assert!(claims(&|claims| claims.exp = 1e300).is_err_and(|why| why.contains("five minutes")));
        assert!(claims(&|claims| claims.iat = Some(1_000_100.0)).is_err_and(|why| why.contains("later than now")));
        for other in [serde_json::json!("https://evil.example"), serde_json::json!([]), serde_json::json!({})] {
            assert!(claims(&|claims| claims.aud = Some(other.clone())).is_err_and(|why| why.contains("aud")));
        }
    }
}
