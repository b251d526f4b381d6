//! Clones and fetches: let in by the upstream, answered from the mirror.

use std::io::Cursor;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::Request;
use axum::http::{Method, Response};
use doorward_git::{Listing, Output, Repository, Service, protocol_version};
use doorward_rules::{OwnFault, Surface};
use doorward_upstream::{Hindered, Partial, Passing, Print, Seen};
use doorward_wire::{FetchRequest, OldWants, PktLine, RepositoryName, UploadQuestion};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::timeout;

use super::Call;
use super::kept::Kept;
use super::told::{Work, told_in_time};
use crate::git::{answer, body_of, open_named, protocol, question, service};
use crate::observe::{Noted, Served};
use crate::refusal::Refusal;

impl Call {
    /// `info/refs`: where every command of git begins, and where it shows why it is refused.
    pub(super) async fn info_refs(
        &self,
        name: &RepositoryName,
        query: Option<&str>,
    ) -> Result<Response<Body>, Refusal> {
        match service(query)? {
            Service::ReceivePack => self.before_push(name).await,
            Service::UploadPack => match self.look(name).await {
                Seen::Refs(refs) => {
                    self.note_asked(name, Service::UploadPack);
                    let version = protocol_version(protocol(&self.headers));
                    let refs = self.upstream.mirrors().advertise(&refs, protocol(&self.headers)).await?;
                    let body = match refs.into_whole() {
                        // What may be passed on must be understood there.
                        Ok(ours) if self.upstream.settings().partial == Partial::Passed && version == 2 => {
                            self.upstream.common(name, &ours).map_or_else(|| Body::from(ours), Body::from)
                        }
                        Ok(ours) => Body::from(ours),
                        Err(refs) => body_of(refs),
                    };
                    Ok(self.done(Service::UploadPack, "advertisement", body, name))
                }
                Seen::Old => {
                    self.pass_git(name, Method::GET, "info/refs?service=git-upload-pack", Kept::default()).await
                }
                Seen::Turned(turned) => Err(self.turned(&turned, Surface::Git)),
                Seen::Unanswered(unanswered) => Err(Self::unanswered(&unanswered)),
            },
        }
    }

    /// `git-upload-pack`: a question for refs or for objects. What is neither is the upstream's to answer: git would tell of the mirror,
    /// in which there may be what is not there any more, or is not for this caller.
    pub(super) async fn fetch(&self, name: &RepositoryName, request: Request) -> Result<Response<Body>, Refusal> {
        let limits = &self.app.settings.limits;
        let mut body =
            open_named(Service::UploadPack, &self.headers, request.into_body(), limits.fetch_bytes, limits.idle_time)?;
        // Nobody's question is read who is not let in.
        let began = Instant::now();
        let refs = match self.seen(name).await {
            Seen::Refs(refs) => refs,
            other => return self.unseen(name, other, body).await,
        };
        if protocol_version(protocol(&self.headers)) != 2 {
            return self.old_fetch(name, refs, began, body).await;
        }
        let mut begin = Vec::new();
        match question::read(&self.app, &mut body, &mut begin, limits.head_time).await {
            (UploadQuestion::Refs(list), _) => match self.upstream.mirrors().list(&refs, &list) {
                Some(output) => Ok(self.done(Service::UploadPack, "result", body_of(output), name)),
                None => self.pass_question(name, begin, body).await,
            },
            (UploadQuestion::Objects(asked), _large) => self.objects(name, refs, began, *asked, begin).await,
            // There are none.
            (UploadQuestion::Bundles, _) => Ok(self.done(Service::UploadPack, "result", Body::from("0000"), name)),
            (UploadQuestion::Other | UploadQuestion::More, _) => self.pass_question(name, begin, body).await,
        }
    }

