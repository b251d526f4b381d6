//! A push: `git receive-pack`, streamed, and acknowledged only when it is durable.

use std::io;
use std::path::PathBuf;

use bytes::{Bytes, BytesMut};
use doorward_wire::RefUpdate;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::oneshot;

use crate::durable::make_durable;
use crate::line::Place;
use crate::output::{CHUNK, OutputSender};
use crate::process::{Process, feed};
use crate::report::{ReportSplitter, ReportedRef};
use crate::{GitError, Output, Placed, Repositories};

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
    /// Carries out a push whose head was read and checked.
    ///
    /// `updates` is what it asks for, `answer` what its client takes, `bytes` what the head was read from and any more
    /// that was read with it, `rest` what is still to come.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Nothing was changed then.
    pub async fn push(
        self,
        updates: Vec<RefUpdate>,
        answer: AnswerForm,
        bytes: Bytes,
        rest: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<StartedPush, GitError> {
        let Self { repository, slot } = self;
        let mut command = repository.all.git.command(&repository.directory);
        for setting in CHEAPER {
            command.args(["-c", setting]);
        }
        command.args(["receive-pack", "--stateless-rpc", "."]);
        let (process, stdin, stdout) = Process::start("receive-pack", &mut command)?;
        let (sender, output) = Output::channel(repository.all.slots.idle());
        let (tell, outcome) = oneshot::channel();
        let request = io::Cursor::new(bytes).chain(rest);
        let tasks = repository.all.tasks.clone();
        let push = Push { all: repository.all, id: repository.id, directory: repository.directory, updates, answer };
        tasks.spawn(async move {
            let outcome = push.carry_out(process, stdin, stdout, request, sender, slot).await;
            let _ = tell.send(outcome);
        });
        Ok(StartedPush { output, outcome })
    }
}

struct Push {
    all: Repositories,
    id: doorward_rules::RepositoryId,
    directory: PathBuf,
    updates: Vec<RefUpdate>,
    answer: AnswerForm,
}

impl Push {
    async fn carry_out(
        self,
        process: Process,
        stdin: ChildStdin,
        stdout: ChildStdout,
        request: impl AsyncRead + Unpin,
        sender: OutputSender,
        slot: Place,
    ) -> PushOutcome {
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
        let result = async {
            collected.map_err(GitError::run("receive-pack"))?;
            let status = ended?;
            if status.code().is_none() || (held.is_empty() && self.answer.report && !status.success()) {
                return Err(GitError::Failed { what: "receive-pack", stderr: format!("it ended with {status}") });
            }
            self.settle(&refs).await
        };
        let trouble = result.await.err().map(|error| error.to_string());
        // Before the client is told: whoever asks after that gets the new refs.
        self.all.snapshots.touch(self.id, self.commits(&refs));
        drop(slot);
        let answer = match &trouble {
            None => Ok(held),
            Some(trouble) => Err(io::Error::other(trouble.clone())),
        };
        let _ = sender.send(answer).await;
        let broken = fed.err().map(|error| format!("the push broke off: {error}"));
        self.all.keep_up(self.id, refs.len());
        let unreported = (!self.answer.report).then(|| "whether it was, the client did not want to be told".to_owned());
        PushOutcome { refs: refs.into_iter().map(pushed).collect(), trouble: trouble.or(broken).or(unreported) }
    }

    /// What branches were moved to; git has seen to it that these are commits, and that they are there.
    fn commits<'a>(&'a self, refs: &'a [ReportedRef]) -> impl Iterator<Item = &'a doorward_wire::ObjectId> {
        let is_moved = |name: &[u8]| refs.iter().any(|told| told.refused.is_none() && told.name == name);
        let branches = self.updates.iter().filter(|update| update.name.as_bytes().starts_with(b"refs/heads/"));
        let moved = branches.filter(move |update| self.answer.report && is_moved(update.name.as_bytes()));
        moved.map(|update| &update.new).filter(|id| !id.is_null())
    }

    /// Makes what was updated durable, and names a branch in HEAD if it named none so far.
    async fn settle(&self, refs: &[ReportedRef]) -> Result<(), GitError> {
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
        make_durable(self.directory.clone(), updated).await
    }
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
