//! Sends what waits to be sent: signed, a few at once, each until it is taken or was tried too often.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use doorward_rules::{Timestamp, WorkspaceId};
use doorward_store::{Delivery, DeliveryState, StoreError, Webhook};
use doorward_wire::redact;
use secrecy::ExposeSecret;
use tokio::time::timeout;
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};
use ureq::unversioned::transport::DefaultConnector;
use uuid::Uuid;

use super::Allowed;
use crate::app::App;

/// Messages that are being sent, and how many of each workspace.
#[derive(Debug, Default)]
struct UnderWay {
    ids: HashSet<Uuid>,
    workspaces: HashMap<WorkspaceId, u32>,
}

impl UnderWay {
    /// Takes a message in, unless it is being sent, or its workspace has as many as it may.
    fn begin(&mut self, id: Uuid, workspace: WorkspaceId) -> bool {
        let of_workspace = self.workspaces.entry(workspace).or_default();
        if self.ids.contains(&id) || *of_workspace >= OF_ONE || self.ids.len() >= AT_ONCE {
            return false;
        }
        *of_workspace += 1;
        self.ids.insert(id)
    }

    fn end(&mut self, id: Uuid, workspace: WorkspaceId) {
        self.ids.remove(&id);
        if let Some(count) = self.workspaces.get_mut(&workspace) {
            *count -= 1;
            if *count == 0 {
                self.workspaces.remove(&workspace);
            }
        }
    }
}

/// Sends until it is stopped: of each webhook one message at a time, and of each workspace a few, so that nobody's receivers that
/// do not answer hold up those of others.
pub(crate) async fn deliver(app: App) {
    let agent = agent(&app);
    let under_way = Arc::new(Mutex::new(UnderWay::default()));
    loop {
        let now = app.clock.now();
        let next = match app.store.due_deliveries(now, 2 * OF_ONE).await {
            Ok((due, next)) => {
                for (delivery, workspace) in due {
                    let id = delivery.id;
                    if !under_way.lock().unwrap_or_else(PoisonError::into_inner).begin(id, workspace) {
                        continue;
                    }
                    let (app, agent, under_way) = (app.clone(), agent.clone(), Arc::clone(&under_way));
                    tokio::spawn(async move {
                        if let Err(error) = attempt(&app, agent, delivery).await {
                            tracing::warn!(%error, delivery = %id, "what became of a webhook's message could not be kept");
                        }
                        under_way.lock().unwrap_or_else(PoisonError::into_inner).end(id, workspace);
                        app.webhooks.notify_one();
                    });
                }
                next
            }
            Err(error) => {
                tracing::warn!(%error, "the messages to webhooks cannot be read");
                None
            }
        };
        let wait = next.map_or(IDLE, |next| Duration::from_millis((next.0 - app.clock.now().0).max(1).unsigned_abs()));
        let _ = timeout(wait.min(IDLE), app.webhooks.notified()).await;
    }
}

/// Sends a message once, and keeps what became of it.
async fn attempt(app: &App, agent: Agent, mut delivery: Delivery) -> Result<(), StoreError> {
    let webhook = match app.store.webhook(delivery.webhook).await {
        // It was ended, and its messages with it.
        Err(StoreError::Missing { .. }) => return Ok(()),
        found => found?,
    };
    let sent = delivery.clone();
    let answer = tokio::task::spawn_blocking(move || send(&agent, &webhook, &sent)).await;
    let answer = answer.unwrap_or_else(|_| Err("it could not be sent for a mistake in this program".into()));
    let now = app.clock.now();
    delivery.attempts += 1;
    delivery.updated_at = now;
    (delivery.status, delivery.trouble) = match answer {
        Ok(status) if (200..300).contains(&status) => (Some(status), None),
        Ok(status) => (Some(status), Some(format!("it was answered with {status}"))),
        Err(trouble) => (None, Some(redact(&trouble).chars().take(500).collect())),
    };
    delivery.state = match &delivery.trouble {
        None => DeliveryState::Delivered,
        Some(_) if delivery.attempts >= ATTEMPTS => DeliveryState::GivenUp,
        Some(_) => DeliveryState::Waiting,
    };
    delivery.next_at = next_time(now, delivery.attempts, app.settings.webhooks.retry);
    app.store.keep_delivery(&delivery).await
}

/// Each wait is four times as long as the one before.
fn next_time(now: Timestamp, attempts: u32, retry: Duration) -> Timestamp {
    now.after(retry.saturating_mul(4_u32.saturating_pow(attempts.saturating_sub(1))))
}

/// The status that a message is answered with.
fn send(agent: &Agent, webhook: &Webhook, delivery: &Delivery) -> Result<u16, String> {
    let mut request = agent
        .post(&webhook.url)
        .header("Content-Type", "application/json")
        .header("User-Agent", concat!("Doorward-Webhooks/", env!("CARGO_PKG_VERSION")))
        .header("X-Event-Key", &delivery.event)
        .header("X-Hook-UUID", webhook.id.to_string())
        .header("X-Request-UUID", delivery.id.to_string())
        .header("X-Attempt-Number", (delivery.attempts + 1).to_string());
    if let Some(secret) = &webhook.secret {
        let signature = signature(secret.expose_secret().as_bytes(), delivery.body.as_bytes());
        request = request.header("X-Hub-Signature", &signature).header("X-Hub-Signature-256", &signature);
    }
    let answer = request.send(delivery.body.as_bytes()).map_err(|error| error.to_string())?;
    Ok(answer.status().as_u16())
}

/// `sha256=` and the HMAC of the body in hexadecimal digits, as Bitbucket Cloud signs (RFC 2104).
fn signature(secret: &[u8], body: &[u8]) -> String {
    let key = ring::hmac::Key::new(ring::hmac::HMAC_SHA256, secret);
    let mut text = String::from("sha256=");
    for byte in ring::hmac::sign(&key, body).as_ref() {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// Follows nobody elsewhere, uses no proxy, and keeps no connection: each one is looked at when it is made.
fn agent(app: &App) -> Agent {
    let system = rustls_native_certs::load_native_certs().certs;
    let roots: Vec<Certificate<'static>> =
        system.iter().map(|certificate| Certificate::from_der(certificate.as_ref()).to_owned()).collect();
    let tls = TlsConfig::builder()
        .provider(TlsProvider::Rustls)
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .root_certs(RootCerts::new_with_certs(&roots))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(PATIENCE))
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .proxy(None)
        .build();
    Agent::with_parts(config, DefaultConnector::default(), Allowed::new(&app.settings.webhooks.private))
}

/// How long an answer may take, as at Bitbucket Cloud.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often a message is tried: with ten seconds before the second time, for about fifteen hours.
const ATTEMPTS: u32 = 8;
/// Messages under way at once, each in a thread of its own.
const AT_ONCE: usize = 64;
/// Messages of one workspace under way at once.
const OF_ONE: u32 = 4;
/// How long nothing is looked for if nobody says that there is something.
const IDLE: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_signed_as_in_rfc_4231_and_tried_for_most_of_a_day() {
        let expected = "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843";
        assert_eq!(signature(b"Jefe", b"what do ya want for nothing?"), expected);
        let mut at = Timestamp(0);
        for attempts in 1..ATTEMPTS {
            at = next_time(at, attempts, Duration::from_secs(10));
        }
        assert_eq!(at.0 / 3_600_000, 15);
    }
}
