//! `/account/security`: password, second step and sessions of whoever has signed in. What would shut a person out, if a thief of its
//! session did it, asks for the password again.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_pages::{Notice, RecoveryCodesPage, SecurityPage, SessionLine, TwoStepPage};
use doorward_rules::{Action, CredentialId};
use doorward_store::Account;
use secrecy::SecretString;

use super::sign_in::{asks_more, is_asked_more};
use super::visit::{Visit, html, html_as, lead_to, notice};
use super::{passkey, password as passwords, totp};
use crate::attempts::Guessed;
use crate::refusal::Refusal;
use crate::rest::call::{Granted, Place, Reply};
use crate::rest::parts::Parts;

/// `GET /account/security`.
pub(super) async fn page(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| show(&visit, &granted, account, StatusCode::OK, None).await).await
}

/// `POST …/password`.
pub(super) async fn password(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let done = async {
            prove(&visit, &granted, &account, "present").await?;
            let typed = |name| visit.form.last(name).unwrap_or_default();
            let names = [account.name.as_str(), account.email.as_str()];
            let chosen = passwords::chosen(typed("password"), typed("again"), &names)?;
            let (app, this) = (&visit.call.app, this(&granted)?);
            let hash = app.passwords.hash(&chosen).await?;
            Ok(granted.store.set_password(&account, &hash, this, app.clock.now()).await?)
        };
        told(&visit, &granted, &account, done.await, "The password was changed. You are signed out everywhere else.")
            .await
    })
    .await
}

/// `POST …/two-step`: begins with a second step.
pub(super) async fn two_step(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        if let Err(refusal) = prove(&visit, &granted, &account, "password").await {
            return told(&visit, &granted, &account, Err(refusal), "").await;
        }
        let secret = totp::new_secret();
        let begun =
            granted.store.begin_second_step(&account, secrecy::ExposeSecret::expose_secret(&secret), now(&visit));
        if let Err(error) = begun.await {
            let refusal = doorward_admin::AdminError::Store(error).into();
            return told(&visit, &granted, &account, Err(refusal), "").await;
        }
        show_key(&visit, &granted, &account, StatusCode::OK, None).await
    })
    .await
}

/// `POST …/two-step/confirm`: from now on it is asked for.
pub(super) async fn confirm(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let (app, at, guessed) = (&visit.call.app, now(&visit), Guessed::Step(account.id));
        if let Some(wait) = app.sign_ins.wait(at, None, guessed) {
            let notice = Notice::refused("Too many codes were wrong.", format!("Wait {} s.", wait.as_secs() + 1));
            return show_key(&visit, &granted, &account, StatusCode::TOO_MANY_REQUESTS, Some(notice)).await;
        }
        let step = granted.store.second_step(account.id).await?.filter(|step| !step.confirmed);
        let Some(step) = step else { return Ok(lead_to("/account/security")) };
        let Some(number) = totp::step_of(&step.secret, visit.text("code"), at) else {
            app.sign_ins.failed(at, None, guessed);
            let notice =
                Notice::refused("This code is not one of now.", "Wait for the next one; is the device's clock right?");
            return show_key(&visit, &granted, &account, StatusCode::UNPROCESSABLE_ENTITY, Some(notice)).await;
        };
        let codes = granted.store.confirm_second_step(&account, number, this(&granted)?, at).await?;
        html(&RecoveryCodesPage { frame: visit.frame(&granted, "Recovery codes", "security"), codes })
    })
    .await
}

/// `POST …/recovery`: new codes to recover with.
pub(super) async fn recovery(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let codes = async {
            prove(&visit, &granted, &account, "password").await?;
            if !is_asked_more(&granted.store, account.id).await? {
                return Err(Refusal::bad_parameter("password", "two-step verification is off", "set it up first"));
            }
            Ok(granted.store.renew_recovery_codes(&account, now(&visit)).await?)
        };
        match codes.await {
            Ok(codes) => html(&RecoveryCodesPage { frame: visit.frame(&granted, "Recovery codes", "security"), codes }),
            Err(refusal) => told(&visit, &granted, &account, Err(refusal), "").await,
        }
    })
    .await
}

/// `POST …/two-step/off`.
pub(super) async fn off(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let done = async {
            prove(&visit, &granted, &account, "password").await?;
            Ok(granted.store.end_second_step(&account, now(&visit)).await?)
        };
        told(&visit, &granted, &account, done.await, "Two-step verification is off.").await
    })
    .await
}

