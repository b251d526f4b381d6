//! What a connection is doing, so that a server that stops does not close it between two requests of one git command.
//!
//! A git command makes several requests on one connection, the first of them usually answered 401 to ask for the
//! credential. When the connection is closed after that answer and no new one can be had, git takes the 401 for a
//! refusal: it says that authentication failed and erases the credential (the status of the last answer is all that
//! git's `handle_curl_result` looks at). So a stopping server waits until a connection has been quiet for a moment.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

/// The number of requests in flight on one connection. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Activity(Arc<watch::Sender<usize>>);

/// One request in flight, until this is dropped.
#[derive(Debug)]
pub(crate) struct Busy(Activity);

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(0)))
    }

    pub(crate) fn begin(&self) -> Busy {
        self.0.send_modify(|requests| *requests += 1);
        Busy(self.clone())
    }

    /// Resolves when there has been no request for a moment, counted from now.
    pub(crate) async fn quiet(&self) {
        let mut requests = self.0.subscribe();
        while requests.wait_for(|requests| *requests == 0).await.is_ok() {
            if timeout(MOMENT, requests.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.0.send_modify(|requests| *requests -= 1);
    }
}

/// Longer than a client on a slow line takes between an answer and its next request.
const MOMENT: Duration = Duration::from_secs(1);
