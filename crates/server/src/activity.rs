//! What a connection is doing, so that a server that stops does not close it between two requests of one git command.
//!
//! A git command makes several requests on one connection, the first of them usually answered 401 to ask for the
//! credential. When the connection is closed after that answer and no new one can be had, git takes the 401 for a
//! refusal: it says that authentication failed and erases the credential (the status of the last answer is all that
//! git's `handle_curl_result` looks at). So a stopping server waits until a connection has been quiet for a moment.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

/// The requests in flight on one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    requests: watch::Sender<usize>,
    /// Answers that have more to give, which nobody asks for: their client takes nothing.
    waiting: AtomicUsize,
    /// When an answer was last asked for more, in milliseconds since the connection began.
    moved: AtomicU64,
    began: Instant,
}

/// One request in flight, until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy {
    activity: Activity,
    waiting: bool,
}

impl Activity {
    pub(crate) fn new() -> Self {
        let requests = watch::Sender::new(0);
        let (waiting, moved) = (AtomicUsize::new(0), AtomicU64::new(0));
        Self(Arc::new(Inner { requests, waiting, moved, began: Instant::now() }))
    }

    pub(crate) fn begin(&self) -> Busy {
        self.0.requests.send_modify(|requests| *requests += 1);
        Busy { activity: self.clone(), waiting: false }
    }

    /// Resolves when there has been no request for this long, counted from now.
    pub(crate) async fn quiet_for(&self, time: Duration) {
        let mut requests = self.0.requests.subscribe();
        while requests.wait_for(|requests| *requests == 0).await.is_ok() {
            if timeout(time, requests.changed()).await.is_err() {
                return;
            }
        }
    }

    /// Resolves when an answer has been there for this long and the client has taken nothing of any.
    pub(crate) async fn stalled_for(&self, time: Duration) {
        let stalled = || {
            let moved = Duration::from_millis(self.0.moved.load(Ordering::Relaxed));
            self.0.waiting.load(Ordering::Relaxed) > 0 && self.0.began.elapsed() >= moved + time
        };
        while !stalled() {
            sleep(time / 4).await;
        }
    }
}

impl Busy {
    /// Notes whether the answer waits for its client: it has something to give and is not asked for it.
    pub(crate) fn set_waiting(&mut self, waiting: bool) {
        let inner = &self.activity.0;
        let moved = u64::try_from(inner.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        inner.moved.store(moved, Ordering::Relaxed);
        match (self.waiting, waiting) {
            (false, true) => inner.waiting.fetch_add(1, Ordering::Relaxed),
            (true, false) => inner.waiting.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
        self.waiting = waiting;
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.set_waiting(false);
        self.activity.0.requests.send_modify(|requests| *requests -= 1);
    }
}

/// Longer than a client on a slow line takes between an answer and its next request.
pub(crate) const MOMENT: Duration = Duration::from_secs(2);
