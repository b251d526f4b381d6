//! What all requests share.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::http::Response;
use doorward_git::Repositories;
use doorward_rules::{CredentialId, OwnFault, Surface, Timestamp};
use doorward_store::{Recorder, Store};
use doorward_upstream::Upstreams;
use doorward_wire::RequestId;
use tokio::sync::{Notify, Semaphore};
use tokio_util::task::TaskTracker;

use crate::ServerSettings;
use crate::attempts::{Attempts, Counts, SignIns};
use crate::clock::Clock;
use crate::gateway::Gateway;
use crate::keyed::Keyed;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::sandbox::Sandbox;
use crate::web::{Challenges, Halfway, Passwords, Sso};

/// What all requests share. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct App(Arc<Inner>);

#[derive(Debug)]
pub(crate) struct Inner {
    pub(crate) settings: ServerSettings,
    pub(crate) store: Store,
    pub(crate) repositories: Repositories,
    pub(crate) recorder: Recorder,
    pub(crate) metrics: Metrics,
    pub(crate) clock: Clock,
    pub(crate) attempts: Attempts,
    /// Refusals of this minute of those who have proven a secret.
    refused: Counts<CredentialId>,
    /// The counts of refusals that were begun in this minute, by their tags.
    counted: Counts<u32>,
    /// Passwords of people that were tried in vain.
    pub(crate) sign_ins: SignIns,
    /// Where passwords are checked.
    pub(crate) passwords: Passwords,
    /// The organisation's own sign-in provider, if there is one.
    pub(crate) sso: Option<Sso>,
    /// What passkeys are asked to sign.
    pub(crate) challenges: Challenges,
    /// Who has told a password, and is asked for a second step.
    pub(crate) halfway: Halfway,
    pub(crate) sandbox: Option<Sandbox>,
    pub(crate) gateway: Gateway,
    /// Uploads under the keys of their callers.
    pub(crate) uploads: Keyed,
    /// Says that there is something to be sent to webhooks.
    pub(crate) webhooks: Notify,
    /// What goes on after its request was answered: records of pushes.
    pub(crate) tasks: TaskTracker,
    /// Questions of fetches that are held in memory though they are large.
    pub(crate) large_questions: Arc<Semaphore>,
    draining: AtomicBool,
    in_flight: Mutex<HashMap<IpAddr, usize>>,
    /// The second it is, and how many refusals of strangers were recorded one by one in it.
    strangers: Mutex<(i64, usize)>,
}

/// One request in flight, counted for its address until this is dropped.
#[derive(Debug)]
pub(crate) struct InFlight {
    app: App,
    address: IpAddr,
}

impl App {
    pub(crate) fn new(
        settings: ServerSettings,
        store: Store,
        repositories: Repositories,
        upstreams: Upstreams,
        recorder: Recorder,
    ) -> Self {
        let clock = Clock::default();
        if let Some(at) = settings.sandbox.as_ref().and_then(|sandbox| sandbox.at) {
            clock.set(at);
        }
        Self(Arc::new(Inner {
            sandbox: settings.sandbox.as_ref().map(Sandbox::new),
            gateway: Gateway::new(upstreams, repositories.clone()),
            clock,
            attempts: Attempts::default(),
            refused: Counts::default(),
            counted: Counts::default(),
            sign_ins: SignIns::default(),
            passwords: Passwords::new(),
            sso: settings.sso.clone().map(Sso::new),
            challenges: Challenges::new(),
            halfway: Halfway::default(),
            settings,
            store,
            repositories,
            recorder,
            metrics: Metrics::new(),
            uploads: Keyed::default(),
            webhooks: Notify::new(),
            tasks: TaskTracker::new(),
            large_questions: Arc::new(Semaphore::new(LARGE_QUESTIONS)),
            draining: AtomicBool::new(false),
            in_flight: Mutex::default(),
            strangers: Mutex::default(),
        }))
    }

    /// The address that people use, as far as it is known without a request.
    pub(crate) fn own_address(&self) -> String {
        if let Some(url) = &self.settings.public_url {
            return url.trim_end_matches('/').to_owned();
        }
        let scheme = if self.settings.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://{}", self.settings.listen)
    }

    /// Carries out what changes something to its end, also when the caller does not wait for it: nothing is left half done.
    pub(crate) async fn to_the_end(
        &self,
        work: impl Future<Output = Response<Body>> + Send + 'static,
        surface: Surface,
        id: RequestId,
    ) -> Response<Body> {
        self.tasks.spawn(work).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a call was not carried out for a mistake in this program");
            Refusal::unavailable(OwnFault::Bug).on(surface).respond(id)
        })
    }

    /// Whether people and browsers come by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.own_address().starts_with("https://")
    }

    /// From now on the server says that it is not ready for more.
    pub(crate) fn drain(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::Relaxed)
    }

    /// Whether the refusal of somebody who has proven nothing may still be recorded by itself in this second. Beyond
    /// that they are only counted, so that nobody can fill the disk with them.
    pub(crate) fn may_record_stranger(&self, at: Timestamp) -> bool {
        let mut strangers = self.0.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        let second = at.0.div_euclid(1000);
        if strangers.0 != second {
            *strangers = (second, 0);
        }
        strangers.1 += 1;
        strangers.1 <= STRANGERS
    }

    /// Whether a refusal may have a count of its own in this minute. Whoever is refused can name what it likes, from as many
    /// addresses as it has, and each name would be a row.
    pub(crate) fn may_count_apart(&self, at: Timestamp, tag: u32) -> bool {
        self.0.counted.keeps(at, tag, COUNTS)
    }

    /// Whether one more refusal of a credential may be recorded by itself in this minute: also who has proven a secret
    /// that has ended must not fill the disk.
    pub(crate) fn may_record_holder(&self, at: Timestamp, id: CredentialId) -> bool {
        self.0.refused.count(at, id) <= HOLDERS
    }

    /// Counts a request for its address; `None` if the address has as many as it may.
    pub(crate) fn begin(&self, address: IpAddr) -> Option<InFlight> {
        let mut in_flight = self.0.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        let count = in_flight.entry(address).or_insert(0);
        if *count >= self.0.settings.limits.requests_per_address {
            return None;
        }
        *count += 1;
        self.0.metrics.in_flight.inc();
        Some(InFlight { app: self.clone(), address })
    }
}

/// How many different counts of refusals there may be in a minute; the rest are one.
const COUNTS: usize = 2000;
/// Refusals of one credential that are recorded one by one in a minute.
const HOLDERS: usize = 60;
/// Refusals of strangers that are recorded one by one in a second.
const STRANGERS: usize = 100;

impl std::ops::Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.app.metrics.in_flight.dec();
        let mut in_flight = self.app.in_flight.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = in_flight.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                in_flight.remove(&self.address);
            }
        }
    }
}

/// How many large questions of fetches may be held in memory at once.
const LARGE_QUESTIONS: usize = 64;
