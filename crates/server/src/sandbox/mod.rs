//! A server that stands in for Bitbucket Cloud: its rules at any date, its words, and its faults on demand.
//!
//! Only for tests: it looks passwords up, and whoever reaches it may change its date and its faults.

mod control;
mod edge;
mod faults;
mod journal;
mod quota;

pub(crate) use control::routes;
pub(crate) use edge::dress;
pub use faults::{FaultError, Latency, SpuriousRefusals};
pub(crate) use journal::Journal;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use axum::http::StatusCode;
use doorward_rules::{Calendar, Permit, Reason, Surface, Timestamp, bitbucket_cloud};
use doorward_wire::bitbucket_cloud as words;

use crate::admit::{Asked, Wish};
use crate::context::Context;
use crate::diagnostics::Diagnostics;
use crate::refusal::Refusal;
use faults::Faults;
use quota::Quotas;

/// What Bitbucket Cloud answered before this is not known here.
pub const EARLIEST: Timestamp = Timestamp::utc(2021, 1, 1);

/// How a sandbox begins. All of it can be changed while it runs.
#[derive(Debug, Clone)]
pub struct SandboxSettings {
    /// What time it is there; the machine's time if `None`.
    pub at: Option<Timestamp>,
    /// Valid credentials that are refused now and then.
    pub spurious: SpuriousRefusals,
    /// How long each answer is held back.
    pub latency: Latency,
    /// Requests to the REST API that a credential may make in an hour; Bitbucket Cloud's number if `None`.
    pub rate_limit: Option<usize>,
    /// What the faults are drawn with: the same seed and the same requests give the same faults.
    pub seed: u64,
}

/// What makes a server a sandbox.
#[derive(Debug)]
pub(crate) struct Sandbox {
    calendar: Arc<Calendar>,
    faults: Mutex<Faults>,
    quotas: Mutex<Quotas>,
    journal: Mutex<Journal>,
}

/// What is answered instead of what the kernel said, or beside it.
pub(crate) struct Instead {
    pub(crate) refusal: Option<Refusal>,
    pub(crate) diagnostics: Diagnostics,
}

impl Sandbox {
    pub(crate) fn new(settings: &SandboxSettings) -> Self {
        Self {
            calendar: Arc::new(bitbucket_cloud::calendar()),
            faults: Mutex::new(Faults::new(settings)),
            quotas: Mutex::new(Quotas::new(settings.rate_limit)),
            journal: Mutex::default(),
        }
    }

    /// Bitbucket Cloud's calendar.
    pub(crate) fn calendar(&self) -> Arc<Calendar> {
        self.calendar.clone()
    }

    /// How long the next answer is held back.
    pub(crate) fn delay(&self) -> Duration {
        self.faults().delay()
    }

    /// The fault that this request meets, if it meets one, and what it is told about its limits.
    pub(crate) fn instead(
        &self,
        asked: &Asked,
        outcome: &Result<Permit, Reason>,
        wish: Wish<'_>,
        context: &Context,
    ) -> Instead {
        let facts = &asked.found.facts;
        let spent = self.quotas().spend(wish.surface, facts, context);
        let diagnostics = spent.diagnostics();
        if spent.reached {
            let refusal = Refusal::new(
                StatusCode::TOO_MANY_REQUESTS,
                "rate_limit",
                "more requests than an hour may have",
                "wait",
            )
            .on(wish.surface);
            self.journal().note_fault(asked, context, &wish.subject(), &refusal);
            let answer = words::rate_limited(wish.surface);
            return Instead { refusal: Some(refusal.worded(answer)), diagnostics };
        }
        let valid = outcome.is_ok() && facts.credential().is_some();
        let workspace = wish.named.workspace().map(|slug| slug.as_str());
        if valid && wish.surface == Surface::Git && self.faults().strike(workspace.unwrap_or_default(), Instant::now())
        {
            let refusal = Refusal::new(
                StatusCode::UNAUTHORIZED,
                "spurious_401",
                "this credential is valid, and refused all the same as Bitbucket Cloud does now and then",
                "try again in half a minute",
            );
            self.journal().note_fault(asked, context, &wish.subject(), &refusal);
            return Instead { refusal: Some(refusal.worded(words::spurious())), diagnostics };
        }
        Instead { refusal: None, diagnostics }
    }

    /// Notes a refusal, with what would have been answered on other days.
    pub(crate) fn note(&self, asked: &Asked, reason: &Reason, status: u16, context: &Context, subject: &str) {
        self.journal().note(asked, &self.calendar, reason, status, context, subject);
    }

    fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn quotas(&self) -> MutexGuard<'_, Quotas> {
        self.quotas.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn journal(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
