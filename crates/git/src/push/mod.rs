//! A push, acknowledged only when it is durable. A small, plain one is done here; any other by `git receive-pack`, streamed.

mod plain;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use doorward_wire::{RefUpdate, push_report};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::oneshot;

use crate::durable::{make_durable, touched_by};
use crate::line::Place;
use crate::output::{CHUNK, OutputSender};
use crate::process::{Process, feed};
use crate::report::{ReportSplitter, ReportedRef};
use crate::{GitError, Output, Placed, Repositories};
use plain::Moved;

/// A push under way. It goes on to its end also when nobody reads its output any more.
#[derive(Debug)]
pub struct StartedPush {
    /// What the client gets.
    pub output: Output,
    /// What came of it, once it is over; an error if it ended without any outcome.
    pub outcome: oneshot::Receiver<PushOutcome>,
}

/// What a client takes as the answer to its push: two of its capabilities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AnswerForm {
    /// What became of each ref (`report-status`).
    pub report: bool,
    /// Progress beside the report (`side-band-64k`).
    pub side_band: bool,
}

/// What a push asks for, beside its refs.
#[derive(Debug, Clone)]
pub struct PushRequest {
    /// Its refs.
    pub updates: Vec<RefUpdate>,
    /// What its client takes as the answer.
    pub answer: AnswerForm,
    /// Whether it asks for nothing more than that each of its refs is moved, for a history that is whole.
    pub is_plain: bool,
    /// The bytes that it was read from: everything before the pack.
    pub head: Bytes,
}

/// What came of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushOutcome {
    /// What became of each ref, as the client was told.
    pub refs: Vec<PushedRef>,
    /// Why the client could not be told anything, if so.
    pub trouble: Option<String>,
}

/// What became of one ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushedRef {
    /// The ref.
    pub name: String,
    /// `None` if it was updated, else why not.
    pub refused: Option<String>,
}

impl Placed {
    /// Carries out a push whose head was read and checked; `pack` is what comes after that.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Nothing was changed then.
    pub async fn push(
        self,
        request: PushRequest,
        pack: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<StartedPush, GitError> {
        let Self { repository, slot } = self;
        let PushRequest { updates, answer, is_plain, head } = request;
        let tasks = repository.all.tasks.clone();
        let (sender, output) = Output::channel(repository.all.slots.idle());
        let (tell, outcome) = oneshot::channel();
        let is_plain = is_plain && Push::is_plain(&updates);
        let push = Push { all: repository.all, id: repository.id, directory: repository.directory, updates, answer };
        // If it is certain that git is needed, whoever asks is told when it cannot be started.
        let started = if is_plain { None } else { Some(push.start()?) };
        tasks.spawn(async move {
            let carried_out = match started {
                Some(started) => push.carry_out(started, io::Cursor::new(head).chain(pack), sender, slot).await,
                None => push.carry_out_plain(head, pack, sender, slot).await,
            };
            let _ = tell.send(carried_out);
        });
        Ok(StartedPush { output, outcome })
    }
}

/// How pushes were carried out so far.
#[derive(Debug, Default)]
pub struct PushCounts {
    here: AtomicU64,
    by_git: AtomicU64,
}

impl PushCounts {
    fn count(&self, is_here: bool) {
        let count = if is_here { &self.here } else { &self.by_git };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// How many were carried out here, with no more than a look at the pack by git.
    pub fn here(&self) -> u64 {
        self.here.load(Ordering::Relaxed)
    }

    /// How many were left to `git receive-pack`.
    pub fn by_git(&self) -> u64 {
        self.by_git.load(Ordering::Relaxed)
    }
}

/// A `git receive-pack` that was started.
struct Started {
    process: Process,
    stdin: ChildStdin,
    stdout: ChildStdout,
}

struct Push {
    all: Repositories,
    id: doorward_rules::RepositoryId,
    directory: PathBuf,
    updates: Vec<RefUpdate>,
    answer: AnswerForm,
}

impl Push {
    fn start(&self) -> Result<Started, GitError> {
        let mut command = self.all.git.command(&self.directory);
        for setting in CHEAPER {
            command.args(["-c", setting]);
        }
        command.args(["receive-pack", "--stateless-rpc", "."]);
        let (process, stdin, stdout) = Process::start("receive-pack", &mut command)?;
        Ok(Started { process, stdin, stdout })
    }

