//! `/site/oauth2/access_token` and `/site/oauth2/revoke`: what applications ask.

use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Response};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_rules::{OwnFault, Scopes};
use doorward_store::{Tokens, Worthless};
use secrecy::{ExposeSecret, SecretString};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use super::client::{self, Client};
use super::{OAuthError, answer_with, jwt};
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::rest::base;
use crate::rest::body::{is_form, not_a_form, read_bytes};
use crate::rest::page::Query;

/// `POST …/access_token`: tokens for a code, for a refresh token, for an application itself.
pub(super) async fn token(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Response<Body> {
    to_the_end(&app.clone(), async move {
        let (headers, form) = read(&app, request).await?;
        let tokens = give(&app, &context, &headers, &form).await?;
        Ok(answer(&tokens))
    })
    .await
}

/// `POST …/revoke`: ends what a token was given by. Of one that there is not, nothing is said (RFC 7009 §2.2).
pub(super) async fn revoke(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    request: Request,
) -> Response<Body> {
    to_the_end(&app.clone(), async move {
        let (headers, form) = read(&app, request).await?;
        let client = client::find(&app, &context, &headers, &form).await?;
        let token = needed(&form, "token")?;
        match app.store.revoke_by_token(&client.consumer, &token.into(), app.clock.now()).await? {
            Ok(()) => Ok(answer_with(&json!({}))),
            Err(_) => Err(OAuthError::new("invalid_grant", "this token was given to another application")),
        }
    })
    .await
}

/// What an application does not wait for is done all the same: a code or a refresh token is good once.
async fn to_the_end(
    app: &App,
    work: impl Future<Output = Result<Response<Body>, OAuthError>> + Send + 'static,
) -> Response<Body> {
    match app.tasks.spawn(work).await {
        Ok(done) => done.unwrap_or_else(|error| error.respond()),
        Err(error) => {
            tracing::error!(%error, "a token was not given for a mistake in this program");
            OAuthError::from(Refusal::unavailable(OwnFault::Bug)).respond()
        }
    }
}

async fn read(app: &App, request: Request) -> Result<(HeaderMap, Query), OAuthError> {
    let (parts, body) = request.into_parts();
    if !is_form(&parts.headers) {
        return Err(not_a_form().into());
    }
    let bytes = read_bytes(&parts.headers, body, app).await?;
    let form = Query::read(Some(&String::from_utf8_lossy(&bytes)));
    // What is there twice could be read in two ways (RFC 6749 §3.2).
    let twice = |name: &&&str| form.all(name).count() > 1;
    if let Some(name) = NAMES.iter().find(twice) {
        return Err(OAuthError::new("invalid_request", format!("`{name}` is there more than once")));
    }
    Ok((parts.headers, form))
}

async fn give(app: &App, context: &Context, headers: &HeaderMap, form: &Query) -> Result<Tokens, OAuthError> {
    let now = app.clock.now();
    let grant = needed(form, "grant_type")?;
    if grant == JWT_GRANT {
        let consumer = jwt::signer(app, headers, form, &base(app, headers)).await?;
        return Ok(app.store.grant_itself(&consumer, None, now).await?);
    }
    let Client { consumer, proven } = client::find(app, context, headers, form).await?;
    let given = match grant {
        "authorization_code" => {
            let code = SecretString::from(needed(form, "code")?);
            let (redirected, verifier) = (form.last("redirect_uri"), form.last("code_verifier"));
            let matches = |redirect: Option<&str>, challenge: Option<&str>| {
                // Where the browser was sent is said again, if it was said (RFC 6749 §4.1.3).
                let redirect = redirect.is_none_or(|redirect| redirected.is_some_and(|given| given == redirect));
                redirect && is_verifier(verifier, challenge) && (proven || challenge.is_some())
            };
            app.store.redeem_code(&consumer, &code, matches, now).await?
        }
        "refresh_token" => {
            let refresh = SecretString::from(needed(form, "refresh_token")?);
            app.store.refresh_grant(&consumer, &refresh, asked(form)?, now).await?
        }
        "client_credentials" if proven => {
            let asked = asked(form)?;
            if asked.is_some_and(|asked| !consumer.scopes.effective().contains_all(asked)) {
                return Err(refused(Worthless::Beyond, grant));
            }
            Ok(app.store.grant_itself(&consumer, asked, now).await?)
        }
        "client_credentials" => {
            let sentence = "an application that cannot keep a secret acts for people alone";
            return Err(OAuthError::new("unauthorized_client", sentence));
        }
        "password" => {
            let sentence = "applications are not to ask people for their passwords; use authorization_code";
            return Err(OAuthError::new("unsupported_grant_type", sentence));
        }
        _ => {
            let sentence =
                "it is none of authorization_code, refresh_token, client_credentials, urn:bitbucket:oauth2:jwt";
            return Err(OAuthError::new("unsupported_grant_type", sentence));
        }
    };
    given.map_err(|worthless| {
        // Whoever guesses is slowed down as who guesses secrets is.
        if worthless == Worthless::Unknown {
            let slowed = client::failed(app, context);
            if slowed.retry_after.is_some() {
                return slowed;
            }
        }
        app.metrics.refused("oauth_grant_worthless");
        refused(worthless, grant)
    })
}

fn refused(worthless: Worthless, grant: &str) -> OAuthError {
    let what = if grant == "refresh_token" { "refresh token" } else { "code" };
    let again = "send the person to the sign-in page again";
    let description = match worthless {
        Worthless::Unknown => format!("there is no such {what}, or it is another application's; {again}"),
        Worthless::Expired => format!("the {what} has expired; {again}"),
        Worthless::UsedBefore => format!(
            "the {what} was used before: whoever uses it a second time may have stolen it, so all that was given for it has \
             ended; {again}"
        ),
        Worthless::Ended => format!("what the {what} was given for was ended, or the account is disabled; {again}"),
        Worthless::Beyond => "more is asked for in `scope` than was granted; ask for less, or leave it out".into(),
        Worthless::Mismatch => {
            "`redirect_uri` or `code_verifier` is not what the code was asked for with; send the same as then".into()
        }
    };
    let error = if worthless == Worthless::Beyond { "invalid_scope" } else { "invalid_grant" };
    OAuthError::new(error, description)
}

/// The scopes that are asked for, if any are: fewer than were granted will do.
fn asked(form: &Query) -> Result<Option<Scopes>, OAuthError> {
    match form.last("scope").map(str::trim).filter(|scope| !scope.is_empty()) {
        None => Ok(None),
        Some(names) => {
            Scopes::parse(names).map(Some).map_err(|error| OAuthError::new("invalid_scope", error.to_string()))
        }
    }
}

/// Whether a verifier is the one of a challenge (RFC 7636 §4.6); without a challenge there must be none, lest somebody has taken
/// it out (RFC 9700 §4.8.2).
fn is_verifier(verifier: Option<&str>, challenge: Option<&str>) -> bool {
    match (verifier, challenge) {
        (None, None) => true,
        (Some(verifier), Some(challenge)) => {
            // There are clients whose verifiers have letters that RFC 7636 has not: git-credential-oauth's end in `=`.
            let fits = (43..=128).contains(&verifier.len());
            let made = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier));
            fits && bool::from(made.as_bytes().ct_eq(challenge.as_bytes()))
        }
        _ => false,
    }
}

