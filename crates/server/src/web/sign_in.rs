//! Signing in and out: a password, a second step where there is one, and links by which a password is chosen.
//!
//! Whoever has not told the password learns nothing from here: not whether there is such an account, nor whether it has a password.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_openid::Identity;
use doorward_pages::{Frame, Notice, SecondStepPage, SignInPage, WelcomePage};
use doorward_rules::{AccountId, Action, Reason};
use doorward_store::{Account, Decision, Passkey, ProviderIdentity, Record, SecondStep, SignIn, Store, StoreError};
use doorward_wire::AccountName;
use secrecy::SecretString;

use super::form::safe_next;
use super::visit::{Visit, html, html_as, lead_to, notice, with_cookie};
use super::{cookie, passkey, password, session, totp};
use crate::attempts::Guessed;
use crate::refusal::Refusal;
use crate::rest::call::{Place, Reply};
use crate::rest::parts::Parts;

/// `GET /account/signin`.
pub(super) async fn page(visit: Visit) -> Response<Body> {
    let next = visit.call.query.last("next").unwrap_or_default().to_owned();
    let frame = visit.frame_for_anybody("Sign in").await;
    // Whoever is in already is led on.
    if frame.viewer.is_some() {
        return lead_to(safe_next(&next));
    }
    answer(&visit, html(&sign_in_page(&visit, frame, next, String::new())))
}

/// `POST /account/signin`.
pub(super) async fn password(visit: Visit) -> Response<Body> {
    answer(&visit, check_password(&visit).await)
}

/// `GET /account/signin/step`.
pub(super) async fn step_page(visit: Visit) -> Response<Body> {
    let next = visit.call.query.last("next").unwrap_or_default().to_owned();
    answer(&visit, show_step(&visit, StatusCode::OK, next, None).await)
}

/// `POST /account/signin/step`.
pub(super) async fn step(visit: Visit) -> Response<Body> {
    answer(&visit, check_step(&visit).await)
}

/// `POST /account/signout`: ends the session, here and in the store.
pub(super) async fn out(visit: Visit) -> Response<Body> {
    let ended = visit
        .call
        .carry_out(Action::ReadAccount, Place::Account, async |granted| {
            if let Some(credential) = &granted.credential {
                granted.store.revoke_credential(credential.id, None, visit.call.app.clock.now()).await?;
            }
            Ok(lead_to("/account/signin"))
        })
        .await;
    with_cookie(ended, cookie::end_session(visit.is_secure()))
}

/// `GET /account/welcome/{link}`.
pub(super) async fn welcome(visit: Visit, Parts(link): Parts<String>) -> Response<Body> {
    let page = async {
        let account = account_of(&visit, &link).await?;
        show_welcome(&visit, StatusCode::OK, &account, link.clone(), None).await
    };
    answer(&visit, page.await)
}

/// `POST /account/welcome/{link}`.
pub(super) async fn choose(visit: Visit, Parts(link): Parts<String>) -> Response<Body> {
    let chosen = async {
        let (app, now) = (&visit.call.app, visit.call.app.clock.now());
        let account = account_of(&visit, &link).await?;
        let (password, again) = (visit.form.last("password"), visit.form.last("again"));
        let names = [account.name.as_str(), account.email.as_str()];
        let password = match password::chosen(password.unwrap_or_default(), again.unwrap_or_default(), &names) {
            Ok(password) => password,
            Err(refusal) => {
                let (status, notice) = (refusal.status, notice(refusal)?);
                return show_welcome(&visit, status, &account, link.clone(), Some(notice)).await;
            }
        };
        let hash = app.passwords.hash(&password).await?;
        let secret = SecretString::from(link.clone());
        let account = match app.store.set_password_by_link(&secret, &hash, now).await {
            Err(StoreError::State(_)) => return Err(worthless_link()),
            account => account?,
        };
        go_on(&visit, SignIn { account, password: Some(hash) }, None, "/").await
    };
    answer(&visit, chosen.await)
}

async fn check_password(visit: &Visit) -> Reply {
    let (call, next) = (&visit.call, visit.text("next").to_owned());
    // The moment that it is now: what was sent may have taken its time.
    let (app, at) = (&call.app, call.app.clock.now());
    let name: String = visit.text("name").chars().take(254).collect();
    let password = SecretString::from(visit.form.last("password").unwrap_or_default());
    let known = app.store.sign_in(&name).await?;
    // An account has two names, and guesses at either are guesses at it.
    let (guessed, address) = match &known {
        None => (Guessed::nobodys(&name), Some(call.context.address)),
        Some(known) => match known_browser(visit, &known.account) {
            Some(browser) => (Guessed::PasswordInBrowser(known.account.id, browser), None),
            None => (Guessed::Password(known.account.id), Some(call.context.address)),
        },
    };
    let again = |refusal: Refusal| async { again(visit, refusal, next.clone(), name.clone()).await };
    if let Some(wait) = app.sign_ins.wait(at, address, guessed) {
        return again(too_many(wait)).await;
    }
    // Counted before it is known to be wrong: else many at once would be looked at.
    app.sign_ins.failed(at, address, guessed);
    if password_length(&password) > LONGEST {
        return again(wrong()).await;
    }
    let stored = known.as_ref().and_then(|known| known.password.as_deref());
    let is = app.passwords.is(&password, stored).await;
    if is.is_err() {
        // Trouble of our own is nobody's guess.
        app.sign_ins.succeeded(at, address, guessed);
    }
    let is = is?;
    let Some(known) = known.filter(|_| is) else {
        record(visit, None, &wrong()).await?;
        return again(wrong()).await;
    };
    app.sign_ins.succeeded(at, address, guessed);
    if known.account.disabled {
        let refusal = Refusal::of_reason(&Reason::OwnerDisabled, doorward_rules::Surface::Web);
        record(visit, Some(&known.account.name), &refusal).await?;
        return again(refusal).await;
    }
    go_on(visit, known, None, &next).await
}

