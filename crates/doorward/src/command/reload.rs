//! What a running server reads again on SIGHUP: its certificate, and the upstreams of its configuration.

use doorward_server::Tls;
use doorward_upstream::Upstreams;
use tokio::signal::unix::{SignalKind, signal};

use super::serve::{Mirroring, hide_memory};
use crate::config::Configuration;
use crate::failure::{Code, Failure};

/// Reads both again at each SIGHUP. What cannot be used is logged, and the old stays.
pub(super) fn reload_on_hangup(
    tls: Option<Tls>,
    mut configuration: Configuration,
    mirroring: Mirroring,
    upstreams: Upstreams,
) -> Result<(), Failure> {
    let mut hangup = signal(SignalKind::hangup())
        .map_err(|error| Failure::new(Code::Failed, format!("signals cannot be received: {error}")))?;
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            match tls.as_ref().map(Tls::reload) {
                None => {}
                Some(Ok(())) => tracing::info!("the certificate was read again"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the certificate cannot be read again; the old one stays");
                }
            }
            match read_upstreams(&configuration, &mirroring, &upstreams) {
                Ok(now) => {
                    tracing::info!(upstreams = now.upstreams().len(), "the upstreams were read again");
                    configuration = now;
                }
                Err(failure) => {
                    tracing::error!(error = %failure, "the upstreams cannot be read again; the old ones stay")
                }
            }
        }
    });
    Ok(())
}

fn read_upstreams(
    before: &Configuration,
    mirroring: &Mirroring,
    upstreams: &Upstreams,
) -> Result<Configuration, Failure> {
    let now = before.read_again()?;
    fill(&now, mirroring, upstreams)?;
    Ok(now)
}

/// Puts the upstreams of a configuration in the place of those of now. One whose settings are what they were stays what it is, with all
/// that is known of it.
pub(super) fn fill(configuration: &Configuration, mirroring: &Mirroring, upstreams: &Upstreams) -> Result<(), Failure> {
    if !configuration.upstreams().is_empty() {
        hide_memory();
    }
    let old = upstreams.all();
    let made = configuration.upstreams().iter().map(|settings| {
        match old.iter().find(|upstream| upstream.settings() == settings) {
            Some(same) => Ok(same.clone()),
            None => mirroring.upstream(settings),
        }
    });
    upstreams.replace(made.collect::<Result<_, _>>()?);
    Ok(())
}
