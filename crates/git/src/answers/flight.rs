//! The making of one answer: one process, for all who want the answer, as long as anybody does.

use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::interval;

use super::Key;
use super::spool::{FillError, Spool, Stage};
use crate::line::{Place, Waiting};
use crate::process::{Process, feed};
use crate::{GitError, Repositories};

/// An answer that is to be made.
pub(super) struct Flight {
    pub(super) all: Repositories,
    pub(super) directory: PathBuf,
    pub(super) key: Key,
    pub(super) spool: Arc<Spool>,
    pub(super) question: Vec<u8>,
}

impl Flight {
    /// Makes it when its turn comes. Ends with its process as soon as nobody waits for it any more.
    pub(super) async fn carry_out(self, waiting: Waiting) {
        let mut made = pin!(self.make(waiting));
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
            Ok(false) => self.all.answers.passed(self.key, &self.spool),
            Err(error) => {
                tracing::info!(%error, "an answer to a fetch was not made");
                self.all.answers.broke(self.key, &self.spool, &error.to_string());
            }
        }
    }

    /// Whether all went well; if not, git has told the client why.
    async fn make(&self, waiting: Waiting) -> Result<bool, GitError> {
        let _place = self.place(waiting).await;
        self.spool.enter(Stage::Growing);
        let mut command = self.all.git.command(&self.directory);
        command.args(["upload-pack", "--stateless-rpc", "--strict", "."]).env("GIT_PROTOCOL", "version=2");
        let (process, stdin, stdout) = Process::start("upload-pack", &mut command)?;
        let stdout = File::from(stdout.into_owned_fd().map_err(GitError::run("upload-pack"))?);
        let (spool, answers) = (Arc::clone(&self.spool), self.all.answers.clone());
        let filling = tokio::task::spawn_blocking(move || spool.fill(stdout, || answers.make_room()));
        let (fed, filled) = tokio::join!(feed(io::Cursor::new(&self.question), stdin), filling);
        let written = match filled.map_err(|error| GitError::run("upload-pack")(io::Error::other(error)))? {
            Ok(written) => written,
            Err(FillError::Read(error)) => return Err(GitError::run("upload-pack")(error)),
            Err(FillError::Write(error)) => {
                self.all.answers.trouble(&error);
                return Err(GitError::file(self.all.answers.directory())(error));
            }
        };
        fed.map_err(GitError::run("upload-pack"))?;
        let status = process.wait().await?;
        // When git dies by itself it has told the client why, in the protocol. When it is killed it has not.
        if status.code().is_none() || (!status.success() && written == 0) {
            return Err(GitError::Failed { what: "upload-pack", stderr: format!("it ended with {status}") });
        }
        Ok(status.success())
    }

    /// Waits for a place, and lets those who want the answer know how many are before them.
    async fn place(&self, mut waiting: Waiting) -> Place {
        let mut tick = interval(TICK);
        loop {
            tokio::select! {
                biased;
                place = waiting.place() => return place,
                _ = tick.tick() => {}
            }
            if let Some(ahead) = waiting.ahead() {
                self.spool.enter(Stage::Waiting { ahead });
            }
        }
    }
}

/// How often it is looked how many are before one who waits.
const TICK: Duration = Duration::from_secs(1);
