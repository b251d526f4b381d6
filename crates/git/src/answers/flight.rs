//! The making of one answer: once, here or by one process of git's, for all who want the answer, as long as anybody does.

use std::convert::Infallible;
use std::fs::File;
use std::future::{pending, poll_fn};
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use doorward_packs::PackError;
use doorward_rules::RepositoryId;
use doorward_wire::FetchRequest;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::interval;

use super::spool::{FillError, Spool, Stage};
use super::{Key, here};
use crate::fetch::upload_pack;
use crate::line::{Asker, Place, Waiting};
use crate::process::{Process, feed};
use crate::refs::Snapshot;
use crate::{GitError, Repositories};

/// An answer that is to be made.
pub(super) struct Flight {
    pub(super) all: Repositories,
    pub(super) directory: PathBuf,
    pub(super) asker: Asker,
    pub(super) key: Key,
    pub(super) spool: Arc<Spool>,
    pub(super) request: FetchRequest,
    /// The refs when it was asked.
    pub(super) refs: Arc<Snapshot>,
}

impl Flight {
    /// Makes it when its turn comes, or that of any of the others who wait for it. Ends with its process as soon as nobody does any
    /// more.
    pub(super) async fn carry_out(self, waiting: Waiting, others: UnboundedReceiver<Waiting>) {
        let mut made = pin!(self.make(waiting, others));
        let made = loop {
            tokio::select! {
                made = &mut made => break made,
                () = self.spool.abandoned() => if self.all.answers.abandon(self.key, &self.spool) {
                    return;
                },
            }
        };
        match made {
            Ok(true) => self.all.answers.landed(self.key, &self.spool),
            Ok(false) => self.all.answers.refused(self.key, &self.spool),
            Err(error) => {
                tracing::info!(%error, "an answer to a fetch was not made");
                self.all.answers.broke(self.key, &self.spool, &error.to_string());
            }
        }
    }

    /// Whether all went well; if not, git has told the client why.
    async fn make(&self, waiting: Waiting, others: UnboundedReceiver<Waiting>) -> Result<bool, GitError> {
        let place = self.place(waiting, others).await;
        self.spool.enter(Stage::Growing);
        let mut held = pin!(self.hold(place));
        let made = async { if self.make_here().await? { Ok(true) } else { self.let_git_make().await } };
        tokio::select! {
            made = made => made,
            never = &mut held => match never {},
        }
    }

    /// Makes it without git; whether that could be done.
    async fn make_here(&self) -> Result<bool, GitError> {
        let objects = self.all.stored.of(self.id(), &self.directory, &self.refs);
        let Some(objects) = objects.filter(|_| !self.request.is_partial()) else { return Ok(false) };
        let (spool, answers) = (Arc::clone(&self.spool), self.all.answers.clone());
        let (request, refs, stop) = (self.request.clone(), Arc::clone(&self.refs), Stop::default());
        let stopped = Arc::clone(&stop.0);
        let making = tokio::task::spawn_blocking(move || {
            here::make(&objects, &request, &refs, Arc::clone(&stopped), |piece| {
                if stopped.load(Ordering::Relaxed) {
                    return Err(io::ErrorKind::BrokenPipe.into());
                }
                spool.put(piece, || answers.make_room())
            })
        });
        let made = making.await.unwrap_or_else(|error| {
            tracing::error!(repository = %self.id(), %error, "an answer was not packed for a mistake in this program");
            self.all.stored.distrust(self.id());
            Err(PackError::TooMuch("it could not be packed"))
        });
        match made {
            Ok(()) => {
                self.all.answers.count_packed();
                Ok(true)
            }
            Err(PackError::Write(error)) => Err(self.cannot_write(error)),
            Err(error) if self.spool.written() == 0 => {
                tracing::debug!(repository = %self.id(), %error, "git is asked for an answer");
                Ok(false)
            }
            Err(error) => {
                tracing::warn!(repository = %self.id(), %error, "what was packed here broke off; git is asked for a while");
                self.all.stored.distrust(self.id());
                Err(GitError::Run { what: "packing", source: io::Error::other(error.to_string()) })
            }
        }
    }

    fn id(&self) -> RepositoryId {
        self.key.repository
    }

    fn cannot_write(&self, error: io::Error) -> GitError {
        self.all.answers.trouble(&error);
        GitError::file(self.all.answers.directory())(error)
    }

    async fn let_git_make(&self) -> Result<bool, GitError> {
        let mut command = upload_pack(&self.all.git, &self.directory, Some("version=2"));
        let (process, stdin, stdout) = Process::start("upload-pack", &mut command)?;
        let stdout = File::from(stdout.into_owned_fd().map_err(GitError::run("upload-pack"))?);
        let (spool, answers) = (Arc::clone(&self.spool), self.all.answers.clone());
        let filling = tokio::task::spawn_blocking(move || spool.fill(stdout, || answers.make_room()));
        let question = self.request.to_bytes();
        let (fed, filled) = tokio::join!(feed(io::Cursor::new(&question), stdin), filling);
        let written = match filled.map_err(|error| GitError::run("upload-pack")(io::Error::other(error)))? {
            Ok(written) => written,
            Err(FillError::Read(error)) => return Err(GitError::run("upload-pack")(error)),
            Err(FillError::Write(error)) => return Err(self.cannot_write(error)),
        };
        fed.map_err(GitError::run("upload-pack"))?;
        let status = process.wait().await?;
        // When git dies by itself it has told the client why, in the protocol, most times. When it is killed it has not.
        if status.code().is_none() || (!status.success() && !self.spool.says_why(written)) {
            return Err(GitError::Failed { what: "upload-pack", stderr: format!("it ended with {status}") });
        }
        Ok(status.success())
    }

    /// Waits for a place, and lets those who want the answer know how many are before them.
    async fn place(&self, first: Waiting, mut others: UnboundedReceiver<Waiting>) -> Place {
        let (mut tick, mut waiting) = (interval(TICK), vec![first]);
        loop {
            tokio::select! {
                biased;
                place = poll_fn(|context| any_place(&mut waiting, context)) => return place,
                Some(other) = others.recv() => if waiting.iter().all(|one| one.asker() != other.asker()) {
                    waiting.push(other);
                },
                _ = tick.tick() => {}
            }
            if let Some(ahead) = waiting.iter().filter_map(Waiting::ahead).min() {
                self.spool.enter(Stage::Waiting { ahead });
            }
        }
    }

    /// Keeps a place. When there is no room for the whole of the answer it goes on at the pace of its readers, and takes a place
    /// among those who do so, too, instead of one that others need to work.
    async fn hold(&self, place: Place) -> Infallible {
        self.spool.passing().await;
        let _slow = self.all.slots.slow(self.asker).await;
        drop(place);
        pending().await
    }
}

impl Drop for Flight {
    /// Whatever ends it too soon, nobody waits for it for ever.
    fn drop(&mut self) {
        if matches!(self.spool.stage(), Stage::Waiting { .. } | Stage::Growing) {
            self.all.answers.broke(self.key, &self.spool, "it was given up");
        }
    }
}

/// Tells a thread to stop when it is dropped.
#[derive(Default)]
pub(crate) struct Stop(pub(crate) Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// The place of the first who is called.
fn any_place(waiting: &mut [Waiting], context: &mut Context<'_>) -> Poll<Place> {
    let called = waiting.iter_mut().find_map(|one| match one.poll_place(context) {
        Poll::Ready(place) => Some(place),
        Poll::Pending => None,
    });
    called.map_or(Poll::Pending, Poll::Ready)
}

/// How often it is looked how many are before one who waits.
const TICK: Duration = Duration::from_secs(1);
