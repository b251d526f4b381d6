//! `doorward serve`: serves what is in the data directory until it is told to stop.

use std::pin::Pin;

use doorward_git::Repositories;
use doorward_server::{Server, Tls};
use doorward_store::Store;
use doorward_upstream::{Kept, Upstream, Vault};
use doorward_wire::TokenShape;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};

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
    let ready = Ready::prepare(&configuration, data).await?;
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
    upstreams: Vec<Upstream>,
    stop: Pin<Box<dyn Future<Output = ()>>>,
    _lock: ServerLock,
}

impl Ready {
    /// Does everything that can fail before the server runs.
    pub(super) async fn prepare(configuration: &Configuration, data: Data) -> Result<Self, Failure> {
        let lock = data.lock()?;
        raise_open_files();
        let repositories = data.repositories(configuration)?;
        let upstreams = upstreams(configuration, &data, &repositories)?;
        let server = Server::bind(configuration.server()).await?;
        let address = configuration.address(Some(server.address()));
        reload_on_hangup(server.tls())?;
        let stop = Box::pin(stop_signal()?);
        Ok(Self {
            address,
            data,
            repositories,
            shape: configuration.token_shape(),
            server,
            upstreams,
            stop,
            _lock: lock,
        })
    }

    /// Serves until it is told to stop.
    pub(super) async fn serve(self) -> Result<(), Failure> {
        tracing::info!(address = self.address, data = %self.data.directory.display(), "serving");
        self.server.run(self.data.store, self.repositories, self.upstreams, self.stop).await;
        tracing::info!("stopped");
        Ok(())
    }
}

/// The upstreams of the configuration, with their mirrors.
fn upstreams(
    configuration: &Configuration,
    data: &Data,
    repositories: &Repositories,
) -> Result<Vec<Upstream>, Failure> {
    if configuration.upstreams().is_empty() {
        return Ok(Vec::new());
    }
    hide_memory();
    let mirrors = repositories.mirrors(&data.directory)?;
    let made = configuration
        .upstreams()
        .iter()
        .map(|settings| Upstream::new(settings.clone(), mirrors.clone(), &data.directory, vault(&data.store)));
    made.map(|made| made.map_err(|error| Failure::new(Code::Configuration, error))).collect()
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

fn reload_on_hangup(tls: Option<Tls>) -> Result<(), Failure> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(Code::Failed, format!("signals cannot be received: {error}")))?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match &tls {
                None => tracing::info!("SIGHUP: there is no certificate to read again"),
                Some(tls) => match tls.reload() {
                    Ok(()) => tracing::info!("the certificate was read again"),
                    Err(error) => tracing::error!(%error, "the certificate cannot be read again; the old one stays"),
                },
            }
        }
    });
    Ok(())
}

/// Jobs' credentials are in memory: no core file, and no other process of the same user, gets to see them.
#[cfg(target_os = "linux")]
fn hide_memory() {
    use rustix::process::{DumpableBehavior, set_dumpable_behavior};
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "the memory of this process can be dumped");
    }
}

/// Elsewhere that is for the system's own settings.
#[cfg(not(target_os = "linux"))]
fn hide_memory() {}

/// Each connection and each git process takes open files, and the usual limit of 1,024 is for other programs.
pub(super) fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
}
