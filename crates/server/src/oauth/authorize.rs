//! `/site/oauth2/authorize`: asks the person at the browser whether an application may act for it.
//!
//! What is wrong with the application or with where it wants the browser to go is told to the person, and nobody is sent anywhere;
//! anything else is told to the application (RFC 6749 §4.1.2.1).

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_pages::{ConsentPage, LeavePage, in_words};
use doorward_rules::{Action, Scope, Scopes};
use doorward_store::{Consumer, NewGrant, StoreError};

use super::redirect;
use crate::refusal::Refusal;
use crate::rest::call::{Granted, Place, Reply};
use crate::rest::page::Query;
use crate::web::{Visit, html};
use secrecy::ExposeSecret;

/// What an application wants.
struct Wanted {
    consumer: Consumer,
    /// Where the browser goes back to.
    target: String,
    /// Where that is, as the application said it.
    given: Option<String>,
    state: String,
    challenge: Option<String>,
    scopes: Scopes,
}

/// What came of reading a wish.
enum Read {
    Wanted(Box<Wanted>),
    /// It cannot be had, which the application is told: where, and why.
    Told(String, String),
}

/// `GET …/authorize`: asks.
pub(crate) async fn ask(visit: Visit) -> Response<Body> {
    of_person(&visit, async |granted| {
        let wanted = match read(&visit, &visit.call.query).await? {
            Read::Wanted(wanted) => wanted,
            Read::Told(to, why) => return leave(&visit, &granted, to, false, Some(why)),
        };
        let account = granted.account().await?;
        let fields = FIELDS.iter().filter_map(|name| {
            let value = visit.call.query.last(name)?;
            Some(((*name).to_owned(), value.to_owned()))
        });
        let target = redirect::origin(&wanted.target);
        let page = ConsentPage {
            frame: visit.frame(&granted, format!("Let {} act for you?", wanted.consumer.name), "credentials"),
            consumer: wanted.consumer.name.clone(),
            description: wanted.consumer.description.clone(),
            workspace: wanted.consumer.workspace.to_string(),
            account: account.name.to_string(),
            may: in_words(wanted.scopes),
            target,
            fields: fields.collect(),
        };
        html(&page)
    })
    .await
}

/// `POST …/authorize`: takes the person's answer to the application.
pub(crate) async fn answer(visit: Visit) -> Response<Body> {
    of_person(&visit, async |granted| {
        let wanted = match read(&visit, &visit.form).await? {
            Read::Wanted(wanted) => wanted,
            Read::Told(to, why) => return leave(&visit, &granted, to, true, Some(why)),
        };
        let (issuer, state) = (visit.call.base(), wanted.state.as_str());
        if visit.form.last("answer") != Some("yes") {
            let why = "the person did not let it";
            let to = [("error", "access_denied"), ("error_description", why), ("state", state), ("iss", &issuer)];
            return leave(&visit, &granted, redirect::with(&wanted.target, &to), true, None);
        }
        let account = granted.account().await?;
        let new = NewGrant {
            consumer: &wanted.consumer,
            account: &account,
            scopes: wanted.scopes,
            single_sign_on: granted.credential.as_ref().is_some_and(|session| session.single_sign_on),
            redirect_uri: wanted.given.as_deref(),
            challenge: wanted.challenge.as_deref(),
        };
        let code = granted.store.create_grant(new, visit.call.app.clock.now()).await?;
        let to = [("code", code.expose_secret()), ("state", state), ("iss", &issuer)];
        leave(&visit, &granted, redirect::with(&wanted.target, &to), true, None)
    })
    .await
}

/// Sends the browser on, by a page that does so. A redirect would be held against the policy of the page whose form led here, as
/// every one after it: browsers would go no further where an application sends people on to another address of its own. Without a
/// person's answer nobody is sent by itself: a link to here must not lead to a stranger's address (RFC 9700 §4.11.2).
fn leave(visit: &Visit, granted: &Granted, to: String, answered: bool, why: Option<String>) -> Reply {
    let frame = visit.frame(granted, "On to the application", "credentials");
    html(&LeavePage { frame, name: redirect::origin(&to), to, answered, why })
}

/// Whoever has signed in; whoever has not is asked to, and comes back.
async fn of_person(visit: &Visit, work: impl AsyncFnOnce(Granted) -> Reply) -> Response<Body> {
    visit.call.carry_out(Action::ReadAccount, Place::Account, work).await
}

