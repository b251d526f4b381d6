//! Which application it is that asks, and how it proves that (RFC 6749 §2.3).

use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use doorward_store::{Consumer, StoreError};
use doorward_wire::percent_decoded;
use secrecy::SecretString;

use super::OAuthError;
use crate::app::App;
use crate::context::Context;
use crate::rest::page::Query;

/// An application that has asked.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) consumer: Consumer,
    /// Whether it has told a secret that nobody else knows. That of a program on people's machines is everybody's.
    pub(super) proven: bool,
}

/// Finds out which application it is.
///
/// # Errors
/// `invalid_client` if it is none, or its secret is wrong.
pub(super) async fn find(
    app: &App,
    context: &Context,
    headers: &HeaderMap,
    form: &Query,
) -> Result<Client, OAuthError> {
    let (key, secret) = presented(headers, form)?;
    // What cannot be a key is not looked up.
    if key.len() > LONGEST_KEY || !key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Err(failed(app, context));
    }
    let Some(secret) = secret else {
        let consumer = match app.store.consumer(&key).await {
            Err(StoreError::Missing { .. }) => return Err(unknown()),
            consumer => consumer?,
        };
        // One that keeps a secret has to tell it.
        return match consumer.revoked_at.is_none() && !consumer.private {
            true => Ok(Client { consumer, proven: false }),
            false => Err(unknown()),
        };
    };
    match app.store.prove_consumer(&key, &secret, app.clock.now()).await? {
        Some(consumer) => Ok(Client { proven: consumer.private, consumer }),
        None => Err(failed(app, context)),
    }
}

/// Counts a secret that was wrong. A right one never waits: it has too many bits to be guessed.
pub(super) fn failed(app: &App, context: &Context) -> OAuthError {
    app.metrics.refused("oauth_client_unknown");
    match app.attempts.failed(context.at, context.address, None, app.settings.limits.failed_attempts) {
        None => unknown(),
        Some(wait) => OAuthError {
            status: StatusCode::TOO_MANY_REQUESTS,
            retry_after: Some(wait.as_secs() + 1),
            ..OAuthError::new("temporarily_unavailable", "too many wrong keys, secrets or codes came from your address")
        },
    }
}

/// Key and secret, from the header or from the form, and not from both.
fn presented(headers: &HeaderMap, form: &Query) -> Result<(String, Option<SecretString>), OAuthError> {
    let basic = match headers.get(AUTHORIZATION).map(|value| value.to_str().unwrap_or_default()) {
        Some(header) if header.get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("basic ")) => {
            let unreadable =
                || OAuthError::new("invalid_request", "the header Authorization is not Basic key:secret in base 64");
            let decoded = STANDARD.decode(header[6..].trim()).map_err(|_| unreadable())?;
            let decoded = String::from_utf8(decoded).map_err(|_| unreadable())?;
            let (key, secret) = decoded.split_once(':').ok_or_else(unreadable)?;
            // Both are encoded as in a form before they are put together (RFC 6749 §2.3.1); nothing in ours is changed by that.
            Some((percent_decoded(key), percent_decoded(secret)))
        }
        _ => None,
    };
    let in_form = form.last("client_id").filter(|key| !key.is_empty());
    let secret_in_form = form.last("client_secret").filter(|secret| !secret.is_empty());
    match (basic, in_form, secret_in_form) {
        (Some(_), _, Some(_)) => {
            Err(OAuthError::new("invalid_request", "the secret is sent in two ways; send it in one"))
        }
        (Some((key, _)), Some(other), _) if key != other => {
            Err(OAuthError::new("invalid_request", "two different keys are sent; send one"))
        }
        (Some((key, secret)), ..) if secret.is_empty() => Ok((key, None)),
        (Some((key, secret)), ..) => Ok((key, Some(secret.into()))),
        (None, Some(key), secret) => Ok((key.to_owned(), secret.map(SecretString::from))),
        (None, None, _) => {
            let sentence =
                "no application is named; send its key and secret as Basic, or as client_id and client_secret";
            Err(OAuthError { status: StatusCode::UNAUTHORIZED, ..OAuthError::new("invalid_client", sentence) })
        }
    }
}

fn unknown() -> OAuthError {
    let sentence = "there is no application with this key and this secret; both stand in the workspace's settings, under OAuth \
                    consumers";
    OAuthError { status: StatusCode::UNAUTHORIZED, ..OAuthError::new("invalid_client", sentence) }
}

/// Letters of a key.
const LONGEST_KEY: usize = 64;
