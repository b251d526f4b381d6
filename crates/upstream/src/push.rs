//! A push, passed on: sent again only if it is certain that nothing of it was done, and looked after if nobody knows.

use std::collections::HashMap;
use std::fs::File;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use doorward_git::Listing;
use doorward_rules::{Surface, Timestamp};
use doorward_wire::{ObjectId, PktLine, RefUpdate, RepositoryName};
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderValue, Method};

use crate::agent::{Answer, Bytes, collect, file};
use crate::ask::{Effect, Question, is_trouble};
use crate::look::{request, turned};
use crate::upstream::Subject;
use crate::waits::Waits;
use crate::{Caller, Hindered, Seen, Turned, Unanswered, Upstream};

/// A push that was received whole.
#[derive(Debug)]
pub struct Push {
    /// All of it, as it was sent.
    pub content: File,
    /// How long it is.
    pub length: u64,
    /// What it asks for.
    pub updates: Vec<RefUpdate>,
}

/// What became of a push.
#[derive(Debug)]
pub enum Pushed {
    /// What the upstream said of it.
    Answered(Bytes),
    /// It was not taken from this caller.
    Turned(Turned),
    /// The upstream broke off; what its refs are now tells which updates were made. For each update that was not, why.
    Settled(Vec<Option<String>>),
}

/// What refs tell of a push.
enum Found {
    /// Nothing of it was done.
    Nothing,
    /// For each update, whether it was made; and if not, why not.
    Something(Vec<Option<String>>),
}

/// What became of one update, as far as where its ref leads now tells.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Came {
    Made,
    NotDone,
    MovedOn,
}

impl Came {
    fn of(update: &RefUpdate, there: Option<&[u8]>) -> Self {
        let is = |id: &ObjectId| match there {
            Some(there) => there == id.as_str().as_bytes(),
            None => id.is_null(),
        };
        match () {
            () if is(&update.new) => Self::Made,
            () if is(&update.old) => Self::NotDone,
            () => Self::MovedOn,
        }
    }
}

impl Found {
    fn of(all: &[Came]) -> Self {
        if all.iter().all(|came| *came == Came::NotDone) {
            return Self::Nothing;
        }
        let why = |came: &Came| match came {
            Came::Made => None,
            Came::NotDone => Some("it was not done; push again to hear why".to_owned()),
            Came::MovedOn => Some("whether it was done is not known: it was moved since; fetch, and look".to_owned()),
        };
        Self::Something(all.iter().map(why).collect())
    }
}

