//! A running git process: feeding it, listening to its complaints, ending it with everything it started.

use std::process::ExitStatus;

use doorward_wire::redact;
use rustix::process::{Pid, Signal, kill_process_group, setpriority_process};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::task::JoinHandle;

use crate::GitError;

/// A process of git's. If it is dropped before it was waited for, its whole process group is killed.
#[derive(Debug)]
pub(crate) struct Process {
    what: &'static str,
    child: Child,
    group: Option<Pid>,
    complaints: Option<JoinHandle<Vec<u8>>>,
}

/// Whether others wait for a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Importance {
    /// Somebody does.
    Normal,
    /// Nobody does: it takes what the others leave.
    Low,
}

impl Process {
    /// Starts a command with its input and output piped.
    pub(crate) fn start(
        what: &'static str,
        command: &mut Command,
    ) -> Result<(Self, ChildStdin, ChildStdout), GitError> {
        let mut child = command.stdin(std::process::Stdio::piped()).spawn().map_err(GitError::run(what))?;
        let group = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let missing = || GitError::run(what)(std::io::ErrorKind::BrokenPipe.into());
        let (stdin, stdout) = (child.stdin.take().ok_or_else(missing)?, child.stdout.take().ok_or_else(missing)?);
        let complaints = child.stderr.take().map(|stderr| tokio::spawn(last_bytes(stderr)));
        Ok((Self { what, child, group, complaints }, stdin, stdout))
    }

    /// Says how important it is, and what it will start.
    pub(crate) fn set(&self, importance: Importance) {
        if importance == Importance::Low {
            // Where it may not be said it is as important as any.
            let _ = setpriority_process(self.group, NICE);
        }
    }

    /// Waits for its end; what it complained of goes into the log.
    pub(crate) async fn wait(self) -> Result<ExitStatus, GitError> {
        let what = self.what;
        let (status, complaints) = self.wait_with_complaints().await?;
        if !status.success() {
            tracing::info!(git = what, %status, stderr = complaints, "git ended with a complaint");
        }
        Ok(status)
    }

    /// Waits for its end; the end of what it wrote to standard error.
    pub(crate) async fn wait_with_complaints(mut self) -> Result<(ExitStatus, String), GitError> {
        let status = self.child.wait().await.map_err(GitError::run(self.what))?;
        self.group = None;
        let complaints = match self.complaints.take() {
            Some(complaints) => complaints.await.unwrap_or_default(),
            None => Vec::new(),
        };
        Ok((status, readable(&complaints)))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(group) = self.group {
            // A group that is gone already is what we want.
            let _ = kill_process_group(group, Signal::KILL);
            let _ = self.child.start_kill();
        }
    }
}

/// Copies a request into a process. An error is the request's: a process that has stopped reading is none.
pub(crate) async fn feed(mut request: impl AsyncRead + Unpin, mut stdin: ChildStdin) -> std::io::Result<()> {
    let mut buffer = vec![0; crate::output::CHUNK];
    loop {
        let length = request.read(&mut buffer).await?;
        if length == 0 || stdin.write_all(&buffer[..length]).await.is_err() {
            return Ok(());
        }
    }
}

/// The end of what a process wrote to standard error, on one line and without secrets.
pub(crate) fn readable(stderr: &[u8]) -> String {
    let text = String::from_utf8_lossy(stderr);
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines[lines.len().saturating_sub(5)..].join("; ");
    redact(&last).into_owned()
}

async fn last_bytes(mut stderr: impl AsyncRead + Unpin) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut buffer = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        kept.extend_from_slice(&buffer[..length]);
        let surplus = kept.len().saturating_sub(KEPT);
        kept.drain(..surplus);
    }
    kept
}

/// How nice a process is for which nobody waits.
const NICE: i32 = 15;
const KEPT: usize = 4096;
