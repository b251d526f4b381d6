//! One request to an upstream, tried until it says something that is meant.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use http::StatusCode;
use http::header::RETRY_AFTER;
use thiserror::Error;
use tokio::sync::SemaphorePermit;
use tokio::time::timeout_at;

use crate::agent::{Answer, Body, NoAnswer};
use crate::budget::Bucket;
use crate::known::Doubt;
use crate::settings::REST_PER_HOUR;
use crate::upstream::Subject;
use crate::waits::Waits;
use crate::{Caller, Forms, Upstream};

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
    /// Until when it is tried.
    pub(crate) deadline: Instant,
    /// Whether trouble is passed on as the upstream tells of it, if it does not pass.
    pub(crate) verbatim: bool,
    /// Whether it is a look at refs, which somebody without a credential may have of what is public.
    pub(crate) look: bool,
    /// Set when all of the request was taken, and no answer told that nothing came of it.
    pub(crate) arrived: &'a AtomicBool,
}

impl<'a> Question<'a> {
    /// One of git's that changes nothing and is no look.
    pub(crate) fn of_git(
        caller: Option<&'a Caller>,
        subject: Subject,
        deadline: Instant,
        arrived: &'a AtomicBool,
    ) -> Self {
        let (bucket, effect) = (Bucket::Git, Effect::Reads);
        Self { caller, subject, bucket, effect, deadline, verbatim: false, look: false, arrived }
    }
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
        let began = Instant::now();
        let answered = self.ask_patiently(question, make).await;
        self.counters().waited(began.elapsed());
        answered
    }

    async fn ask_patiently(
        &self,
        mut question: Question<'_>,
        make: impl Fn() -> io::Result<http::Request<Body>>,
    ) -> Result<http::Response<Answer>, Unanswered> {
        let settings = self.settings();
        let reserve = LAST_TRY.min(settings.patience / 10);
        // A refusal is believed only after it was doubted for as long as that.
        let doubt = settings.doubt.min(settings.patience.saturating_sub(2 * reserve));
        let print = question.caller.map(Caller::print);
        let (mut waits, mut hidden, mut doubted) = (Waits::default(), 0, None);
        let (mut notice, mut stranger) = (None, None);
        loop {
            let answer = self.ask_once(question, &make).await?;
            let (why, said, at_least, limited, refused) = match self.judge(question, answer, &mut stranger) {
                Attempt::Said(response) => {
                    if response.status().is_success() {
                        self.note_good(question, hidden);
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
                true => *doubted.get_or_insert_with(Instant::now) + doubt,
                false => question.deadline,
            };
            // What went before may have taken all the time that there was.
            if refused {
                question.deadline = question.deadline.max(until + reserve);
            }
            let deadline = question.deadline;
            // Whoever is told to wait to the end is tried once more before it.
            let last = deadline.checked_sub(reserve).unwrap_or(deadline);
            let left = until.min(last).saturating_duration_since(Instant::now());
            let drawn = waits.next(at_least);
            let turn = self.schedule().place(if at_least.is_some() { drawn } else { drawn.min(left) });
            if left < LEAST
                || at_least.is_some_and(|at_least| at_least >= left)
                || Instant::now() + turn.wait >= deadline
            {
                let is_doubted_enough = doubted.is_some_and(|since| since.elapsed() + LEAST >= doubt);
                if refused && !is_doubted_enough {
                    return Err(Unanswered::new(why, SOON));
                }
                if refused && self.believe(question) {
                    let why = format!("{} refuses everybody at the moment, which is not believed", settings.name);
                    return Err(Unanswered::new(why, SOON));
                }
                return match said.filter(|_| refused || (question.verbatim && !limited)) {
                    Some(response) => Ok(response),
                    None => Err(Unanswered { why, limited, unsure: false, retry_after: at_least.unwrap_or(SOON) }),
                };
            }
            // Its connection is of use to others meanwhile.
            drop(said);
            tracing::debug!(upstream = settings.name, why, wait_ms = turn.wait.as_millis(), "it is tried again");
            notice = Some(self.notice(question.subject, &why, until.min(deadline), notice));
            turn.come().await;
        }
    }

    /// Makes a request once, when it may be made.
    async fn ask_once(
        &self,
        question: Question<'_>,
        make: &impl Fn() -> io::Result<http::Request<Body>>,
    ) -> Result<Result<http::Response<Answer>, NoAnswer>, Unanswered> {
        let settings = self.settings();
        let Question { bucket, deadline, effect, .. } = question;
        let print = question.caller.map(Caller::print);
        let in_an_hour = match bucket {
            Bucket::Git => settings.git_per_hour,
            Bucket::Rest => settings.rest_per_hour,
        };
        if let Err(wait) = self.budget().take(print, bucket, in_an_hour, deadline, self.schedule()).await {
            let why = format!("this gateway leaves the rest of what {} allows in an hour to people", settings.name);
            return Err(Unanswered { why, limited: true, unsure: false, retry_after: wait });
        }
        // The last thing to wait for: whoever has leave to find out whether the upstream is back must not wait for anything else.
        let Some(leave) = self.breaker(bucket).leave(deadline, effect == Effect::Reads).await else {
            self.budget().give_back(print, bucket);
            let why = format!("{} does not answer", settings.name);
            return Err(Unanswered::new(why, SOON));
        };
        if leave.waited {
            // All who waited are let go at once, and come one after the other.
            self.schedule().place(Duration::ZERO).come().await;
        }
        self.counters().asked(bucket);
        let request =
            make().map_err(|error| Unanswered::new(format!("the request cannot be read again: {error}"), SOON))?;
        let (whole, sent_at) = (AtomicBool::new(false), Instant::now());
        let sent = self.agent().send(request, &whole);
        let answer = match effect {
            // Whoever waits is not kept longer for an upstream that says nothing.
            Effect::Reads => timeout_at(deadline.into(), sent).await.unwrap_or_else(|_| Err(silent())),
            Effect::Changes => sent.await,
        };
        let is_unclear = answer.as_ref().map_or(true, |response| is_trouble(response.status()));
        question.arrived.fetch_or(is_unclear && whole.load(Ordering::Relaxed), Ordering::Relaxed);
        // What refusals say of limits is not about this credential, and other hosts count otherwise.
        let says_limits = bucket == Bucket::Rest && settings.forms == Forms::BitbucketCloud;
        let good = answer.as_ref().ok().filter(|answer| says_limits && answer.status().is_success());
        if let Some(limit) = good.and_then(limit_of) {
            // Whoever has set another one than the usual may want less.
            let limit = if in_an_hour == REST_PER_HOUR { limit } else { limit.min(in_an_hour) };
            self.budget().note_limit(print, bucket, limit);
        }
        match &answer {
            Ok(response) if !is_trouble(response.status()) => leave.answered(),
            // It had hardly time to answer.
            Err(_) if Instant::now() >= deadline && sent_at.elapsed() < SILENT => {}
            _ => leave.failed(),
        }
        Ok(answer)
    }

    /// Believes a refusal; whether it is one of everybody, which is believed of nobody.
    fn believe(&self, question: Question<'_>) -> bool {
        match question.caller {
            Some(caller) => self.known().refused(caller.print(), question.bucket, question.subject.repository),
            None => {
                self.known().closed(question.subject.repository);
                false
            }
        }
    }

    /// What to make of an answer.
    fn judge<'a>(
        &'a self,
        question: Question<'_>,
        answer: Result<http::Response<Answer>, NoAnswer>,
        stranger: &mut Option<SemaphorePermit<'a>>,
    ) -> Attempt {
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
            StatusCode::UNAUTHORIZED if self.doubts(question, stranger) => {
                let why = format!("{name} refused what it let in before");
                Attempt::Again { why, said: Some(response), at_least: None, limited: false, refused: true }
            }
            StatusCode::TOO_MANY_REQUESTS => {
                let why = format!("{name} asked for fewer requests");
                Attempt::Again { why, said: Some(response), at_least, limited: true, refused: false }
            }
            // It may have been done before something went wrong.
            _ if is_trouble(status) && question.effect == Effect::Changes => Attempt::Said(response),
            _ if is_trouble(status) => {
                let why = format!("{name} had trouble of its own ({})", status.as_u16());
                Attempt::Again { why, said: Some(response), at_least, limited: false, refused: false }
            }
            _ => Attempt::Said(response),
        }
    }

    /// Whether a refusal is not taken for meant. Few are waited for at once of whom nothing is known: they may be anybody.
    fn doubts<'a>(&'a self, question: Question<'_>, stranger: &mut Option<SemaphorePermit<'a>>) -> bool {
        let repository = question.subject.repository;
        let Some(caller) = question.caller else { return question.look && self.known().is_open(repository) };
        match self.known().doubts(caller.print(), question.bucket, repository) {
            Doubt::None => false,
            Doubt::OfKnown => true,
            Doubt::OfStranger => {
                if stranger.is_none() {
                    *stranger = self.strangers().try_acquire().ok();
                }
                stranger.is_some()
            }
        }
    }

    /// Notes that an upstream has let a credential in, after it had refused it so often.
    fn note_good(&self, question: Question<'_>, hidden: u64) {
        let repository = question.subject.repository;
        match question.caller {
            Some(caller) => {
                self.known().worked(caller.print(), question.bucket, repository, caller.kind().is_some());
            }
            None if question.look => self.known().opened(repository),
            None => {}
        }
        if hidden > 0 {
            self.known().was_flaky();
            self.counters().hid(hidden);
        }
    }
}