impl Upstream {
    /// What the upstream says before a push, to this caller.
    ///
    /// # Errors
    /// [`Unanswered`] if it cannot be asked now.
    pub async fn before_push(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        now: Timestamp,
    ) -> Result<Result<http::Response<Answer>, Turned>, Unanswered> {
        let header = match self.authorization(caller, Surface::Git, now) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(Turned::Here(reason))),
        };
        let url = self.url_of(name, "info/refs?service=git-receive-pack");
        let arrived = AtomicBool::new(false);
        let deadline = Instant::now() + self.settings().patience;
        let question = self.question(name, caller, Effect::Reads, deadline, &arrived);
        let get = || {
            let mut request = request(Method::GET, &url, header.as_ref(), crate::agent::whole(""))?;
            request.headers_mut().remove("git-protocol");
            Ok(request)
        };
        let response = self.ask(question, get).await?;
        if response.status().is_success() { Ok(Ok(response)) } else { Ok(Err(turned(response).await)) }
    }

    /// Passes a push on.
    ///
    /// # Errors
    /// [`Unanswered`] if it could not be passed on; or, if `unsure`, if nobody knows whether it was done.
    pub async fn push(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        push: &Push,
        now: Timestamp,
    ) -> Result<Pushed, Unanswered> {
        let header = match self.authorization(caller, Surface::Git, now) {
            Ok(header) => header,
            Err(reason) => return Ok(Pushed::Turned(Turned::Here(reason))),
        };
        let url = self.url_of(name, "git-receive-pack");
        let arrived = AtomicBool::new(false);
        let deadline = Instant::now() + self.settings().patience;
        let question = self.question(name, caller, Effect::Changes, deadline, &arrived);
        let post = || {
            let mut request = request(Method::POST, &url, header.as_ref(), file(&push.content, push.length)?)?;
            let headers = request.headers_mut();
            headers.remove("git-protocol");
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-git-receive-pack-request"));
            headers.insert(CONTENT_LENGTH, HeaderValue::from(push.length));
            Ok(request)
        };
        let (mut waits, mut again) = (Waits::default(), false);
        let mut before = String::new();
        loop {
            let broken = match self.ask(question, post).await {
                Ok(response) if response.status().is_success() => {
                    match collect(response.into_body(), LONGEST_REPORT).await {
                        // One that was sent twice may be refused because the first was done after all.
                        Ok(report) if again => {
                            return Ok(match self.find_out(name, caller, push, now).await {
                                Ok(Found::Something(made)) => Pushed::Settled(made),
                                _ => Pushed::Answered(report.into()),
                            });
                        }
                        Ok(report) => return Ok(Pushed::Answered(report.into())),
                        Err(no) => no.why,
                    }
                }
                Ok(response) if is_trouble(response.status()) => {
                    format!("{} had trouble of its own ({})", self.settings().name, response.status().as_u16())
                }
                Ok(response) => return Ok(Pushed::Turned(turned(response).await)),
                Err(unanswered) if unanswered.unsure => unanswered.why,
                // An earlier try may have arrived, and be at work still.
                Err(mut unanswered) => {
                    unanswered.unsure = arrived.load(Ordering::Relaxed);
                    unanswered.why = format!("{before}{}", unanswered.why);
                    return Err(unanswered);
                }
            };
            let _notice = self.notice(question.subject, &format!("{broken}; looking what was done"), deadline, None);
            match self.find_out(name, caller, push, now).await? {
                Found::Something(made) => return Ok(Pushed::Settled(made)),
                Found::Nothing => {}
            }
            let turn = self.schedule().place(waits.next(None));
            if Instant::now() + turn.wait > deadline {
                // What has arrived whole may be at work still, however long that takes.
                let unsure = arrived.load(Ordering::Relaxed);
                let end =
                    if unsure { "nothing was changed so far; it may still be done" } else { "nothing was changed" };
                let (why, retry_after) = (format!("{broken}; {end}"), turn.wait);
                return Err(Unanswered { why, limited: false, unsure, retry_after });
            }
            (again, before) = (true, format!("{broken}; then "));
            turn.come().await;
        }
    }

    /// Looks what became of a push of which nobody has said it.
    async fn find_out(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        push: &Push,
        now: Timestamp,
    ) -> Result<Found, Unanswered> {
        match self.look(name, caller, now).await {
            Seen::Refs(refs) => self.found(name, caller, &refs, &push.updates, now).await,
            Seen::Old => Err(unsure("the upstream does not list refs in a way that is known")),
            // Who may push may be one who may not fetch, and is told of refs before a push all the same.
            Seen::Turned(turned) => match self.before_push(name, caller, now).await {
                Ok(Ok(response)) => {
                    let listed = collect(response.into_body(), LONGEST_REPORT).await.map_err(|no| unsure(&no.why))?;
                    let refs = listed_before_push(&listed).ok_or_else(|| unsure("its refs cannot be read"))?;
                    // Of one that was moved on since, this list does not tell more.
                    let there = |update: &RefUpdate| refs.get(update.name.as_bytes()).map(Vec::as_slice);
                    let came = push.updates.iter().map(|update| Came::of(update, there(update)));
                    Ok(Found::of(&came.collect::<Vec<_>>()))
                }
                _ => Err(unsure(&turned.to_string())),
            },
            Seen::Unanswered(unanswered) => Err(unsure(&Arc::unwrap_or_clone(unanswered).why)),
        }
    }

    /// What refs tell of updates. One that was moved on since may have been made all the same: then what it was moved to leads back.
    async fn found(
        &self,
        name: &RepositoryName,
        caller: Option<&Caller>,
        refs: &Listing,
        updates: &[RefUpdate],
        now: Timestamp,
    ) -> Result<Found, Unanswered> {
        let mut all = Vec::new();
        for update in updates {
            let there = refs.find(update.name.as_bytes());
            let is_ancestor = || async {
                let (Some(there), false) = (there, update.new.is_null()) else { return Ok(false) };
                let ready = self.ready(name, caller, refs, vec![there.into()], false, now).await;
                ready.map_err(|hindered| match hindered {
                    Hindered::Unanswered(unanswered) => unanswered,
                    Hindered::Absent(why) => unsure(&why),
                    Hindered::Turned(turned) => unsure(&turned.to_string()),
                })?;
                let (mirror, new) = (self.mirror_of(name), update.new.as_str().as_bytes());
                self.mirrors().leads_back(mirror, there, new).await.map_err(|error| self.trouble(&error))
            };
            all.push(match Came::of(update, there) {
                Came::MovedOn if is_ancestor().await? => Came::Made,
                came => came,
            });
        }
        Ok(Found::of(&all))
    }

    fn question<'a>(
        &self,
        name: &RepositoryName,
        caller: Option<&'a Caller>,
        effect: Effect,
        deadline: Instant,
        arrived: &'a AtomicBool,
    ) -> Question<'a> {
        let subject = Subject { repository: self.mirror_of(name), print: caller.map(Caller::print) };
        Question { effect, ..Question::of_git(caller, subject, deadline, arrived) }
    }
}

/// The refs that an upstream lists before a push, by their names (gitprotocol-pack, "Reference Discovery"); `None` if it is no list.
fn listed_before_push(answer: &[u8]) -> Option<HashMap<Vec<u8>, Vec<u8>>> {
    let (mut rest, mut refs, mut flushes) = (answer, HashMap::new(), 0);
    while !rest.is_empty() {
        let (line, length) = PktLine::read(rest).ok()??;
        rest = &rest[length..];
        match line {
            PktLine::Flush => flushes += 1,
            PktLine::Data(line) if flushes == 1 => {
                let line = line.split(|byte| *byte == 0 || *byte == b'\n').next()?;
                let at = line.iter().position(|byte| *byte == b' ')?;
                refs.insert(line[at + 1..].to_vec(), line[..at].to_vec());
            }
            PktLine::Data(_) => {}
            PktLine::Delimiter | PktLine::ResponseEnd => return None,
        }
    }
    (flushes == 2).then_some(refs)
}

/// Nobody knows what became of a push.
fn unsure(why: &str) -> Unanswered {
    let why = format!("{why}; whether the push was done is not known");
    Unanswered { why, limited: false, unsure: true, retry_after: Waits::default().next(None) }
}

/// Bytes of what an upstream says of a push.
const LONGEST_REPORT: u64 = 16 * 1024 * 1024;