    /// A question for objects in version 0 or 1.
    async fn old_fetch(
        &self,
        name: &RepositoryName,
        refs: Listing,
        began: Instant,
        mut body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Response<Body>, Refusal> {
        let mut begin = Vec::new();
        let reading = timeout(self.app.settings.limits.head_time, old_wants(&mut body, &mut begin)).await;
        let Ok(OldWants::Whole { wants, with_tags }) = reading else {
            return self.pass_question(name, begin, body).await;
        };
        if let Err(hindered) = self.ready(name, &refs, wants, with_tags).await {
            return match absent(&hindered) {
                Some(output) => Ok(self.done(Service::UploadPack, "result", body_of(output), name)),
                None => Err(self.hindered(&hindered)),
            };
        }
        let place = self.mirror(name).place().await?;
        self.still(name, began).await?;
        let output = place.fetch(protocol(&self.headers), Cursor::new(begin).chain(body)).await?;
        Ok(self.done(Service::UploadPack, "result", body_of(output), name))
    }

    /// A question for objects: brought into the mirror if they are not there, and answered as all such questions are.
    async fn objects(
        &self,
        name: &RepositoryName,
        refs: Listing,
        began: Instant,
        asked: FetchRequest,
        begin: Vec<u8>,
    ) -> Result<Response<Body>, Refusal> {
        if asked.is_partial() && self.upstream.settings().partial == Partial::Passed {
            let wants: Vec<Box<[u8]>> = asked.wants().map(Box::from).collect();
            let missing = self.upstream.mirrors().missing(self.upstream.mirror_of(name), wants).await?;
            if !missing.is_empty() {
                return self.pass_git(name, Method::POST, "git-upload-pack", Kept::bytes(begin)).await;
            }
        }
        let (wants, shallow) = (asked.wants().map(Box::from).collect(), asked.shallow().map(Box::from).collect());
        if !self.may_deepen(name, &refs, wants, shallow).await {
            return self.pass_git(name, Method::POST, "git-upload-pack", Kept::bytes(begin)).await;
        }
        let (is_told, wants_progress) = (asked.takes_side_band_anywhere(), asked.wants_progress());
        let hint = if is_told { self.hint(Surface::Git) } else { None };
        let (call, named) = (self.clone(), name.clone());
        let work: Work<Output> = Box::pin(async move { call.made(&named, refs, began, asked, begin).await });
        let weather = self.weather(name, "Bringing what is new from", wants_progress);
        let body = told_in_time(work, hint, is_told, weather, body_of).await?;
        Ok(self.done(Service::UploadPack, "result", body, name))
    }

    /// Whether the refs that a caller sees lead to all commits from which it may have the history deepened: git sends what is behind
    /// those without looking where they are.
    async fn may_deepen(
        &self,
        name: &RepositoryName,
        refs: &Listing,
        wants: Vec<Box<[u8]>>,
        shallow: Vec<Box<[u8]>>,
    ) -> bool {
        if shallow.is_empty() {
            return true;
        }
        let (mirrors, id) = (self.upstream.mirrors(), self.upstream.mirror_of(name));
        self.ready(name, refs, wants, false).await.is_ok()
            && mirrors.unreached(id, refs, shallow).await.is_ok_and(|unreached| unreached.is_empty())
    }

    /// The answer to a question for objects, by whoever may see these refs.
    async fn made(
        &self,
        name: &RepositoryName,
        refs: Listing,
        began: Instant,
        asked: FetchRequest,
        begin: Vec<u8>,
    ) -> Result<Output, Refusal> {
        let wants = asked.wants().map(Box::from).collect();
        if let Err(hindered) = self.ready(name, &refs, wants, asked.includes_tags()).await {
            return absent(&hindered).ok_or_else(|| self.hindered(&hindered));
        }
        let Some(mut answer) = self.mirror(name).ask(&asked).await? else {
            let place = self.mirror(name).place().await?;
            self.still(name, began).await?;
            return Ok(place.fetch(protocol(&self.headers), Cursor::new(begin)).await?);
        };
        if asked.takes_side_band_anywhere() {
            if answer.called(LONG).await? {
                self.still(name, began).await?;
                return Ok(answer.output());
            }
            let (call, name) = (self.clone(), name.clone());
            let may = async move {
                let still = call.still(&name, began).await;
                still.map_err(|refusal| format!("{}; {}", refusal.sentence, refusal.remedy))
            };
            return Ok(answer.output_when_called(may));
        }
        let patience = self.app.repositories.slots().patience();
        if !answer.called(patience).await? {
            return Err(doorward_git::GitError::Busy(patience).into());
        }
        self.still(name, began).await?;
        Ok(answer.output())
    }

    /// Sees to it that the mirror has what is wanted.
    async fn ready(
        &self,
        name: &RepositoryName,
        refs: &Listing,
        wants: Vec<Box<[u8]>>,
        with_tags: bool,
    ) -> Result<(), Hindered> {
        loop {
            let (caller, now) = (self.caller(), self.app.clock.now());
            match self.upstream.ready(name, caller.as_deref(), refs, wants.clone(), with_tags, now).await {
                Err(Hindered::Turned(turned)) if turned.is_of_credential() && self.goes_on(Surface::Git).await => {}
                done => return done,
            }
        }
    }

    /// Asks the upstream again about whoever was let in, if that was long ago: what had to be brought may have taken its time, and
    /// somebody else's credential may have brought it.
    async fn still(&self, name: &RepositoryName, began: Instant) -> Result<(), Refusal> {
        if began.elapsed() < LONG {
            return Ok(());
        }
        self.allowed_still(name).await?;
        match self.look(name).await {
            Seen::Refs(_) => Ok(()),
            Seen::Turned(turned) => Err(self.turned(&turned, Surface::Git)),
            Seen::Unanswered(unanswered) => Err(Self::unanswered(&unanswered)),
            Seen::Old => Err(Refusal::unavailable(OwnFault::Busy)),
        }
    }

    /// What is answered when refs were not seen.
    async fn unseen(
        &self,
        name: &RepositoryName,
        seen: Seen,
        body: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Response<Body>, Refusal> {
        match seen {
            Seen::Turned(turned) => Err(self.turned(&turned, Surface::Git)),
            Seen::Unanswered(unanswered) => Err(Self::unanswered(&unanswered)),
            Seen::Old | Seen::Refs(_) => self.pass_question(name, Vec::new(), body).await,
        }
    }

    /// Passes a question on of which so much was read.
    async fn pass_question(
        &self,
        name: &RepositoryName,
        begin: Vec<u8>,
        rest: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Response<Body>, Refusal> {
        let kept = self.keep(Cursor::new(begin).chain(rest), Surface::Git, Some(name)).await?;
        self.pass_git(name, Method::POST, "git-upload-pack", kept).await
    }

    /// Passes a request of git's on as it is.
    async fn pass_git(
        &self,
        name: &RepositoryName,
        method: Method,
        rest: &str,
        kept: Kept,
    ) -> Result<Response<Body>, Refusal> {
        let passing = Passing {
            surface: Surface::Git,
            repository: Some(self.upstream.mirror_of(name)),
            method,
            url: format!("{}/{name}.git/{rest}", self.upstream.settings().git),
            headers: self.plain_headers(),
            content: kept.content,
        };
        let response = self.passed(passing, kept.place).await?;
        if response.status().is_success() {
            return Ok(response);
        }
        let (parts, body) = response.into_parts();
        let said = axum::body::to_bytes(body, 16 * 1024).await.unwrap_or_default();
        let said = doorward_wire::redact(String::from_utf8_lossy(&said).trim()).chars().take(500).collect();
        let turned = doorward_upstream::Turned::There { status: parts.status, said };
        Err(self.turned(&turned, Surface::Git))
    }

    /// The mirror, for whoever was let in.
    fn mirror(&self, name: &RepositoryName) -> Repository {
        let asker = self.print().map(Print::id);
        self.upstream.mirrors().open(self.upstream.mirror_of(name), asker)
    }

    pub(super) fn done(&self, service: Service, kind: &str, body: Body, name: &RepositoryName) -> Response<Body> {
        let mut response = answer(service, kind, body, self.context.id, Noted::about(name.to_string()));
        if (service, kind) == (Service::UploadPack, "result") {
            response.extensions_mut().insert(Served(self.upstream.clone()));
        }
        response
    }
}

/// Reads what is wanted in version 0 or 1, if that is told within a bound. What is read is in `bytes`; what breaks off is met again
/// by whoever reads on.
async fn old_wants(body: &mut (impl AsyncRead + Unpin), bytes: &mut Vec<u8>) -> OldWants {
    // Looked at again only when there is twice as much: who sends it byte by byte must not cost a look at all of it each time.
    let mut enough = 1;
    loop {
        let length = bytes.len();
        bytes.resize(length + PIECE, 0);
        let read = body.read(&mut bytes[length..]).await.unwrap_or(0);
        bytes.truncate(length + read);
        if bytes.len() < enough && read > 0 {
            continue;
        }
        enough = 2 * bytes.len();
        match OldWants::read(bytes) {
            OldWants::More if read > 0 && bytes.len() < LONGEST_WANTS => {}
            told => return told,
        }
    }
}

/// What a client is told that wants what the upstream does not have, as git tells it.
fn absent(hindered: &Hindered) -> Option<Output> {
    let Hindered::Absent(why) = hindered else { return None };
    let mut line = Vec::new();
    PktLine::write(format!("ERR {}", why.chars().take(500).collect::<String>()).as_bytes(), &mut line);
    Some(Output::of(line.into()))
}

/// Bytes of what is wanted in version 0 or 1: some ten thousand objects.
const LONGEST_WANTS: usize = 512 * 1024;
/// Bytes that are read at once.
const PIECE: usize = 16 * 1024;
/// How long ago a look may be before whoever waited is asked about again.
const LONG: Duration = Duration::from_millis(500);
