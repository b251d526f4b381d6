//! An upstream: its settings, what is known of it, and what is going on.

use std::collections::HashMap;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use doorward_git::Mirrors;
use doorward_lookout::Lookout;
use doorward_rules::{RepositoryId, Surface};
use doorward_wire::RepositoryName;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use sha2::{Digest, Sha256};
use thiserror::Error;
use tokio::sync::Semaphore;
use uuid::Uuid;

use crate::agent::Agent;
use crate::breaker::Breaker;
use crate::broker::{Broker, Vault};
use crate::budget::{Bucket, Budget};
use crate::caller::{PrintKey, is_of_known_scheme};
use crate::known::Known;
use crate::latest::Latest;
use crate::look::{Dialect, Seen};
use crate::memory::{Memory, key};
use crate::waits::Schedule;
use crate::{Caller, CallerError, Forms, Print, UpstreamSettings};

/// An upstream. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    settings: UpstreamSettings,
    agent: Agent,
    mirrors: Mirrors,
    key: PrintKey,
    broker: Broker,
    known: Known,
    /// Places for those who are waited for though nothing is known of them.
    strangers: Semaphore,
    /// Of git and of REST, which may be different hosts.
    breakers: [Arc<Breaker>; 2],
    budget: Budget,
    schedule: Schedule,
    lookout: Lookout<Subject, Seen>,
    latest: Latest,
    notices: Mutex<HashMap<Subject, Said>>,
    dialects: Mutex<HashMap<RepositoryId, Dialect>>,
    private: Mutex<HashMap<RepositoryId, Instant>>,
    counters: Counters,
}

/// A repository there, and whoever asks about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Subject {
    pub(crate) repository: RepositoryId,
    pub(crate) print: Option<Print>,
}

/// What those are told who wait.
#[derive(Debug, Clone)]
struct Said {
    why: String,
    until: Instant,
    by: u64,
}

/// A notice, until this is dropped.
#[derive(Debug)]
pub(crate) struct Notice {
    upstream: Upstream,
    subject: Subject,
    number: u64,
}

/// Why there is no upstream.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the upstream {name} cannot be used: {why}")]
pub struct UpstreamError {
    name: String,
    why: String,
}

/// What became of requests so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Requests to the upstream for git.
    pub git_asked: u64,
    /// Requests to the upstream for REST.
    pub rest_asked: u64,
    /// Refusals for no reason that jobs did not see.
    pub hidden: u64,
    /// Questions that were answered with the look of another.
    pub shared: u64,
    /// Looks at refs.
    pub looks: u64,
    /// Packs that were fetched.
    pub packs: u64,
    /// Bytes of them.
    pub fetched_bytes: u64,
    /// Bytes of answers to fetches from mirrors.
    pub served_bytes: u64,
    /// The longest time that a request took to be answered, in milliseconds.
    pub worst_wait_ms: u64,
    /// Git requests that the credential may make in this hour that has made most.
    pub git_left: u32,
    /// The same of REST.
    pub rest_left: u32,
    /// Whether it is left alone because it does not answer.
    pub rests: bool,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    git: AtomicU64,
    rest: AtomicU64,
    hidden: AtomicU64,
    questions: AtomicU64,
    looks: AtomicU64,
    packs: AtomicU64,
    bytes: AtomicU64,
    served: AtomicU64,
    worst: AtomicU64,
    notices: AtomicU64,
}

impl Upstream {
    /// An upstream whose repositories are mirrored here. Which credentials worked is remembered in the data directory.
    ///
    /// # Errors
    /// [`UpstreamError`] if TLS cannot be had, or the directory cannot be used.
    pub fn new(settings: UpstreamSettings, mirrors: Mirrors, data: &Path, vault: Vault) -> Result<Self, UpstreamError> {
        let failed = |why: String| UpstreamError { name: settings.name.clone(), why };
        let agent = Agent::new(settings.quiet).map_err(failed)?;
        let key = key(data).map_err(|error| failed(format!("the key of its credentials' prints: {error}")))?;
        let known = Known::remembered(Memory::new(data, &settings.name));
        Ok(Self(Arc::new(Inner {
            settings,
            agent,
            mirrors,
            key,
            broker: Broker::new(vault),
            known,
            strangers: Semaphore::new(STRANGERS),
            breakers: Default::default(),
            budget: Budget::new(),
            schedule: Schedule::default(),
            lookout: Lookout::default(),
            latest: Latest::default(),
            notices: Mutex::default(),
            dialects: Mutex::default(),
            private: Mutex::default(),
            counters: Counters::default(),
        })))
    }

    /// What was set about it.
    pub fn settings(&self) -> &UpstreamSettings {
        &self.0.settings
    }

    /// Who sent a request; `None` if it came without a credential.
    ///
    /// # Errors
    /// [`CallerError`] if what it came with is none that could be passed on.
    pub fn caller(&self, headers: &HeaderMap, surface: Surface) -> Result<Option<Caller>, CallerError> {
        let values = headers.get_all(AUTHORIZATION);
        // With a transfer Git LFS sends what it was told to, which may be of any scheme.
        let is_of_transfer = surface == Surface::Lfs && values.iter().all(|value| !is_of_known_scheme(value));
        let forms = if is_of_transfer { Forms::AsSent } else { self.0.settings.forms };
        Caller::read(values.iter(), forms, &self.0.key)
    }

    /// Under which id a repository of it is mirrored.
    pub fn mirror_of(&self, name: &RepositoryName) -> RepositoryId {
        let digest = Sha256::digest(format!("{}\n{name}", self.0.settings.git));
        let mut bytes = [0; 16];
        bytes.copy_from_slice(&digest[..16]);
        // Version 8 (RFC 9562): made in a way of our own, so that it is no id of what is hosted here.
        RepositoryId(Uuid::from_bytes(bytes_of_version_8(bytes)))
    }