    /// Carries it out without `receive-pack`, if it is small and nothing is the matter with it.
    async fn carry_out_plain(
        &self,
        head: Bytes,
        mut pack: impl AsyncRead + Unpin,
        sender: OutputSender,
        slot: Place,
    ) -> PushOutcome {
        let mut begun = BytesMut::new();
        let is_small = match is_small(&mut pack, &mut begun).await {
            Ok(is_small) => is_small,
            Err(error) => return self.nothing(format!("the push broke off: {error}"), sender).await,
        };
        let begun = begun.freeze();
        let moved = match is_small {
            true => self.carry_out_here(&begun).await.unwrap_or_else(|error| {
                tracing::info!(repository = %self.id, %error, "git is asked to carry out a push");
                None
            }),
            false => None,
        };
        if let Some(Moved { refs, directories }) = moved {
            self.all.pushes.count(true);
            let report = self.report(&refs);
            return self.conclude(refs, Some(directories), Ok(report), sender, slot).await;
        }
        let request = io::Cursor::new(head).chain(io::Cursor::new(begun)).chain(pack);
        match self.start() {
            Ok(started) => self.carry_out(started, request, sender, slot).await,
            Err(error) => self.nothing(error.to_string(), sender).await,
        }
    }

    /// Nothing was changed.
    async fn nothing(&self, why: String, sender: OutputSender) -> PushOutcome {
        let _ = sender.send(Err(io::Error::other(why.clone()))).await;
        PushOutcome { refs: Vec::new(), trouble: Some(why) }
    }

    async fn carry_out(
        &self,
        started: Started,
        request: impl AsyncRead + Unpin,
        sender: OutputSender,
        slot: Place,
    ) -> PushOutcome {
        self.all.pushes.count(false);
        let Started { process, stdin, stdout } = started;
        let mut report = ReportSplitter::new(self.answer.side_band);
        // When the request breaks off, git sees its input end, removes what it has of the pack, and reports that.
        let (fed, collected) = tokio::join!(feed(request, stdin), collect(stdout, &mut report, &sender));
        let ended = process.wait().await;
        let (held, reported) = report.finish();
        // A client that asks for no report gets none, and neither do we: any of its refs may have been updated.
        let possible =
            || self.updates.iter().map(|update| ReportedRef { name: update.name.as_bytes().to_vec(), refused: None });
        let refs = if self.answer.report { reported } else { possible().collect() };
        if !ended.as_ref().is_ok_and(|status| status.code().is_some()) {
            self.all.must_sweep(self.id);
        }
        let done = collected.map_err(GitError::run("receive-pack")).and(ended).and_then(|status| {
            if status.code().is_none() || (held.is_empty() && self.answer.report && !status.success()) {
                return Err(GitError::Failed { what: "receive-pack", stderr: format!("it ended with {status}") });
            }
            Ok(())
        });
        let mut outcome = self.conclude(refs, None, done.map(|()| held), sender, slot).await;
        let broken = fed.err().map(|error| format!("the push broke off: {error}"));
        outcome.trouble = outcome.trouble.or(broken);
        outcome
    }

    /// Makes durable what was done, and tells the client. What was touched is all that may have been, if it is not known.
    async fn conclude(
        &self,
        refs: Vec<ReportedRef>,
        touched: Option<BTreeSet<PathBuf>>,
        report: Result<Bytes, GitError>,
        sender: OutputSender,
        slot: Place,
    ) -> PushOutcome {
        // Git tells what it did to the client alone.
        let is_known = touched.is_some() || self.answer.report;
        let result = match report {
            Ok(report) => self.settle(&refs, touched).await.map(|()| report),
            Err(error) => Err(error),
        };
        // Before the client is told: whoever asks after that gets the new refs.
        let known: &[ReportedRef] = if is_known { &refs } else { &[] };
        self.all.snapshots.touch(self.id, self.commits(known));
        drop(slot);
        let trouble = result.as_ref().err().map(ToString::to_string);
        let _ = sender.send(result.map_err(io::Error::other)).await;
        self.all.keep_up(self.id, refs.len());
        let unreported = (!is_known).then(|| "whether it was, the client did not want to be told".to_owned());
        PushOutcome { refs: refs.into_iter().map(pushed).collect(), trouble: trouble.or(unreported) }
    }

