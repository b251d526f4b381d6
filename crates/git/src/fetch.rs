//! The answer to a fetch: `git upload-pack`, streamed in both directions.

use std::io;
use std::path::Path;

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{ChildStdin, ChildStdout, Command};

use crate::line::Place;
use crate::output::{CHUNK, OutputSender};
use crate::process::{Process, feed};
use crate::{Git, GitError, Output, Placed};

impl Placed {
    /// Answers one request of the fetch protocol.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Later trouble ends the output with an error.
    pub async fn fetch(
        self,
        protocol: Option<&str>,
        request: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<Output, GitError> {
        let Self { repository, slot } = self;
        let mut command = upload_pack(&repository.all.git, &repository.directory, protocol);
        let (process, stdin, stdout) = Process::start("upload-pack", &mut command)?;
        let (sender, output) = Output::channel(repository.all.slots.idle());
        tokio::spawn(answer(process, stdin, stdout, request, sender, slot));
        Ok(output)
    }
}

/// The process that answers one request, which asks for a version of the protocol.
pub(crate) fn upload_pack(git: &Git, repository: &Path, protocol: Option<&str>) -> Command {
    let mut command = git.command(repository);
    command.args(["upload-pack", "--stateless-rpc", "--strict", "."]);
    command.envs(protocol.map(|protocol| ("GIT_PROTOCOL", protocol)));
    command
}

/// Runs one fetch to its end. Every way out drops the process, which kills it unless it has ended.
async fn answer(
    process: Process,
    stdin: ChildStdin,
    stdout: ChildStdout,
    request: impl AsyncRead + Send + Unpin + 'static,
    sender: OutputSender,
    _slot: Place,
) {
    let finished = async {
        let (fed, sent) = tokio::join!(feed(request, stdin), send(stdout, &sender));
        let sent = sent?;
        // A request that broke off is no question: what git made of it is not an answer.
        fed?;
        let status = process.wait().await.map_err(io::Error::other)?;
        // When git dies by itself it has told the client why, in the protocol. When it is killed it has not.
        if status.code().is_none() || (!status.success() && sent == 0) {
            return Err(io::Error::other("git upload-pack did not finish"));
        }
        Ok(())
    };
    tokio::select! {
        result = finished => if let Err(error) = result {
            let _ = sender.send(Err(error)).await;
        },
        () = sender.closed() => {}
    }
}

/// Passes on what a process writes, until it ends or nobody reads any more; how many bytes that was.
pub(crate) async fn send(mut stdout: ChildStdout, sender: &OutputSender) -> io::Result<u64> {
    let mut sent = 0;
    loop {
        let mut chunk = BytesMut::with_capacity(CHUNK);
        if stdout.read_buf(&mut chunk).await? == 0 {
            return Ok(sent);
        }
        sent += chunk.len() as u64;
        sender.send(Ok(chunk.freeze())).await?;
    }
}