/// `POST …/sessions/{id}/end`.
pub(super) async fn end_session(visit: Visit, Parts(id): Parts<String>) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let sessions = granted.store.sessions(account.id, now(&visit)).await?;
        let own = sessions.iter().find(|session| session.id.as_str() == id);
        if let Some(session) = own {
            match granted.store.revoke_credential(session.id, None, now(&visit)).await {
                // It was ended in another window.
                Ok(_) | Err(doorward_store::StoreError::State(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(lead_to("/account/security"))
    })
    .await
}

/// Asks about the account of whoever has signed in. What is changed is asked about again when it is.
pub(super) async fn of_own(visit: &Visit, work: impl AsyncFnOnce(Granted, Account) -> Reply) -> Response<Body> {
    visit
        .call
        .carry_out(Action::ReadAccount, Place::Account, async |granted| {
            let account = granted.account().await?;
            work(granted, account).await
        })
        .await
}

/// Makes sure that it is the person, and not somebody who found its browser open: by its password, or without one by having proven at its
/// provider, just now, who it is.
pub(super) async fn prove(
    visit: &Visit,
    granted: &Granted,
    account: &Account,
    field: &'static str,
) -> Result<(), Refusal> {
    let (app, at) = (&visit.call.app, now(visit));
    let stored = app.store.sign_in(account.name.as_str()).await?.and_then(|known| known.password);
    if stored.is_none() {
        let proven = granted.store.proven_at_provider(this(granted)?).await?;
        return match proven.is_some_and(|proven| proven > at.before(JUST_NOW)) {
            true => Ok(()),
            false => Err(Refusal::bad_parameter(
                field,
                "this takes a proof that it is you, of the last ten minutes",
                "prove at your organisation that it is you, and do it within ten minutes",
            )),
        };
    }
    // Who is here has signed in: strangers' guesses are not held against it, nor its own against others.
    let guessed = Guessed::PasswordAgain(account.id);
    if let Some(wait) = app.sign_ins.wait(at, None, guessed) {
        let what = "too many passwords were tried in vain";
        let refusal = Refusal::bad_parameter(field, what, format!("wait {} s", wait.as_secs() + 1));
        return Err(Refusal { status: StatusCode::TOO_MANY_REQUESTS, ..refusal });
    }
    app.sign_ins.failed(at, None, guessed);
    let password = SecretString::from(visit.form.last(field).unwrap_or_default());
    if !app.passwords.is(&password, stored.as_deref()).await? {
        return Err(Refusal::bad_parameter(field, "that is not your password", "type it in again"));
    }
    app.sign_ins.succeeded(at, None, guessed);
    Ok(())
}

/// The page again, with what came of the form.
pub(super) async fn told(
    visit: &Visit,
    granted: &Granted,
    account: &Account,
    done: Result<(), Refusal>,
    sentence: &str,
) -> Reply {
    let (status, notice) = match done {
        Ok(()) => (StatusCode::OK, Notice::done(sentence)),
        Err(refusal) => (refusal.status, notice(refusal)?),
    };
    let account = granted.store.account_by_id(account.id).await?;
    show(visit, granted, account, status, Some(notice)).await
}

async fn show(visit: &Visit, granted: &Granted, account: Account, status: StatusCode, notice: Option<Notice>) -> Reply {
    let this = this(granted)?;
    let sessions = granted.store.sessions(account.id, now(visit)).await?;
    let (step, passkeys) = (granted.store.second_step(account.id).await?, granted.store.passkeys(account.id).await?);
    let on = asks_more(step.as_ref(), &passkeys);
    let codes = granted.store.recovery_codes_left(account.id).await?;
    let line = |session: doorward_store::Credential| SessionLine {
        this: session.id == this,
        id: session.id.to_string(),
        agent: session.name,
        since: session.created_at.to_string(),
        until: session.expires_at.map(|at| at.to_string()).unwrap_or_default(),
        address: session.last_use.and_then(|last| last.address),
    };
    let frame = visit.frame(granted, "Security", "security");
    let page = SecurityPage {
        frame: doorward_pages::Frame { notice, ..frame },
        account: account.name.to_string(),
        email: account.email.to_string(),
        managed: account.managed,
        password: granted.store.sign_in(account.name.as_str()).await?.is_some_and(|known| known.password.is_some()),
        two_step: on.then_some(codes),
        app: step.is_some_and(|step| step.confirmed),
        passkeys_possible: passkey::possible(visit),
        passkeys: passkeys.iter().map(passkey::line).collect(),
        sessions: sessions.into_iter().map(line).collect(),
    };
    html_as(status, &page)
}

/// The key of a second step that is not confirmed yet.
async fn show_key(
    visit: &Visit,
    granted: &Granted,
    account: &Account,
    status: StatusCode,
    notice: Option<Notice>,
) -> Reply {
    let step = granted.store.second_step(account.id).await?.filter(|step| !step.confirmed);
    let Some(step) = step else { return Ok(lead_to("/account/security")) };
    let base = visit.call.base();
    let host = base.split("://").nth(1).unwrap_or_default();
    let picture = totp::picture(&step.secret, account.name.as_str(), host);
    let frame = doorward_pages::Frame { notice, ..visit.frame(granted, "Two-step verification", "security") };
    let (size, is_dark) = (picture.as_ref().map_or(1, qrcodegen::QrCode::size), |x: i32, y: i32| {
        picture.as_ref().is_some_and(|picture| picture.get_module(x, y))
    });
    html_as(status, &TwoStepPage::new(frame, account.name.to_string(), totp::key(&step.secret), size, is_dark))
}

/// The session that it is.
pub(super) fn this(granted: &Granted) -> Result<CredentialId, Refusal> {
    let credential = granted.credential.as_ref().map(|credential| credential.id);
    credential.ok_or_else(|| Refusal::unavailable(doorward_rules::OwnFault::Bug))
}

fn now(visit: &Visit) -> doorward_rules::Timestamp {
    visit.call.app.clock.now()
}

/// How long after such a proof somebody without a password is still known to be the person.
const JUST_NOW: std::time::Duration = std::time::Duration::from_secs(600);