/// In, or on to the second step; after a password, or after a provider has said who it is.
pub(super) async fn go_on(visit: &Visit, known: SignIn, by: Option<Identity>, next: &str) -> Reply {
    let app = &visit.call.app;
    if !is_asked_more(&app.store, known.account.id).await? {
        return session::open(visit, &known.account, by.as_ref(), next).await;
    }
    let here = cookie::new_visit();
    app.halfway.begin(&here, known, by, app.clock.now());
    let to = format!("/account/signin/step?next={}", doorward_wire::percent_encoded(safe_next(next)));
    Ok(with_cookie(lead_to(&to), cookie::set_visit(&here, visit.is_secure())))
}

async fn check_step(visit: &Visit) -> Reply {
    let (call, next) = (&visit.call, visit.text("next").to_owned());
    let (app, at, address) = (&call.app, call.app.clock.now(), Some(call.context.address));
    let Some(half) = halfway(visit) else { return Ok(lead_to("/account/signin")) };
    let account = half.1.account.clone();
    let guessed = Guessed::Step(account.id);
    if let Some(wait) = app.sign_ins.wait(at, address, guessed) {
        return step_again(visit, too_many(wait), next).await;
    }
    app.sign_ins.failed(at, address, guessed);
    let code = visit.text("code");
    let step = app.store.second_step(account.id).await?.filter(|step| step.confirmed);
    let is = match step.as_ref().and_then(|step| totp::step_of(&step.secret, code, at)) {
        Some(number) => app.store.take_step(account.id, number, at).await?,
        None => {
            let code: String = code.chars().filter(|letter| !letter.is_whitespace()).take(100).collect();
            let taken = app.store.take_recovery_code(&account, &code.into(), at).await?;
            // It was turned off in the meantime.
            taken || !asks_more(step.as_ref(), &app.store.passkeys(account.id).await?)
        }
    };
    if !is {
        let sentence = "this code is not one of now, or it was used already";
        let remedy = "wait for the next one, or use a recovery code";
        let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "second_step_wrong", sentence, remedy);
        record(visit, Some(&account.name), &refusal).await?;
        return step_again(visit, refusal, next).await;
    }
    app.sign_ins.succeeded(at, address, guessed);
    after_step(visit, half, &next).await
}

/// In, after the second step.
pub(super) async fn after_step(visit: &Visit, (here, known, by): Half, next: &str) -> Reply {
    let app = &visit.call.app;
    app.halfway.end(&here);
    // What became of the account since it told its password: another password, and it begins again.
    let now = app.store.sign_in(known.account.name.as_str()).await?.filter(|now| now.password == known.password);
    let Some(now) = now else { return Ok(lead_to("/account/signin")) };
    // Nor is it the account of who was sent by a provider, if an administrator has said so meanwhile.
    if let Some(by) = &by {
        let known = ProviderIdentity { issuer: &by.issuer, subject: &by.subject };
        if app.store.account_of_identity(known).await?.is_none_or(|account| account.id != now.account.id) {
            return Ok(lead_to("/account/signin"));
        }
    }
    if now.account.disabled {
        return Err(Refusal::of_reason(&Reason::OwnerDisabled, doorward_rules::Surface::Web));
    }
    session::open(visit, &now.account, by.as_ref(), next).await
}

/// The second step once more, with what was wrong.
pub(super) async fn step_again(visit: &Visit, refusal: Refusal, next: String) -> Reply {
    show_step(visit, refusal.status, next, Some(notice(refusal)?)).await
}

/// Whether an account is asked for more than its password.
pub(super) async fn is_asked_more(store: &Store, account: AccountId) -> Result<bool, StoreError> {
    Ok(asks_more(store.second_step(account).await?.as_ref(), &store.passkeys(account).await?))
}

/// The same, of what is known of it.
pub(super) fn asks_more(step: Option<&SecondStep>, passkeys: &[Passkey]) -> bool {
    step.is_some_and(|step| step.confirmed) || !passkeys.is_empty()
}

/// What tells a browser that has signed in to an account before from others, if this is one.
fn known_browser(visit: &Visit, account: &Account) -> Option<u64> {
    use secrecy::ExposeSecret;
    let cookie = cookie::browser(&visit.call.headers, visit.is_secure())?;
    let known = visit.call.app.store.is_known_browser(account.id, cookie.expose_secret());
    known.then(|| cookie.expose_secret().get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok())).flatten()
}

