//! How Bitbucket Cloud words its refusals: status, headers and body, on git and on REST.
//!
//! Taken from its documentation where that says something, and otherwise from what its users and the clients' own
//! sources quote. One text stands for many causes there; the causes are the kernel's, the texts are its.

use doorward_rules::{
    Ask, Calendar, Fault, Kind, Object, Phase, Reason, Scheme, Scope, Scopes, Surface, Timestamp, Vocabulary,
};
use serde_json::{Value, json};

/// One answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The media type of the body.
    pub content_type: &'static str,
    /// The value of `WWW-Authenticate`, if it has one.
    pub challenge: Option<&'static str>,
    /// The body.
    pub body: String,
}

/// What a caller presented, as far as the answer depends on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    /// The scheme, if it presented anything.
    pub scheme: Option<Scheme>,
    /// The kind that its secret is of, or looks like.
    pub kind: Option<Kind>,
}

/// The answer to a question that was refused for a reason.
pub fn refusal(reason: &Reason, ask: &Ask, caller: Caller, calendar: &Calendar, now: Timestamp) -> Answer {
    // Whatever looks like an app password is answered as one, known or not.
    let phase = calendar.phase(Kind::AppPassword, now);
    let gone = matches!(phase, Phase::Brownout { .. } | Phase::Retired { .. });
    if caller.kind == Some(Kind::AppPassword) && gone {
        return app_password_gone(ask.surface);
    }
    match ask.surface {
        Surface::Rest | Surface::Web => rest(reason, ask, caller),
        Surface::Git | Surface::Lfs => git(reason),
    }
}

/// The answer for an operation that was removed, under the number of its announcement.
pub fn removed(change: &str) -> Answer {
    let url = format!("https://developer.atlassian.com/cloud/bitbucket/changelog#{change}");
    let data = json!({ "announcement_url": url });
    let error = json!({
        "message": format!("{change} - Functionality has been deprecated"),
        "detail": "Please read the changelog entry for more details.",
        "data": data,
    });
    Answer::json(410, &json!({ "type": "error", "error": error, "data": data }))
}

/// The answer for an operation that there is not.
pub fn no_api() -> Answer {
    Answer::json(404, &envelope("Resource not found", Some(json!("There is no API hosted at this URL"))))
}

/// The answer for more requests in an hour than there may be.
pub fn rate_limited(surface: Surface) -> Answer {
    match surface {
        Surface::Rest | Surface::Web => Answer::json(429, &envelope(RATE_LIMIT, None)),
        Surface::Git | Surface::Lfs => Answer::text(429, RATE_LIMIT),
    }
}

/// The answer that a valid credential gets now and then: the one for a wrong secret.
pub fn spurious() -> Answer {
    git(&Reason::Unknown)
}

fn git(reason: &Reason) -> Answer {
    match reason {
        Reason::KindRetired { kind: Kind::AccountPassword, .. } => {
            Answer { challenge: Some(BASIC), ..Answer::text(401, &account_password_ended("Git")) }
        }
        Reason::ScopeMissing { .. } => Answer::text(403, SCOPE),
        Reason::AddressForbidden { .. } => Answer::text(403, ADDRESS),
        Reason::TwoStepRequired => Answer::text(403, TWO_STEP),
        Reason::RepositoryInvisible | Reason::PrivilegeMissing { .. } => Answer::text(403, NO_PERMISSION),
        _ => Answer { challenge: Some(BASIC), ..Answer::text(401, NO_ACCESS) },
    }
}

fn rest(reason: &Reason, ask: &Ask, caller: Caller) -> Answer {
    match reason {
        Reason::KindRetired { kind: Kind::AccountPassword, .. } => {
            Answer { challenge: Some(BASIC), ..Answer::text(401, &account_password_ended("API")) }
        }
        Reason::Unscoped => {
            let body = json!({ "error": "API Token provided has no Bitbucket scopes." });
            Answer { challenge: Some(BASIC), ..Answer::json(401, &body) }
        }
        Reason::Expired { .. } if caller.kind == Some(Kind::OAuthToken) => {
            let message = "Access token expired. Use your refresh token to obtain a new access token.";
            Answer { challenge: Some(CUSTOM), ..Answer::json(401, &envelope(message, None)) }
        }
        Reason::ScopeMissing { action, granted } => {
            let detail = json!({ "required": names(action.scopes(), caller.kind), "granted": granted.names() });
            Answer::json(403, &envelope(SCOPE, Some(detail)))
        }
        Reason::NoAccount { .. } => {
            let message = "This resource does not support authentication using the provided token";
            Answer::json(403, &envelope(message, None))
        }
        Reason::PrivilegeMissing { .. } => Answer::json(403, &envelope("Forbidden", None)),
        Reason::AddressForbidden { .. } => Answer::json(403, &envelope(ADDRESS, None)),
        Reason::TwoStepRequired => Answer::json(403, &envelope(TWO_STEP, None)),
        Reason::WorkspaceInvisible => Answer::json(404, &envelope(NO_WORKSPACE, None)),
        Reason::RepositoryInvisible | Reason::LimitedElsewhere { .. } => Answer::json(404, &envelope(NO_ACCESS, None)),
        // Who presents nothing is not asked for anything: a private repository is not there, nor a workspace that has none
        // but such.
        Reason::NothingPresented if ask.action.object() == Object::Workspace => {
            Answer::json(404, &envelope(NO_WORKSPACE, None))
        }
        Reason::NothingPresented if ask.action.object() == Object::Repository => {
            Answer::json(404, &envelope(NO_ACCESS, None))
        }
        _ if caller.scheme == Some(Scheme::Bearer) => {
            let message = "Token is invalid, expired, or not supported for this endpoint.";
            Answer { challenge: Some(CUSTOM), ..Answer::json(401, &envelope(message, None)) }
        }
        // An API token beside a user name instead of an e-mail is answered without a word.
        _ if caller.kind == Some(Kind::ApiToken) || caller.scheme.is_none() => {
            Answer { challenge: Some(BASIC), ..Answer::text(401, "") }
        }
        _ => Answer { challenge: Some(BASIC), ..Answer::text(401, LOGIN_FAILED) },
    }
}