async fn read(visit: &Visit, sent: &Query) -> Result<Read, Refusal> {
    let text = |name: &str| sent.last(name).unwrap_or_default();
    if let Some(name) = FIELDS.iter().find(|name| sent.all(name).count() > 1) {
        return Err(misconfigured(format!("`{name}` is there more than once")));
    }
    let consumer = match visit.call.app.store.consumer(text("client_id")).await {
        Err(StoreError::Missing { .. }) => return Err(misconfigured("there is no application with this key")),
        consumer => consumer?,
    };
    if consumer.revoked_at.is_some() {
        return Err(misconfigured("this application was ended by its workspace"));
    }
    let Some(registered) = consumer.callback.clone() else {
        return Err(misconfigured("this application has no callback, and acts for its workspace alone"));
    };
    let given = sent.last("redirect_uri").filter(|given| !given.is_empty()).map(str::to_owned);
    let target = match &given {
        None => registered,
        Some(given) if redirect::fits(&registered, given) => given.clone(),
        Some(_) => return Err(misconfigured("it wants your browser to go to another address than it has registered")),
    };
    let issuer = visit.call.base();
    let told = |error: &str, why: &str| {
        let to = [("error", error), ("error_description", why), ("state", text("state")), ("iss", &issuer)];
        Ok(Read::Told(redirect::with(&target, &to), why.to_owned()))
    };
    match text("response_type") {
        "code" => {}
        "" => return told("invalid_request", "response_type is not there; it is `code`"),
        _ => return told("unsupported_response_type", "it is not `code`; the implicit grant is gone"),
    }
    let challenge = sent.last("code_challenge").filter(|challenge| !challenge.is_empty()).map(str::to_owned);
    match (&challenge, text("code_challenge_method")) {
        (Some(challenge), "S256") if is_challenge(challenge) => {}
        (Some(_), "S256") => return told("invalid_request", "code_challenge is not SHA-256 in base 64 for addresses"),
        (Some(_), _) => {
            return told("invalid_request", "code_challenge_method is not S256; plain would protect nobody");
        }
        (None, _) if !consumer.private => {
            return told(
                "invalid_request",
                "code_challenge is not there; an application without a secret has to use PKCE",
            );
        }
        (None, _) => {}
    }
    let scopes = scopes(text("scope"), consumer.scopes);
    if scopes.is_empty() {
        return told("invalid_scope", "the application may have none of these scopes");
    }
    let state = text("state").to_owned();
    Ok(Read::Wanted(Box::new(Wanted { target, given, state, challenge, scopes, consumer })))
}

/// What is granted: of what is asked for, what the application may have; all of that if nothing is asked for. Bitbucket Cloud passes
/// over what is asked for, so that names that it has not are no mistake.
fn scopes(asked: &str, most: Scopes) -> Scopes {
    let asked = asked.split([' ', ',']).filter(|name| !name.is_empty());
    let asked: Vec<Scope> = asked.filter_map(|name| Scope::parse(name).ok()).collect();
    if asked.is_empty() {
        return most;
    }
    let may = most.effective();
    Scopes::of(&asked.into_iter().filter(|scope| may.contains(*scope)).collect::<Vec<_>>())
}

fn is_challenge(challenge: &str) -> bool {
    challenge.len() == 43 && challenge.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

fn misconfigured(why: impl AsRef<str>) -> Refusal {
    let sentence = format!("this application is not set up right: {}", why.as_ref());
    let remedy = "nothing was sent to it; tell whoever runs it, or its workspace's administrator";
    Refusal::new(StatusCode::BAD_REQUEST, "oauth_misconfigured", sentence, remedy)
}

const FIELDS: &[&str] =
    &["client_id", "response_type", "redirect_uri", "state", "scope", "code_challenge", "code_challenge_method"];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_application_is_let_do_no_more_than_it_may_and_no_more_than_it_asks() {
        let most = Scopes::of(&[Scope::RepositoryWrite, Scope::Account]);
        assert_eq!(scopes("", most), most);
        assert_eq!(scopes("repository", most), Scopes::of(&[Scope::Repository]));
        assert_eq!(scopes("account repository:admin", most), Scopes::of(&[Scope::Account]));
        assert_eq!(scopes("repository:admin", most), Scopes::NONE);
        assert_eq!(scopes("openid profile", most), most);
    }
}
