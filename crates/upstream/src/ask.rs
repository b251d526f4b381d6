//! One request to an upstream, tried until it says something that is meant.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use http::header::RETRY_AFTER;
use thiserror::Error;
use tokio::time::{sleep, timeout_at};

use crate::agent::{Answer, Body, NoAnswer};
use crate::budget::Bucket;
use crate::upstream::Subject;
use crate::waits::Waits;
use crate::{Caller, Upstream};

/// A question that got no answer: the upstream could not be reached, had trouble of its own, or took no more. It says nothing about
/// whoever asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{why}")]
pub struct Unanswered {
    /// What happened, in words.
    pub why: String,
    /// Whether the upstream asked for fewer requests.
    pub limited: bool,
    /// Whether the request may have been carried out all the same.
    pub unsure: bool,
    /// When to come again.
    pub retry_after: Duration,
}

impl Unanswered {
    /// One of which it is certain that nothing was carried out.
    pub(crate) fn new(why: String, retry_after: Duration) -> Self {
        Self { why, limited: false, unsure: false, retry_after }
    }
}

/// What a request may do at the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// Nothing: it may be made as often as one likes.
    Reads,
    /// Something: it is made again only if it is certain that it was not carried out.
    Changes,
}

/// What is asked on whose behalf.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Question<'a> {
    pub(crate) caller: Option<&'a Caller>,
    pub(crate) subject: Subject,
    pub(crate) bucket: Bucket,
    pub(crate) effect: Effect,
    /// Set when all of the request was taken, whether there was an answer or not.
    pub(crate) arrived: &'a AtomicBool,
}

/// What came of one attempt.
enum Attempt {
    /// The upstream means what it says.
    Said(http::Response<Answer>),
    /// It may say something else the next time.
    Again {
        why: String,
        /// What it said, if that is to be passed on should it not change.
        said: Option<http::Response<Answer>>,
        at_least: Option<Duration>,
        limited: bool,
        refused: bool,
    },
    /// Nobody knows whether it was carried out.
    Unsure(String),
}

impl Upstream {
    /// Makes a request until the upstream says something that is meant, or patience is over.
    ///
    /// A refusal of a credential that worked before is not taken for meant at first.
    pub(crate) async fn ask(
        &self,
        question: Question<'_>,
        make: impl Fn() -> io::Result<http::Request<Body>>,
    ) -> Result<http::Response<Answer>, Unanswered> {
        let settings = self.settings();
        let began = Instant::now();
        let deadline = began + settings.patience;
        let print = question.caller.map(Caller::print);
        let whole = AtomicBool::new(false);
        let (mut waits, mut hidden, mut doubted) = (Waits::default(), 0, None);
        let mut notice = None;
        loop {
            let in_an_hour = match question.bucket {
                Bucket::Git => settings.git_per_hour,
                Bucket::Rest => settings.rest_per_hour,
            };
            if let Err(wait) = self.budget().take(print, question.bucket, in_an_hour, deadline, self.schedule()).await {
                let why = format!("{} allows no more requests for now", settings.name);
                return Err(Unanswered { why, limited: true, unsure: false, retry_after: wait });
            }
            // The last thing to wait for: whoever has leave to find out whether the upstream is back must not wait for anything else.
            let Some(leave) = self.breaker(question.bucket).leave(deadline).await else {
                let why = format!("{} does not answer", settings.name);
                return Err(Unanswered::new(why, SOON));
            };
            self.counters().asked(question.bucket);
            let request =
                make().map_err(|error| Unanswered::new(format!("the request cannot be read again: {error}"), SOON))?;
            let sent = self.agent().send(request, &whole);
            let answer = match question.effect {
                // Whoever waits is not kept longer for an upstream that says nothing.
                Effect::Reads => timeout_at(deadline.into(), sent).await.unwrap_or_else(|_| Err(silent())),
                Effect::Changes => sent.await,
            };
            question.arrived.fetch_or(whole.load(Ordering::Relaxed), Ordering::Relaxed);
            match &answer {
                Ok(response) if !is_trouble(response.status()) => leave.answered(),
                _ => leave.failed(),
            }
            drop(leave);
            let attempt = self.judge(question, answer);
            let (why, said, at_least, limited, refused) = match attempt {
                Attempt::Said(response) => {
                    if response.status().is_success() {
                        self.note_good(question, hidden, began.elapsed());
                    }
                    return Ok(response);
                }
                Attempt::Unsure(why) => {
                    return Err(Unanswered { why, limited: false, unsure: true, retry_after: SOON });
                }
                Attempt::Again { why, said, at_least, limited, refused } => (why, said, at_least, limited, refused),
            };
            if limited {
                self.budget().close(print, question.bucket, at_least.unwrap_or(LIMITED));
            }
            hidden += u64::from(refused);
            let until = match refused {
                true => *doubted.get_or_insert_with(Instant::now) + settings.doubt,
                false => deadline,
            };
            let left = until.min(deadline).saturating_duration_since(Instant::now());
            let wait = self.schedule().place(waits.next(at_least));
            // It is tried once more at the end, unless it was told to come later.
            let wait = if at_least.is_none_or(|at_least| at_least < left) { wait.min(left) } else { wait };
            if wait > left || left < LAST {
                if let (true, Some(print)) = (refused, print) {
                    self.known().refused(print, question.bucket);
                }
                return match said {
                    Some(response) => Ok(response),
                    None => Err(Unanswered { why, limited, unsure: false, retry_after: at_least.unwrap_or(SOON) }),
                };
            }
            tracing::debug!(upstream = settings.name, why, wait_ms = wait.as_millis(), "it is tried again");
            notice = Some(self.notice(question.subject, &why, until.min(deadline), notice));
            sleep(wait).await;
        }
    }