/// Git is told 410 with the text of the announcement; REST 401 with the same sentence. The exact body of the latter is
/// not known; it has the shape of the other removals.
fn app_password_gone(surface: Surface) -> Answer {
    if matches!(surface, Surface::Git | Surface::Lfs) {
        return Answer::text(410, &format!("{CHANGE_3222}\n{APP_PASSWORDS}\n{CHANGE_3222_URL}\n"));
    }
    let data = json!({ "announcement_url": CHANGE_3222_URL });
    let error = json!({ "message": CHANGE_3222, "detail": APP_PASSWORDS, "data": data });
    let body = json!({ "type": "error", "error": error, "data": data });
    Answer { challenge: Some(BASIC), ..Answer::json(401, &body) }
}

fn account_password_ended(what: &str) -> String {
    format!(
        "Bitbucket Cloud recently stopped supporting account passwords for {what} authentication.\n\
         See our community post for more details: https://atlassian.community/t5/x/x/ba-p/1948231\n\
         App passwords are recommended for most use cases and can be created in your Personal settings:\n\
         https://bitbucket.org/account/settings/app-passwords/\n"
    )
}

/// `{"type":"error","error":{"message":…,"detail":…}}`.
pub fn envelope(message: &str, detail: Option<Value>) -> Value {
    let mut error = json!({ "message": message });
    if let (Some(detail), Some(error)) = (detail, error.as_object_mut()) {
        error.insert("detail".into(), detail);
    }
    json!({ "type": "error", "error": error })
}

/// The scopes in the vocabulary of a kind: new names for API tokens, old ones for everything else.
pub fn names(scopes: Scopes, kind: Option<Kind>) -> Vec<&'static str> {
    let theirs = if kind == Some(Kind::ApiToken) { Vocabulary::New } else { Vocabulary::Old };
    scopes.iter().filter(|scope| scope.is_of(theirs)).map(Scope::name).collect()
}

/// What `x-credential-type` says of a kind. For access tokens and API tokens it was seen; the others follow suit.
pub fn credential_type(kind: Kind) -> &'static str {
    match kind {
        Kind::RepositoryToken => "repo_access_token",
        Kind::AccountPassword => "password",
        other => other.word(),
    }
}

/// The kind that the bytes of an unreadable credential look like.
pub fn kind_of(fault: Fault) -> Option<Kind> {
    match fault {
        Fault::ForeignAppPassword => Some(Kind::AppPassword),
        Fault::ForeignApiToken => Some(Kind::ApiToken),
        Fault::ForeignAccessToken => Some(Kind::RepositoryToken),
        Fault::Jwt => Some(Kind::ConnectJwt),
        _ => None,
    }
}

impl Answer {
    fn text(status: u16, text: &str) -> Self {
        Self { status, content_type: "text/plain", challenge: None, body: text.into() }
    }

    fn json(status: u16, value: &Value) -> Self {
        Self { status, content_type: "application/json", challenge: None, body: value.to_string() }
    }
}

const BASIC: &str = "Basic realm=\"Bitbucket.org HTTP\"";
const CUSTOM: &str = "BitbucketCustom realm=Bitbucket.org HTTP";
const NO_ACCESS: &str = "You may not have access to this repository or it no longer exists in this workspace. \
     If you think this repository exists and you have access, make sure you are authenticated.";
/// Not seen; in the manner of the others.
const NO_WORKSPACE: &str = "No workspace with identifier found, or you may not have access to it.";
const NO_PERMISSION: &str = "The requested repository either does not exist or you do not have access. \
     If you believe this repository exists and you have access, make sure you're authenticated.";
const SCOPE: &str = "Your credentials lack one or more required privilege scopes.";
const ADDRESS: &str = "To access this repository, an admin must whitelist your IP.";
const TWO_STEP: &str = "To access this repository, enable two-step authentication.";
const LOGIN_FAILED: &str = "Login failed due to incorrect login credentials or method.\n\
     If you are unsure of which login details or login method to use, visit:\n\
     \u{20}   https://developer.atlassian.com/cloud/bitbucket/rest/intro/#authentication\n\
     \u{20}   https://support.atlassian.com/bitbucket-cloud/docs/log-into-or-connect-to-bitbucket-cloud/\n";
const RATE_LIMIT: &str = "Rate limit for this resource has been exceeded";
const CHANGE_3222: &str = "CHANGE-3222 - Functionality has been deprecated";
const APP_PASSWORDS: &str = "App passwords are deprecated and must be replaced with API tokens.";
const CHANGE_3222_URL: &str = "https://developer.atlassian.com/cloud/bitbucket/changelog#CHANGE-3222";