    /// What became of each ref, as `git receive-pack` says it (gitprotocol-pack, "Report Status").
    fn report(&self, refs: &[ReportedRef]) -> Bytes {
        if !self.answer.report {
            return Bytes::from_static(if self.answer.side_band { b"0000" } else { b"" });
        }
        let told = refs.iter().map(|told| (&*told.name, told.refused.as_deref()));
        push_report("ok", told, self.answer.side_band).into()
    }

    /// What branches were moved to; git has seen to it that these are commits, and that they are there.
    fn commits<'a>(&'a self, refs: &'a [ReportedRef]) -> impl Iterator<Item = &'a doorward_wire::ObjectId> {
        let is_moved = |name: &[u8]| refs.iter().any(|told| told.refused.is_none() && told.name == name);
        let branches = self.updates.iter().filter(|update| update.name.as_bytes().starts_with(b"refs/heads/"));
        let moved = branches.filter(move |update| is_moved(update.name.as_bytes()));
        moved.map(|update| &update.new).filter(|id| !id.is_null())
    }

    /// Makes what was updated durable, and names a branch in HEAD if it named none so far.
    async fn settle(&self, refs: &[ReportedRef], touched: Option<BTreeSet<PathBuf>>) -> Result<(), GitError> {
        let updated: Vec<Vec<u8>> = refs.iter().filter(|r| r.refused.is_none()).map(|r| r.name.clone()).collect();
        if updated.is_empty() {
            return Ok(());
        }
        let created =
            |update: &&RefUpdate| update.old.is_null() && updated.iter().any(|name| name == update.name.as_bytes());
        let branches: Vec<String> = (self.updates.iter().filter(created))
            .map(|update| update.name.to_string())
            .filter(|name| name.starts_with("refs/heads/"))
            .collect();
        if !branches.is_empty() {
            self.all.adopt_head(&self.directory, &branches).await?;
        }
        make_durable(touched.unwrap_or_else(|| touched_by(&self.directory, &updated))).await
    }
}

/// Reads as much of a pack as a small one has, and whether that was all of it.
async fn is_small(pack: &mut (impl AsyncRead + Unpin), begun: &mut BytesMut) -> io::Result<bool> {
    while begun.len() <= plain::SMALL {
        if pack.read_buf(begun).await? == 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Reads what git writes, passes progress on, and keeps the report; to the end, also when nobody listens.
async fn collect(mut stdout: ChildStdout, report: &mut ReportSplitter, sender: &OutputSender) -> io::Result<()> {
    let mut heard = true;
    let mut chunk = BytesMut::with_capacity(CHUNK);
    while stdout.read_buf(&mut chunk).await? > 0 {
        let progress = report.take(&chunk.split());
        if heard && !progress.is_empty() {
            heard = sender.send(Ok(progress)).await.is_ok();
        }
        chunk.reserve(CHUNK);
    }
    Ok(())
}

/// What a push need not do here. While it is checked its objects are apart from those of the repository, which git then takes for
/// another one, and asks a process of its own for the refs of that: they are the same that it has anyway. And a small pack, which is
/// rolled into a larger one soon, needs no index of its order beside the other, with a wait for the disk.
const CHEAPER: &[&str] = &["core.alternateRefsCommand=true", "pack.writeReverseIndex=false"];

fn pushed(reported: ReportedRef) -> PushedRef {
    PushedRef { name: String::from_utf8_lossy(&reported.name).into_owned(), refused: reported.refused }
}
