//! The answer to `info/refs`: what a repository has and what the server can do (gitprotocol-http, "Smart Clients").

use std::io;

use bytes::BytesMut;
use doorward_rules::Action;
use doorward_wire::{ListRequest, PktLine};
use tokio::io::AsyncReadExt;

use crate::fetch::send;
use crate::output::CHUNK;
use crate::process::Process;
use crate::{GitError, ObjectFormat, Output, Repository};

/// The two services of the smart protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// `git-upload-pack`: clone and fetch.
    UploadPack,
    /// `git-receive-pack`: push.
    ReceivePack,
}

impl Service {
    /// The service of this name, as in `?service=git-upload-pack`.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::UploadPack, Self::ReceivePack].into_iter().find(|service| service.name() == name)
    }

    /// Its name in URLs and media types.
    pub fn name(self) -> &'static str {
        match self {
            Self::UploadPack => "git-upload-pack",
            Self::ReceivePack => "git-receive-pack",
        }
    }

    /// What its caller wants to do.
    pub fn action(self) -> Action {
        match self {
            Self::UploadPack => Action::Fetch,
            Self::ReceivePack => Action::Push,
        }
    }

    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::UploadPack => "upload-pack",
            Self::ReceivePack => "receive-pack",
        }
    }
}

impl Repository {
    /// The refs and capabilities for the service that this repository was opened for, as a stream.
    ///
    /// `protocol` is the client's `Git-Protocol` header, which asks for a version.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run, or there is no place for it. Later trouble ends the output with an error.
    pub async fn advertise(&self, protocol: Option<&str>) -> Result<Output, GitError> {
        let service = self.service;
        if let Some(snapshot) = self.all.snapshot(self.id).await? {
            let capabilities = self.all.capabilities(snapshot.format).await?;
            match (service, protocol_version(protocol)) {
                (Service::UploadPack, 2) => return Ok(Output::of(capabilities.version_2_with_bundles.clone())),
                // A push is told of what other repositories have that are part of this one.
                (Service::ReceivePack, _) if snapshot.has_alternates => {}
                (service, version) => {
                    return Ok(snapshot.advertised(service, version == 1, capabilities, &self.all.slots));
                }
            }
        }
        let slot = self.all.slots.short().await?;
        let mut command = self.all.git.command(&self.directory);
        command.args([service.command(), "--stateless-rpc", "--http-backend-info-refs", "."]);
        // There is no version 2 of pushing; without the header git does not have to say so.
        if let Some(protocol) = protocol.filter(|_| service == Service::UploadPack) {
            command.env("GIT_PROTOCOL", protocol);
        }
        let (process, stdin, mut stdout) = Process::start(service.command(), &mut command)?;
        drop(stdin);
        let mut first = BytesMut::with_capacity(CHUNK);
        while first.len() < VERSION_2.len()
            && stdout.read_buf(&mut first).await.map_err(GitError::run(service.command()))? > 0
        {}
        if first.is_empty() {
            let (_, stderr) = process.wait_with_complaints().await?;
            return Err(GitError::Failed { what: service.command(), stderr });
        }
        let mut begin = Vec::new();
        if !first.starts_with(VERSION_2) {
            PktLine::write(format!("# service={}\n", service.name()).as_bytes(), &mut begin);
            begin.extend_from_slice(b"0000");
        }
        begin.extend_from_slice(&first);
        let (sender, output) = Output::channel(self.all.slots.idle());
        tokio::spawn(async move {
            let _slot = slot;
            let rest = async {
                sender.send(Ok(begin.into())).await?;
                send(stdout, &sender).await?;
                let status = process.wait().await.map_err(io::Error::other)?;
                if status.success() { Ok(()) } else { Err(io::Error::other(format!("git ended with {status}"))) }
            };
            if let Err(error) = rest.await {
                let _ = sender.send(Err(error)).await;
            }
        });
        Ok(output)
    }
}

impl Repository {
    /// The answer to a question for refs in version 2 of the protocol; `None` if only git can give it.
    ///
    /// # Errors
    /// [`GitError`] if the repository cannot be read.
    pub async fn list(&self, request: &ListRequest) -> Result<Option<Output>, GitError> {
        let Some(snapshot) = self.all.snapshot(self.id).await? else { return Ok(None) };
        // Git refuses a client that counts on another one.
        let format = request.format.as_deref().unwrap_or(ObjectFormat::Sha1.word());
        Ok((format == snapshot.format.word()).then(|| snapshot.listed(request, &self.all.slots)))
    }
}

/// The version of the protocol that is asked for (`Git-Protocol`): the highest that is named and known.
pub fn protocol_version(protocol: Option<&str>) -> usize {
    let named = protocol.unwrap_or_default().split(':').filter_map(|part| part.strip_prefix("version="));
    let known = |version: &str| ["0", "1", "2"].iter().position(|known| *known == version);
    named.filter_map(known).max().unwrap_or(0)
}

/// What an advertisement in version 2 of the protocol begins with.
const VERSION_2: &[u8] = b"000eversion 2\n";
