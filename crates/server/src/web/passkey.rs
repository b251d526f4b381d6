//! Passkeys: made under *Security*, and shown at the sign-in, by themselves or after a password.
//!
//! The browser's script asks for one with the options that are on the page, and sends what comes of it as a form like any other.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use doorward_pages::{NewPasskeyPage, PasskeyLine, RecoveryCodesPage};
use doorward_rules::{AccountId, OwnFault};
use doorward_store::{Account, Passkey, StoreError};
use doorward_webauthn::{Ceremony, ClientData, NewPasskey, Party, PasskeyError, Proof, PublicKey};
use serde_json::json;

use super::security::{of_own, prove, this, told};
use super::session;
use super::sign_in::{self, answer, halfway, record};
use super::visit::{Visit, html};
use crate::refusal::Refusal;
use crate::rest::parts::Parts;

/// `POST /account/security/passkeys`: begins with one. The browser is not told to have one made before it is known that it may be kept.
pub(super) async fn begin(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let begun = async {
            prove(&visit, &granted, &account, "password").await?;
            let name = visit.label("name", LONGEST_NAME)?;
            let options = new_options(&visit, &account, &granted.store.passkeys(account.id).await?);
            Ok((name, options.ok_or_else(impossible)?))
        };
        match begun.await {
            Ok((name, options)) => {
                html(&NewPasskeyPage { frame: visit.frame(&granted, "A new passkey", "security"), name, options })
            }
            Err(refusal) => told(&visit, &granted, &account, Err(refusal), "").await,
        }
    })
    .await
}

/// `POST …/passkeys/new`: keeps one that the browser has had made. Who was given the challenge has shown that it is the person.
pub(super) async fn add(visit: Visit) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let added = async {
            let name = visit.label("name", LONGEST_NAME)?;
            let NewPasskey { id, key, counter, backed_up } = made(&visit, &account)?;
            let now = visit.call.app.clock.now();
            let key = key.to_bytes();
            let new = Passkey { id, name, key, counter, backed_up, created_at: now, last_used_at: None };
            match granted.store.add_passkey(&account, &new, this(&granted)?, now).await {
                Err(StoreError::Exists { .. }) => {
                    Err(Refusal::bad_parameter("name", "this passkey is somebody's already", "use another one"))
                }
                Err(StoreError::State(why)) => Err(Refusal::bad_parameter("name", why, "remove one of them first")),
                added => Ok(added?),
            }
        };
        match added.await {
            Ok(Some(codes)) => {
                html(&RecoveryCodesPage { frame: visit.frame(&granted, "Recovery codes", "security"), codes })
            }
            Ok(None) => told(&visit, &granted, &account, Ok(()), "The passkey was added.").await,
            Err(refusal) => told(&visit, &granted, &account, Err(refusal), "").await,
        }
    })
    .await
}

/// `POST …/passkeys/{id}/remove`.
pub(super) async fn remove(visit: Visit, Parts(id): Parts<String>) -> Response<Body> {
    of_own(&visit, async |granted, account| {
        let removed = async {
            prove(&visit, &granted, &account, "password").await?;
            let id = URL_SAFE_NO_PAD.decode(&id).unwrap_or_default();
            match granted.store.remove_passkey(&account, &id, this(&granted)?, visit.call.app.clock.now()).await {
                // It was removed in another window.
                Ok(()) | Err(StoreError::Missing { .. }) => Ok(()),
                Err(error) => Err(error.into()),
            }
        };
        told(&visit, &granted, &account, removed.await, "The passkey was removed. You are signed out everywhere else.")
            .await
    })
    .await
}

/// `POST /account/signin/passkey`: a passkey that has made sure who uses it is two factors, and lets in by itself.
pub(super) async fn sign_in(visit: Visit) -> Response<Body> {
    let next = visit.text("next").to_owned();
    let let_in = async {
        let found = shown(&visit, SIGN_IN, None).await;
        let account = match found {
            Ok((account, proof)) if proof.user_verified => account,
            Ok((account, _)) => {
                let sentence = "this passkey did not make sure that it is you";
                let remedy = "set a PIN for it, or sign in with your password first";
                let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "passkey_wrong", sentence, remedy);
                record(&visit, Some(&account.name), &refusal).await?;
                return sign_in::again(&visit, refusal, next.clone(), String::new()).await;
            }
            Err(refusal) => {
                if !refusal.status.is_server_error() {
                    record(&visit, None, &refusal).await?;
                }
                return sign_in::again(&visit, refusal, next.clone(), String::new()).await;
            }
        };
        if account.disabled {
            let refusal = Refusal::of_reason(&doorward_rules::Reason::OwnerDisabled, doorward_rules::Surface::Web);
            record(&visit, Some(&account.name), &refusal).await?;
            return sign_in::again(&visit, refusal, next.clone(), String::new()).await;
        }
        session::open(&visit, &account, None, &next).await
    };
    answer(&visit, let_in.await)
}

