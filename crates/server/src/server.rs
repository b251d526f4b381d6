//! The server as a whole: bound, run, stopped.

use std::net::SocketAddr;
use std::time::Duration;

use doorward_git::Repositories;
use doorward_rules::RepositoryId;
use doorward_store::{Recorder, Store};
use doorward_upstream::Upstreams;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::time::timeout;

use crate::app::App;
use crate::router::router;
use crate::tls::{Tls, TlsError};
use crate::{ServerSettings, listener, webhook};

/// A server that is bound to its address and takes connections, which wait until it runs.
#[derive(Debug)]
pub struct Server {
    settings: ServerSettings,
    listener: TcpListener,
    tls: Option<Tls>,
}

/// Why a server cannot start.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The address cannot be bound.
    #[error("{address} cannot be listened on: {error}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        error: std::io::Error,
    },
    /// Tokens would cross the network in the clear.
    #[error("{0} is not a loopback address, and without TLS tokens would cross the network in the clear")]
    PlainHttp(SocketAddr),
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
}

impl Server {
    /// Reads the certificate and binds the address.
    ///
    /// # Errors
    /// [`ServerError`] if one cannot be done, or if it would serve plain HTTP to other machines without being told to.
    pub async fn bind(settings: ServerSettings) -> Result<Self, ServerError> {
        let address = settings.listen;
        if settings.tls.is_none() && !settings.plain_http && !address.ip().to_canonical().is_loopback() {
            return Err(ServerError::PlainHttp(address));
        }
        let tls = settings.tls.clone().map(Tls::load).transpose()?;
        let listener = listen(address).map_err(|error| ServerError::Listen { address, error })?;
        Ok(Self { settings, listener, tls })
    }

    /// Where it listens: with the port that was picked, if any was to be.
    pub fn address(&self) -> SocketAddr {
        self.listener.local_addr().unwrap_or(self.settings.listen)
    }

    /// The certificate, to be reloaded.
    pub fn tls(&self) -> Option<Tls> {
        self.tls.clone()
    }

    /// Serves until `stop` resolves and requests in flight have finished, with their records written.
    pub async fn run(
        self,
        store: Store,
        repositories: Repositories,
        upstreams: Upstreams,
        stop: impl Future<Output = ()>,
    ) {
        let grace = self.settings.grace;
        let (recorder, recorder_task) = Recorder::start(store.clone());
        let app = App::new(self.settings, store.clone(), repositories.clone(), upstreams, recorder);
        let upkeep = tokio::spawn(keep_up(app.clone()));
        let webhooks = tokio::spawn(webhook::deliver(app.clone()));
        listener::serve(self.listener, self.tls, router(&app), app.clone(), stop).await;
        for task in [upkeep, webhooks] {
            task.abort();
            let _ = task.await;
        }
        // A push whose connection is gone goes on by itself, and so does the record of it.
        if timeout(grace, repositories.finish()).await.is_err() {
            tracing::warn!("pushes are still under way; they are cut off");
        }
        app.tasks.close();
        let _ = timeout(RECORDS, app.tasks.wait()).await;
        drop(app);
        if timeout(RECORDS, recorder_task.finish()).await.is_err() {
            tracing::error!("the audit could not be written to its end");
        }
        store.close().await;
    }
}

/// Listens with as long a queue as the system gives: when a stampede overflows it, those who are left out try again
/// only a second later.
fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(QUEUE)
}

/// What is done at the start and then every hour: removing what killed programs left, and old records.
async fn keep_up(app: App) {
    loop {
        if let Err(error) = sweep(&app).await {
            tracing::warn!(error, "upkeep was not finished");
        }
        let long_ago = app.clock.now().before(ENDED);
        match app.store.prune_sign_ins(long_ago, app.clock.now()).await {
            Ok(0) => {}
            Ok(rows) => tracing::info!(rows, "removed sessions and applications' tokens that ended long ago"),
            Err(error) => tracing::warn!(%error, "sessions that ended long ago could not be removed"),
        }
        if let Some(keep) = app.settings.audit_keep {
            match app.store.prune_audit(app.clock.now().before(keep), app.clock.now()).await {
                Ok(0) => {}
                Ok(records) => tracing::info!(records, "removed old records from the audit"),
                Err(error) => tracing::warn!(%error, "old records could not be removed from the audit"),
            }
        }
        tokio::time::sleep(HOUR).await;
    }
}

async fn sweep(app: &App) -> Result<(), String> {
    let recorded: Vec<RepositoryId> =
        app.store.repositories(None).await.map_err(|e| e.to_string())?.into_iter().map(|r| r.id).collect();
    // Another program may be making or removing a repository just now.
    app.repositories.sweep_unfinished(|id| recorded.contains(&id), 24 * HOUR).map_err(|error| error.to_string())?;
    for id in recorded {
        if let Err(error) = app.repositories.sweep(id).await {
            tracing::warn!(repository = %id, %error, "what killed processes left was not removed; the next push tries again");
        }
        // What was imported, or came by other ways than a push.
        app.repositories.look_after(id);
    }
    Ok(())
}

const QUEUE: u32 = 65_535;
const HOUR: Duration = Duration::from_secs(3600);
/// How long it is known of a session or an application's token that it has ended, and not only that there is none.
const ENDED: Duration = Duration::from_secs(30 * 86_400);
const RECORDS: Duration = Duration::from_secs(30);