/// Whether a status tells of trouble at the upstream that may pass, rather than of the request. Bitbucket Cloud says 555 of what takes
/// it too long, however often it is asked.
pub(crate) fn is_trouble(status: StatusCode) -> bool {
    let lasts = [501, 505, 508, 510, 511, 555].contains(&status.as_u16());
    status.is_server_error() && !lasts || status == StatusCode::REQUEST_TIMEOUT
}

/// How many requests an hour has for this credential, as Bitbucket Cloud says it: `1000`, or `60, 60;w=3600` to who has none.
fn limit_of(response: &http::Response<Answer>) -> Option<u32> {
    let text = response.headers().get("x-ratelimit-limit")?.to_str().ok()?;
    let window = text.split_once("w=").and_then(|(_, seconds)| seconds.trim().parse::<u32>().ok());
    if window.is_some_and(|seconds| seconds != 3600) {
        return None;
    }
    text.split([',', ';']).next()?.trim().parse().ok().filter(|limit| *limit > 0)
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
const LEAST: Duration = Duration::from_millis(100);
/// How long before the end of patience it is tried for the last time, at most.
const LAST_TRY: Duration = Duration::from_secs(2);
/// Who says nothing for so long has trouble.
const SILENT: Duration = Duration::from_secs(5);
/// When to come again to an upstream that has trouble.
pub(crate) const SOON: Duration = Duration::from_secs(15);
/// How long an upstream is left alone that asked for fewer requests and did not say for how long.
const LIMITED: Duration = Duration::from_secs(10);
/// The longest time that an upstream is believed to mean.
const FAR: Duration = Duration::from_secs(3600);