    /// What whoever waits for a repository is to be told; `None` if all goes well.
    pub fn weather(&self, name: &RepositoryName, caller: Option<&Caller>) -> Option<String> {
        let subject = Subject { repository: self.mirror_of(name), print: caller.map(Caller::print) };
        let Said { why, until, .. } = lock(&self.0.notices).get(&subject)?.clone();
        let left = until.saturating_duration_since(Instant::now()).as_secs();
        Some(format!("{why}; it is tried for {left} s more"))
    }

    /// What became of requests so far.
    pub fn counts(&self) -> Counts {
        let Counters { git, rest, hidden, questions, looks, packs, bytes, served, worst, .. } = &self.0.counters;
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let settings = self.settings();
        Counts {
            git_asked: read(git),
            rest_asked: read(rest),
            hidden: read(hidden),
            shared: read(questions).saturating_sub(read(looks)),
            looks: read(looks),
            packs: read(packs),
            fetched_bytes: read(bytes),
            served_bytes: read(served),
            worst_wait_ms: read(worst),
            git_left: self.0.budget.least_left(Bucket::Git, settings.git_per_hour),
            rest_left: self.0.budget.least_left(Bucket::Rest, settings.rest_per_hour),
            rests: self.0.breakers.iter().any(|breaker| breaker.rests()),
        }
    }

    /// Notes bytes of an answer from a mirror.
    pub fn count_served(&self, bytes: u64) {
        self.0.counters.served.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn agent(&self) -> &Agent {
        &self.0.agent
    }

    pub(crate) fn key(&self) -> &PrintKey {
        &self.0.key
    }

    pub(crate) fn broker(&self) -> &Broker {
        &self.0.broker
    }

    pub(crate) fn known(&self) -> &Known {
        &self.0.known
    }

    pub(crate) fn strangers(&self) -> &Semaphore {
        &self.0.strangers
    }

    pub(crate) fn breaker(&self, bucket: Bucket) -> &Arc<Breaker> {
        match bucket {
            Bucket::Git => &self.0.breakers[0],
            Bucket::Rest => &self.0.breakers[1],
        }
    }

    pub(crate) fn budget(&self) -> &Budget {
        &self.0.budget
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        &self.0.schedule
    }

    pub(crate) fn lookout(&self) -> &Lookout<Subject, Seen> {
        &self.0.lookout
    }

    pub(crate) fn latest(&self) -> &Latest {
        &self.0.latest
    }

    /// The mirrors of all upstreams.
    pub fn mirrors(&self) -> &Mirrors {
        &self.0.mirrors
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.0.counters
    }

    /// How a repository was last listed.
    pub(crate) fn dialect(&self, repository: RepositoryId) -> Option<Dialect> {
        lock(&self.0.dialects).get(&repository).cloned()
    }

    pub(crate) fn set_dialect(&self, repository: RepositoryId, dialect: Option<Dialect>) {
        let mut dialects = lock(&self.0.dialects);
        if dialects.len() > MOST_DIALECTS {
            dialects.clear();
        }
        match dialect {
            Some(dialect) => dialects.insert(repository, dialect),
            None => dialects.remove(&repository),
        };
    }

    /// Whether a repository was closed to whoever has no credential, a moment ago.
    pub(crate) fn is_private(&self, repository: RepositoryId) -> bool {
        lock(&self.0.private).get(&repository).is_some_and(|since| since.elapsed() < PRIVATE)
    }

    pub(crate) fn set_private(&self, repository: RepositoryId) {
        let mut private = lock(&self.0.private);
        private.retain(|_, since| since.elapsed() < PRIVATE);
        private.insert(repository, Instant::now());
    }

    /// Tells those who wait why, in the place of an earlier notice.
    pub(crate) fn notice(&self, subject: Subject, why: &str, until: Instant, before: Option<Notice>) -> Notice {
        let number = self.0.counters.notices.fetch_add(1, Ordering::Relaxed);
        lock(&self.0.notices).insert(subject, Said { why: why.to_owned(), until, by: number });
        drop(before);
        Notice { upstream: self.clone(), subject, number }
    }
}

impl Counters {
    pub(crate) fn asked(&self, bucket: Bucket) {
        let counter = match bucket {
            Bucket::Git => &self.git,
            Bucket::Rest => &self.rest,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn hid(&self, refusals: u64) {
        self.hidden.fetch_add(refusals, Ordering::Relaxed);
    }

    pub(crate) fn waited(&self, time: Duration) {
        self.worst.fetch_max(u64::try_from(time.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn question(&self) {
        self.questions.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn look(&self) {
        self.looks.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn fetched(&self, bytes: u64) {
        self.packs.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Notice {
    fn drop(&mut self) {
        let mut notices = lock(&self.upstream.0.notices);
        // Another may have put its own there.
        if notices.get(&self.subject).is_some_and(|said| said.by == self.number) {
            notices.remove(&self.subject);
        }
    }
}

fn bytes_of_version_8(mut bytes: [u8; 16]) -> [u8; 16] {
    bytes[6] = bytes[6] & 0x0f | 0x80;
    bytes[8] = bytes[8] & 0x3f | 0x80;
    bytes
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// How many repositories are remembered with how they are listed.
const MOST_DIALECTS: usize = 10_000;
/// How long a repository is taken for closed to whoever has no credential.
const PRIVATE: Duration = Duration::from_secs(10);
/// How many refusals of credentials of which nothing is known are waited for at once.
const STRANGERS: usize = 16;
