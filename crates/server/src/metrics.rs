//! What can be watched from outside, as Prometheus reads it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use doorward_git::{AnswerCounts, Repositories};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// The server's metrics. No label is ever a name that clients choose, so their number is bounded.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<Answered, Counter>,
    seconds: Family<Route, Histogram>,
    bytes: Counter,
    refusals: Family<Refused, Counter>,
    pub(crate) in_flight: Gauge,
    connections: Gauge,
    places: Gauge,
    waiting: Gauge,
    answers: Family<AnsweredHow, Counter>,
    answer_bytes: Gauge,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    route: &'static str,
    status: u32,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    route: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnsweredHow {
    how: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Refused {
    reason: &'static str,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let metrics = Self {
            registry: Mutex::new(Registry::with_prefix("doorward")),
            requests: Family::default(),
            seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            bytes: Counter::default(),
            refusals: Family::default(),
            in_flight: Gauge::default(),
            connections: Gauge::default(),
            places: Gauge::default(),
            waiting: Gauge::default(),
            answers: Family::default(),
            answer_bytes: Gauge::default(),
        };
        let mut registry = metrics.registry.lock().unwrap_or_else(PoisonError::into_inner);
        registry.register("requests", "Requests answered, by route and status", metrics.requests.clone());
        registry.register(
            "request_seconds",
            "Time from a request's head to the end of its answer",
            metrics.seconds.clone(),
        );
        registry.register("sent_bytes", "Bytes of answers, without their heads", metrics.bytes.clone());
        registry.register("refusals", "Requests refused, by reason", metrics.refusals.clone());
        registry.register("requests_in_flight", "Requests being answered now", metrics.in_flight.clone());
        registry.register("connections", "Connections open now", metrics.connections.clone());
        registry.register("git_places_free", "Pushes that could begin now", metrics.places.clone());
        registry.register("git_waiting", "Requests that wait for a git process", metrics.waiting.clone());
        let about = "Fetches answered, by how: made by git, joined to one that was being made, kept from before, or passed to git for one client alone";
        registry.register("fetch_answers", about, metrics.answers.clone());
        registry.register(
            "fetch_answer_bytes",
            "Bytes of answers to fetches, kept or on their way",
            metrics.answer_bytes.clone(),
        );
        drop(registry);
        metrics
    }

    /// Counts a connection until what this returns is dropped.
    pub(crate) fn count_connection(&self) -> impl Drop + use<> {
        struct Counted(Gauge);
        impl Drop for Counted {
            fn drop(&mut self) {
                self.0.dec();
            }
        }
        self.connections.inc();
        Counted(self.connections.clone())
    }

    pub(crate) fn answered(&self, route: &'static str, status: u16, seconds: f64, bytes: u64) {
        self.requests.get_or_create(&Answered { route, status: status.into() }).inc();
        self.seconds.get_or_create(&Route { route }).observe(seconds);
        self.bytes.inc_by(bytes);
    }

    pub(crate) fn refused(&self, reason: &'static str) {
        self.refusals.get_or_create(&Refused { reason }).inc();
    }

    /// Everything in the text format of OpenMetrics.
    pub(crate) fn render(&self, repositories: &Repositories) -> String {
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (slots, answers) = (repositories.slots(), repositories.answers());
        self.places.set(whole(slots.long_free()));
        self.waiting.set(whole(slots.waiting()));
        self.answer_bytes.set(i64::try_from(answers.bytes).unwrap_or(i64::MAX));
        let AnswerCounts { made, joined, kept, passed, .. } = answers;
        for (how, count) in [("made", made), ("joined", joined), ("kept", kept), ("passed", passed)] {
            self.answers.get_or_create(&AnsweredHow { how }).inner().store(count, Ordering::Relaxed);
        }
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

/// Seconds: from an answer out of memory to a large clone over a slow line.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0, 600.0];
