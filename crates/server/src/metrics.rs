//! What can be watched from outside, as Prometheus reads it.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use doorward_git::{AnswerCounts, Repositories};
use doorward_upstream::Upstream;
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
    packed: Counter,
    pushes: Family<AnsweredHow, Counter>,
    answer_bytes: Gauge,
    upstreams: Upstreams,
}

/// What became of what was asked of upstreams, by their names.
#[derive(Debug, Default)]
struct Upstreams {
    requests: Family<Asked, Counter>,
    hidden: Family<Named, Counter>,
    shared: Family<Named, Counter>,
    looks: Family<Named, Counter>,
    packs: Family<Named, Counter>,
    bytes: Family<Named, Counter>,
    served: Family<Named, Counter>,
    worst: Family<Named, Gauge>,
    left: Family<Asked, Gauge>,
    rests: Family<Named, Gauge>,
    ends: Family<Named, Gauge>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Named {
    upstream: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    upstream: String,
    surface: &'static str,
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
            packed: Counter::default(),
            pushes: Family::default(),
            answer_bytes: Gauge::default(),
            upstreams: Upstreams::default(),
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
        let about = "Fetches answered, by how: made, joined to one that was being made, kept from before, or passed to git for one client alone";
        registry.register("fetch_answers", about, metrics.answers.clone());
        let about = "Answers to fetches that were made without a git process";
        registry.register("fetch_answers_packed", about, metrics.packed.clone());
        let about = "Pushes carried out, by how: here, or by git receive-pack";
        registry.register("pushes", about, metrics.pushes.clone());
        registry.register(
            "fetch_answer_bytes",
            "Bytes of answers to fetches, kept or on their way",
            metrics.answer_bytes.clone(),
        );
        metrics.upstreams.register(&mut registry);
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
    pub(crate) fn render(&self, repositories: &Repositories, upstreams: &[Upstream]) -> String {
        // Nobody else reads while what is told is being put together.
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.upstreams.forget();
        upstreams.iter().for_each(|upstream| self.upstreams.set(upstream));
        let whole = |number: usize| i64::try_from(number).unwrap_or(i64::MAX);
        let (slots, answers) = (repositories.slots(), repositories.answers());
        self.places.set(whole(slots.long_free()));
        self.waiting.set(whole(slots.waiting()));
        self.answer_bytes.set(i64::try_from(answers.bytes).unwrap_or(i64::MAX));
        let AnswerCounts { made, packed, joined, kept, passed, .. } = answers;
        self.packed.inner().store(packed, Ordering::Relaxed);
        let pushes = repositories.pushes();
        for (how, count) in [("here", pushes.here()), ("git", pushes.by_git())] {
            self.pushes.get_or_create(&AnsweredHow { how }).inner().store(count, Ordering::Relaxed);
        }
        for (how, count) in [("made", made), ("joined", joined), ("kept", kept), ("passed", passed)] {
            self.answers.get_or_create(&AnsweredHow { how }).inner().store(count, Ordering::Relaxed);
        }
        let mut text = String::new();
        // Writing to a string does not fail.
        let _ = encode(&mut text, &registry);
        text
    }
}

impl Upstreams {
    fn register(&self, registry: &mut Registry) {
        let about = "Requests to an upstream";
        registry.register("upstream_requests", about, self.requests.clone());
        let about = "Refusals of good credentials by an upstream that no job has seen";
        registry.register("upstream_hidden_refusals", about, self.hidden.clone());
        let about = "Questions about an upstream's refs that were answered with the look of another";
        registry.register("upstream_shared_looks", about, self.shared.clone());
        registry.register("upstream_looks", "Looks at an upstream's refs", self.looks.clone());
        registry.register("upstream_packs", "Packs that were fetched from an upstream", self.packs.clone());
        registry.register("upstream_fetched_bytes", "Bytes of them", self.bytes.clone());
        let about = "Bytes of answers to fetches from an upstream's mirrors";
        registry.register("upstream_served_bytes", about, self.served.clone());
        let about = "The longest time that a request to an upstream took to be answered, with all its attempts";
        registry.register("upstream_worst_wait_milliseconds", about, self.worst.clone());
        let about = "Requests that the credential may still make in this hour that has made most";
        registry.register("upstream_budget_left", about, self.left.clone());
        let about = "When the gateway's own credential for an upstream ends, in seconds since 1970; absent if that is not known";
        registry.register("upstream_credential_ends_seconds", about, self.ends.clone());
        let about = "1 while an upstream is left alone because it does not answer";
        registry.register("upstream_resting", about, self.rests.clone());
    }

    /// Of those that there are no more, nothing is told.
    fn forget(&self) {
        let Self { requests, hidden, shared, looks, packs, bytes, served, worst, left, rests, ends } = self;
        for family in [hidden, shared, looks, packs, bytes, served] {
            family.clear();
        }
        for family in [worst, rests, ends] {
            family.clear();
        }
        requests.clear();
        left.clear();
    }

    fn set(&self, upstream: &Upstream) {
        let counts = upstream.counts();
        let name = upstream.settings().name.clone();
        let named = Named { upstream: name.clone() };
        for (family, count) in [
            (&self.hidden, counts.hidden),
            (&self.shared, counts.shared),
            (&self.looks, counts.looks),
            (&self.packs, counts.packs),
            (&self.bytes, counts.fetched_bytes),
            (&self.served, counts.served_bytes),
        ] {
            family.get_or_create(&named).inner().store(count, Ordering::Relaxed);
        }
        for (surface, asked, left) in
            [("git", counts.git_asked, counts.git_left), ("rest", counts.rest_asked, counts.rest_left)]
        {
            let asked_of = Asked { upstream: name.clone(), surface };
            self.requests.get_or_create(&asked_of).inner().store(asked, Ordering::Relaxed);
            self.left.get_or_create(&asked_of).set(left.into());
        }
        self.worst.get_or_create(&named).set(i64::try_from(counts.worst_wait_ms).unwrap_or(i64::MAX));
        self.rests.get_or_create(&named).set(counts.rests.into());
        if let Some(end) = upstream.credential_ends() {
            self.ends.get_or_create(&named).set(end.0 / 1000);
        }
    }
}

/// Seconds: from an answer out of memory to a large clone over a slow line.
const BUCKETS: [f64; 12] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 10.0, 60.0, 600.0];