fn answer(tokens: &Tokens) -> Response<Body> {
    let mut value = json!({
        "access_token": tokens.access.expose_secret(),
        "token_type": "bearer",
        "expires_in": tokens.lifetime.as_secs(),
        "scope": tokens.scopes.to_string(),
    });
    if let Some(refresh) = &tokens.refresh {
        value["refresh_token"] = refresh.expose_secret().into();
    }
    answer_with(&value)
}

fn needed<'a>(form: &'a Query, name: &str) -> Result<&'a str, OAuthError> {
    let value = form.last(name).filter(|value| !value.is_empty());
    value.ok_or_else(|| OAuthError::new("invalid_request", format!("`{name}` is not there")))
}

/// As Bitbucket Cloud calls it.
pub(super) const JWT_GRANT: &str = "urn:bitbucket:oauth2:jwt";
const NAMES: &[&str] = &[
    "grant_type",
    "code",
    "redirect_uri",
    "code_verifier",
    "refresh_token",
    "client_id",
    "client_secret",
    "assertion",
    "scope",
    "token",
    "token_type_hint",
];

#[cfg(test)]
mod tests {
    use super::is_verifier;

    #[test]
    fn a_verifier_is_the_one_of_its_challenge_alone() {
        // RFC 7636, appendix B.
        let (verifier, challenge) =
            ("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM");
        assert!(is_verifier(Some(verifier), Some(challenge)));
        assert!(is_verifier(None, None));
        assert!(!is_verifier(Some(verifier), None));
        assert!(!is_verifier(None, Some(challenge)));
        assert!(!is_verifier(Some(challenge), Some(challenge)));
        assert!(!is_verifier(Some(&verifier[..42]), Some(challenge)));
    }
}
