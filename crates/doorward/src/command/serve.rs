//! `doorward serve`: serves what is in the data directory until it is told to stop.

use std::path::PathBuf;
use std::pin::Pin;

use doorward_git::{Mirrors, Repositories};
use doorward_server::Server;
use doorward_store::Store;
use doorward_upstream::{Kept, Upstream, UpstreamSettings, Upstreams, Vault};
use doorward_wire::TokenShape;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

use super::reload::{fill, reload_on_hangup};
use crate::config::Configuration;
use crate::data::{Data, ServerLock};
use crate::failure::{Code, Failure};
use crate::print;

#[derive(Debug, Serialize)]
struct Started {
    address: String,
    data: String,
}

pub(crate) async fn run(configuration: Configuration, json: bool) -> Result<(), Failure> {
    // A name that is mistyped must not become an empty server, which would refuse every valid token. A gateway has no accounts of its
    // own, and where its upstreams are named is no slip.
    let data = match configuration.upstreams() {
        [] => Data::open(&configuration).await?,
        _ => Data::open_or_create(&configuration).await?,
    };
    let ready = Ready::prepare(configuration, data).await?;
    let started = Started { address: ready.address.clone(), data: ready.data.directory.display().to_string() };
    if json {
        print::json(&started)?;
    } else {
        print::line(&format!("Doorward keeps the door at {}", started.address))?;
    }
    ready.serve().await
}

/// A server that takes connections, on a data directory that is locked for it.
pub(super) struct Ready {
    pub(super) address: String,
    pub(super) data: Data,
    pub(super) repositories: Repositories,
    pub(super) shape: TokenShape,
    server: Server,
    upstreams: Upstreams,
    stop: Pin<Box<dyn Future<Output = ()>>>,
    _lock: ServerLock,
}

impl Ready {
    /// Does everything that can fail before the server runs.
    pub(super) async fn prepare(configuration: Configuration, data: Data) -> Result<Self, Failure> {
        let mut lock = data.lock()?;
        raise_open_files();
        let repositories = data.repositories(&configuration)?;
        let mirroring = Mirroring::new(&data, &repositories)?;
        let upstreams = Upstreams::default();
        fill(&configuration, &mirroring, &upstreams)?;
        let server = Server::bind(configuration.server()).await?;
        let address = configuration.address(Some(server.address()));
        let shape = configuration.token_shape();
        let told = configuration.clone();
        reload_on_hangup(server.tls(), configuration, mirroring, upstreams.clone())?;
        // Whoever is told how this is reached may have it read things again.
        lock.tell(&told, server.address())?;
        let stop = Box::pin(stop_signal()?);
        Ok(Self { address, data, repositories, shape, server, upstreams, stop, _lock: lock })
    }

    /// Serves until it is told to stop.
    pub(super) async fn serve(self) -> Result<(), Failure> {
        tracing::info!(address = self.address, data = %self.data.directory.display(), "serving");
        self.server.run(self.data.store, self.repositories, self.upstreams, self.stop).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// What upstreams are made with.
pub(super) struct Mirroring {
    mirrors: Mirrors,
    directory: PathBuf,
    store: Store,
}

impl Mirroring {
    fn new(data: &Data, repositories: &Repositories) -> Result<Self, Failure> {
        let mirrors = repositories.mirrors(&data.directory)?;
        mirrors.sweep()?;
        let all = mirrors.clone();
        tokio::spawn(async move {
            if let Err(error) = all.look_after().await {
                tracing::warn!(%error, "mirrors cannot be looked after");
            }
        });
        Ok(Self { mirrors, directory: data.directory.clone(), store: data.store.clone() })
    }

    pub(super) fn upstream(&self, settings: &UpstreamSettings) -> Result<Upstream, Failure> {
        Upstream::new(settings.clone(), self.mirrors.clone(), &self.directory, vault(&self.store))
            .map_err(|error| Failure::new(Code::Configuration, error))
    }
}

/// How the gateway's own credentials are read that the database keeps sealed.
pub(super) fn vault(store: &Store) -> Vault {
    let store = store.clone();
    Vault::new(move |name| {
        let store = store.clone();
        Box::pin(async move {
            let (credential, secret) = store.upstream_credential(&name).await.map_err(|error| error.to_string())?;
            Ok(Kept { secret, expires_at: credential.expires_at })
        })
    })
}

/// Resolves at the first SIGTERM or SIGINT; the second one ends the program where it stands.
pub(super) fn stop_signal() -> Result<impl Future<Output = ()>, Failure> {
    let no_signals = |error| Failure::new(Code::Failed, format!("signals cannot be received: {error}"));
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no more connections are taken, requests in flight may finish");
        tokio::spawn(async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            tracing::warn!("stopped at once");
            std::process::exit(Code::Failed as i32);
        });
    })
}

/// Jobs' credentials are in memory: no core file, and no other process of the same user, gets to see them.
#[cfg(target_os = "linux")]
pub(super) fn hide_memory() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the memory of this process can be dumped");
    }
}

/// Elsewhere that is for the system's own settings.
#[cfg(not(target_os = "linux"))]
pub(super) fn hide_memory() {}

/// Each connection and each git process takes open files, and the usual limit of 1,024 is for other programs.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}