/// Who is halfway in: the visit, what was known of the account, and who it is at a provider.
pub(super) type Half = (SecretString, SignIn, Option<Identity>);

pub(super) fn halfway(visit: &Visit) -> Option<Half> {
    let here = cookie::visit(&visit.call.headers, visit.is_secure())?;
    let (known, by) = visit.call.app.halfway.who(&here, visit.call.app.clock.now())?;
    Some((here, known, by))
}

async fn account_of(visit: &Visit, link: &str) -> Result<Account, Refusal> {
    let app = &visit.call.app;
    let found = app.store.sign_in_link(&link.into(), app.clock.now()).await?;
    found.filter(|account| !account.disabled).ok_or_else(worthless_link)
}

pub(super) async fn again(visit: &Visit, refusal: Refusal, next: String, name: String) -> Reply {
    visit.call.app.metrics.refused(refusal.code);
    let (status, notice) = (refusal.status, Some(notice(refusal)?));
    let frame = Frame { notice, ..visit.frame_for_anybody("Sign in").await };
    html_as(status, &sign_in_page(visit, frame, next, name))
}

fn sign_in_page(visit: &Visit, frame: Frame, next: String, name: String) -> SignInPage {
    SignInPage { frame, sso: sso(visit, &next), passkey: passkey::sign_in_options(visit), next, name }
}

async fn show_step(visit: &Visit, status: StatusCode, next: String, notice: Option<Notice>) -> Reply {
    let Some((_, known, _)) = halfway(visit) else { return Ok(lead_to("/account/signin")) };
    let (app, id) = (&visit.call.app, known.account.id);
    let passkeys = app.store.passkeys(id).await?;
    let has_app = app.store.second_step(id).await?.is_some_and(|step| step.confirmed);
    let frame = visit.frame_for_anybody("Two-step verification").await;
    let frame = Frame { notice, ..frame };
    let passkey = passkey::step_options(visit, id, &passkeys);
    html_as(status, &SecondStepPage { frame, app: has_app, passkey, next })
}

async fn show_welcome(
    visit: &Visit,
    status: StatusCode,
    account: &Account,
    link: String,
    notice: Option<Notice>,
) -> Reply {
    let frame = visit.frame_for_anybody("Choose a password").await;
    let frame = Frame { notice, ..frame };
    html_as(status, &WelcomePage { frame, name: account.name.to_string(), link })
}

/// Puts a sign-in that was refused on record.
pub(super) async fn record(visit: &Visit, name: Option<&AccountName>, refusal: &Refusal) -> Result<(), Refusal> {
    let (app, context) = (&visit.call.app, &visit.call.context);
    if !app.may_record_stranger(context.at) {
        return Ok(());
    }
    let decision = Decision::sign_in().from(context.address, context.agent.clone()).refused(refusal.code);
    let account = name.map(ToString::to_string);
    let record = Record {
        at: context.at,
        event: "refused".into(),
        request: Some(context.id.to_string()),
        subject: account.as_ref().map_or_else(|| "(sign-in)".to_owned(), |name| format!("@{name}")),
        decision: Some(Decision { account, ..decision }),
        status: Some(refusal.status.as_u16()),
        sentence: refusal.sentence.clone(),
        remedy: Some(refusal.remedy.clone()),
    };
    Ok(app.recorder.record(record).await?)
}

/// What the provider of single sign-on is called, and where one begins with it, if there is one.
fn sso(visit: &Visit, next: &str) -> Option<(String, String)> {
    let begin = format!("/account/sso?next={}", doorward_wire::percent_encoded(safe_next(next)));
    visit.call.app.sso.as_ref().map(|sso| (sso.name().to_owned(), begin))
}

pub(super) fn answer(visit: &Visit, reply: Reply) -> Response<Body> {
    reply.unwrap_or_else(|refusal| visit.call.refuse(&refusal))
}

fn wrong() -> Refusal {
    let sentence = "there is no account with this name and this password";
    let remedy = "check both; an administrator can make you a link by which you choose a new password";
    Refusal::new(StatusCode::UNAUTHORIZED, "sign_in_wrong", sentence, remedy)
}

pub(super) fn too_many(wait: std::time::Duration) -> Refusal {
    let seconds = wait.as_secs() + 1;
    let remedy = format!("wait {seconds} s, then try again");
    let refusal = Refusal::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_attempts",
        "too many passwords or codes were tried in vain",
        remedy,
    );
    Refusal { retry_after: Some(std::time::Duration::from_secs(seconds)), ..refusal }
}

fn worthless_link() -> Refusal {
    let sentence = "the link was used already, has ended, or was never made here";
    Refusal::new(StatusCode::NOT_FOUND, "link_worthless", sentence, "ask an administrator for another one")
}

fn password_length(password: &SecretString) -> usize {
    use secrecy::ExposeSecret;
    password.expose_secret().len()
}

/// Bytes that a password may have to be looked at.
const LONGEST: usize = 1024;