/// `POST /account/signin/step/passkey`: a passkey as the second step.
pub(super) async fn step(visit: Visit) -> Response<Body> {
    let done = async {
        let next = visit.text("next").to_owned();
        let Some(half) = halfway(&visit) else { return Ok(super::visit::lead_to("/account/signin")) };
        match shown(&visit, STEP, Some(half.1.account.id)).await {
            Ok(_) => sign_in::after_step(&visit, half, &next).await,
            Err(refusal) if refusal.status.is_server_error() => Err(refusal),
            Err(refusal) => {
                record(&visit, Some(&half.1.account.name), &refusal).await?;
                sign_in::step_again(&visit, refusal, next).await
            }
        }
    };
    answer(&visit, done.await)
}

/// What the script needs to ask for any passkey of this server; `None` if there can be none.
pub(super) fn sign_in_options(visit: &Visit) -> Option<String> {
    let party = party(visit)?;
    let challenge = challenge(visit, SIGN_IN, None);
    Some(json!({ "challenge": challenge, "rpId": party.id(), "userVerification": "required" }).to_string())
}

/// What the script needs to ask for one of these passkeys.
pub(super) fn step_options(visit: &Visit, account: AccountId, passkeys: &[Passkey]) -> Option<String> {
    let party = party(visit).filter(|_| !passkeys.is_empty())?;
    let challenge = challenge(visit, STEP, Some(account));
    let allowed: Vec<_> = passkeys.iter().map(|passkey| encoded(&passkey.id)).collect();
    let options = json!({
        "challenge": challenge, "rpId": party.id(), "userVerification": "preferred", "allowCredentials": allowed,
    });
    Some(options.to_string())
}

/// What the script needs to have one made.
fn new_options(visit: &Visit, account: &Account, passkeys: &[Passkey]) -> Option<String> {
    let party = party(visit)?;
    let has: Vec<_> = passkeys.iter().map(|passkey| encoded(&passkey.id)).collect();
    let options = json!({
        "challenge": challenge(visit, CREATE, Some(account.id)),
        "rp": { "id": party.id(), "name": format!("Doorward {}", party.id()) },
        "user": {
            "id": encoded(account.id.0.as_bytes()), "name": account.email.as_str(), "displayName": account.name.as_str(),
        },
        "algorithms": PublicKey::ALGORITHMS,
        "excludeCredentials": has,
    });
    Some(options.to_string())
}

/// A passkey, as a page lists it.
pub(super) fn line(passkey: &Passkey) -> PasskeyLine {
    PasskeyLine {
        id: encoded(&passkey.id),
        name: passkey.name.clone(),
        since: passkey.created_at.to_string(),
        used: passkey.last_used_at.map(|at| at.to_string()),
        backed_up: passkey.backed_up,
    }
}

/// The passkey that a form says was made.
fn made(visit: &Visit, account: &Account) -> Result<NewPasskey, Refusal> {
    let party = party(visit).ok_or_else(impossible)?;
    let client_data = client_data(visit, Ceremony::Create, CREATE, Some(account.id), &party)?;
    let made = party.made(&client_data, &bytes(visit, "attestation_object")?).map_err(wrong)?;
    spend(visit, &client_data)?;
    Ok(made)
}

