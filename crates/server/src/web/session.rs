//! Sessions, as they are opened.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use doorward_openid::Identity;
use doorward_rules::Presented;
use doorward_store::{Account, Named, ProviderIdentity, ProviderSession, StoreError};

use super::visit::{Visit, lead_to, with_cookie};
use super::{cookie, form};
use crate::refusal::Refusal;

/// Opens a session for an account, whoever has said who it is, and leads to where it wanted to go. A session that the browser had before
/// is not taken over, so that nobody who knew that knows this one; it has ended.
///
/// # Errors
/// Trouble with the store.
pub(super) async fn open(
    visit: &Visit,
    account: &Account,
    by: Option<&Identity>,
    next: &str,
) -> Result<Response<Body>, Refusal> {
    let (call, now) = (&visit.call, visit.call.app.clock.now());
    let agent = call.context.agent.as_deref().map_or_else(|| "an unnamed browser".to_owned(), browser);
    let store = &call.app.store;
    let provider = by.map(|identity| ProviderSession {
        identity: ProviderIdentity { issuer: &identity.issuer, subject: &identity.subject },
        session: identity.session.as_deref(),
        proven_at: identity.proven_at,
    });
    let before = store.find(&cookie::session(&call.headers, visit.is_secure()), Named::Nothing).await?;
    let (_, secret) = store.open_session(account, &agent, provider, now.after(LIFE), now).await?;
    if let Presented::Proven(before) = &before.facts.presented {
        match store.revoke_credential(before.id, None, now).await {
            // It had ended already.
            Ok(_) | Err(StoreError::State(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let browser = call.app.store.known_browser(account.id);
    let response = with_cookie(lead_to(form::safe_next(next)), cookie::set_session(&secret, visit.is_secure()));
    Ok(with_cookie(response, cookie::set_browser(&browser, visit.is_secure())))
}

/// What a browser calls itself, in few words.
fn browser(agent: &str) -> String {
    let first =
        |known: &[(&str, &'static str)]| known.iter().find(|(mark, _)| agent.contains(mark)).map(|known| known.1);
    let name = first(&[
        ("Edg/", "Edge"),
        ("OPR/", "Opera"),
        ("Firefox/", "Firefox"),
        ("Chrome/", "Chrome"),
        ("Chromium/", "Chromium"),
        ("Safari/", "Safari"),
    ]);
    let system = first(&[
        ("Android", "Android"),
        ("iPhone", "iOS"),
        ("iPad", "iOS"),
        ("Windows", "Windows"),
        ("Mac OS", "macOS"),
        ("Linux", "Linux"),
    ]);
    match (name, system) {
        (Some(name), Some(system)) => format!("{name} on {system}"),
        (Some(name), None) => name.to_owned(),
        _ => agent.chars().take(60).collect(),
    }
}

/// How long a session lasts: a day's work (OWASP ASVS 3.3.2 allows 12 hours).
const LIFE: Duration = Duration::from_secs(12 * 3600);
