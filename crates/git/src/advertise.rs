//! The answer to `info/refs`: what a repository has and what the server can do (gitprotocol-http, "Smart Clients").

use bytes::Bytes;
use doorward_rules::Action;
use doorward_wire::PktLine;

use crate::{GitError, Repository};

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
    /// The refs and capabilities for the service that this repository was opened for.
    ///
    /// `protocol` is the client's `Git-Protocol` header, which asks for a version.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run, or there is no place for it.
    pub async fn advertise(&self, protocol: Option<&str>) -> Result<Bytes, GitError> {
        let service = match self.action {
            Action::Fetch => Service::UploadPack,
            Action::Push => Service::ReceivePack,
        };
        let _slot = self.all.slots.short().await?;
        let mut command = self.all.git.command(&self.directory);
        command.args([service.command(), "--stateless-rpc", "--http-backend-info-refs", "."]);
        // There is no version 2 of pushing; without the header git does not have to say so.
        let protocol = protocol.filter(|_| service == Service::UploadPack);
        if let Some(protocol) = protocol {
            command.env("GIT_PROTOCOL", protocol);
        }
        let refs = self.all.git.run(service.command(), &mut command).await?;
        let mut answer = Vec::with_capacity(refs.len() + 64);
        if !refs.starts_with(b"000eversion 2\n") {
            PktLine::write(format!("# service={}\n", service.name()).as_bytes(), &mut answer);
            answer.extend_from_slice(b"0000");
        }
        answer.extend_from_slice(&refs);
        Ok(answer.into())
    }
}