/// Whose passkey has shown that it is there; that of one account, if it has to be that.
async fn shown(visit: &Visit, purpose: &str, of: Option<AccountId>) -> Result<(Account, Proof), Refusal> {
    let (app, party) = (&visit.call.app, party(visit).ok_or_else(impossible)?);
    let client_data = client_data(visit, Ceremony::Get, purpose, of, &party)?;
    let found = app.store.passkey(&bytes(visit, "id")?).await?;
    let (passkey, account) = found.filter(|(_, account)| of.is_none_or(|of| of == account.id)).ok_or_else(unknown)?;
    // An authenticator that tells whose passkey it is tells what it was told (§7.2 step 6).
    let handle = bytes(visit, "user_handle")?;
    if !handle.is_empty() && handle != account.id.0.as_bytes() {
        return Err(unknown());
    }
    let key = PublicKey::read(&passkey.key).map_err(|error| {
        tracing::error!(%error, account = %account.name, "a passkey that is kept cannot be read");
        Refusal::unavailable(OwnFault::Bug)
    })?;
    let (data, signature) = (bytes(visit, "authenticator_data")?, bytes(visit, "signature")?);
    let proof = party.shown(&client_data, &key, passkey.counter, &data, &signature).map_err(wrong)?;
    spend(visit, &client_data)?;
    if !app.store.use_passkey(&passkey.id, proof.counter, proof.backed_up, app.clock.now()).await? {
        return Err(wrong(PasskeyError::Copied));
    }
    Ok((account, proof))
}

fn client_data(
    visit: &Visit,
    ceremony: Ceremony,
    purpose: &str,
    of: Option<AccountId>,
    party: &Party,
) -> Result<ClientData, Refusal> {
    let client_data = ClientData::read(&bytes(visit, "client_data")?, ceremony, party).map_err(wrong)?;
    let app = &visit.call.app;
    if !app.challenges.gave(&client_data.challenge, &bound(visit, purpose, of), app.clock.now()) {
        return Err(too_late());
    }
    Ok(client_data)
}

/// Whatever was signed is signed for once.
fn spend(visit: &Visit, client_data: &ClientData) -> Result<(), Refusal> {
    let app = &visit.call.app;
    if app.challenges.take(&client_data.challenge, app.clock.now()) { Ok(()) } else { Err(too_late()) }
}

fn challenge(visit: &Visit, purpose: &str, of: Option<AccountId>) -> String {
    let app = &visit.call.app;
    encoded(&app.challenges.give(&bound(visit, purpose, of), app.clock.now()))
}

/// What a challenge is for: also in which browser, as its forms are known again.
fn bound(visit: &Visit, purpose: &str, of: Option<AccountId>) -> String {
    use secrecy::ExposeSecret;
    let of = of.map(|of| of.to_string()).unwrap_or_default();
    format!("{purpose}\n{of}\n{}", visit.seal.0.expose_secret())
}

fn party(visit: &Visit) -> Option<Party> {
    Party::at(&visit.call.base())
}

/// Whether there can be passkeys here.
pub(super) fn possible(visit: &Visit) -> bool {
    party(visit).is_some()
}

/// Bytes that a form sends in base 64.
fn bytes(visit: &Visit, name: &str) -> Result<Vec<u8>, Refusal> {
    let unreadable = |_| wrong(PasskeyError::Unreadable("it is no base 64"));
    URL_SAFE_NO_PAD.decode(visit.text(name)).map_err(unreadable)
}

fn encoded(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

fn wrong(error: PasskeyError) -> Refusal {
    let remedy = match error {
        PasskeyError::Copied => "remove this passkey under Security, and make a new one; sign in with your password",
        PasskeyError::Unsupported => "use another device",
        _ => "load the page again, and try once more",
    };
    Refusal::new(StatusCode::UNAUTHORIZED, "passkey_wrong", error.to_string(), remedy)
}

fn unknown() -> Refusal {
    let remedy = "use another one, or sign in with your password";
    Refusal::new(StatusCode::UNAUTHORIZED, "passkey_wrong", "this passkey is not known here, or not yours", remedy)
}

fn too_late() -> Refusal {
    let sentence = "the page was open for more than fifteen minutes, or the passkey was used already";
    Refusal::new(StatusCode::UNAUTHORIZED, "passkey_late", sentence, "use the passkey once more")
}

fn impossible() -> Refusal {
    let remedy = "use the address with the server's name, with https";
    Refusal::new(
        StatusCode::BAD_REQUEST,
        "passkey_wrong",
        "there are no passkeys for an address without a name",
        remedy,
    )
}

/// Letters that a passkey may be called by.
const LONGEST_NAME: usize = 60;
const CREATE: &str = "create";
const SIGN_IN: &str = "sign in";
const STEP: &str = "second step";