    /// What to make of an answer.
    fn judge(&self, question: Question<'_>, answer: Result<http::Response<Answer>, NoAnswer>) -> Attempt {
        let name = &self.settings().name;
        let response = match answer {
            Ok(response) => response,
            Err(NoAnswer { why, unsent }) if question.effect == Effect::Reads || unsent => {
                let why = format!("{name} could not be asked: {why}");
                return Attempt::Again { why, said: None, at_least: None, limited: false, refused: false };
            }
            Err(NoAnswer { why, .. }) => {
                return Attempt::Unsure(format!("the connection to {name} broke off: {why}"));
            }
        };
        let (status, at_least) = (response.status(), retry_after(&response));
        match status {
            StatusCode::UNAUTHORIZED
                if question.caller.is_some_and(|caller| self.known().doubts(caller.print(), question.bucket)) =>
            {
                let why = format!("{name} refused a credential that worked before");
                Attempt::Again { why, said: Some(response), at_least: None, limited: false, refused: true }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let why = format!("{name} asked for fewer requests");
                Attempt::Again { why, said: None, at_least, limited: true, refused: false }
            }
            // It may have been done before something went wrong.
            _ if is_trouble(status) && question.effect == Effect::Changes => Attempt::Said(response),
            _ if is_trouble(status) => {
                let why = format!("{name} had trouble of its own ({})", status.as_u16());
                Attempt::Again { why, said: None, at_least, limited: false, refused: false }
            }
            _ => Attempt::Said(response),
        }
    }

    /// Notes that an upstream has let a credential in, after it had refused it so often.
    fn note_good(&self, question: Question<'_>, hidden: u64, waited: Duration) {
        if let Some(caller) = question.caller {
            self.known().worked(caller.print(), question.bucket, caller.kind().is_some());
        }
        if hidden > 0 {
            self.known().was_flaky();
            self.counters().hid(hidden);
        }
        self.counters().waited(waited);
    }
}

/// Whether a status tells of trouble at the upstream rather than of the request.
pub(crate) fn is_trouble(status: StatusCode) -> bool {
    status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED || status == StatusCode::REQUEST_TIMEOUT
}

/// When an answer says that one may come again: seconds, or a moment (RFC 9110, section 10.2.3).
fn retry_after(response: &http::Response<Answer>) -> Option<Duration> {
    let text = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let wait = match text.trim().parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(wait.min(FAR))
}

fn silent() -> NoAnswer {
    NoAnswer { why: "it has not answered in time".into(), unsent: false }
}

/// What is left when it is not worth another try.
const LAST: Duration = Duration::from_millis(100);
/// When to come again to an upstream that has trouble.
const SOON: Duration = Duration::from_secs(15);
/// How long an upstream is left alone that asked for fewer requests and did not say for how long.
const LIMITED: Duration = Duration::from_secs(10);
/// The longest time that an upstream is believed to mean.
const FAR: Duration = Duration::from_secs(3600);
