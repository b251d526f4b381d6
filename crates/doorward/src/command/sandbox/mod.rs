//! `doorward sandbox`: a stand-in for Bitbucket Cloud, in a directory that is gone afterwards.

mod authority;
mod world;

use std::net::SocketAddr;
use std::path::Path;

use doorward_git::{Git, Repositories, Slots};
use doorward_rules::{RuleSet, Timestamp};
use doorward_server::{SandboxSettings, Server, ServerSettings, SpuriousRefusals, TlsSettings};
use doorward_store::Store;
use doorward_upstream::Upstreams;
use serde::Serialize;

use self::authority::Authority;
use self::world::{Shown, World};
use super::serve::{raise_open_files, stop_signal};
use crate::arguments::SandboxFlags;
use crate::config::Configuration;
use crate::data::now;
use crate::failure::{Code, Failure};
use crate::print;

/// The first line of `--json`.
#[derive(Serialize)]
struct Started<'a> {
    /// The base of Git URLs.
    git: String,
    /// The base of REST URLs, without `/2.0`.
    rest: String,
    /// Where it listens.
    address: String,
    /// What time it is there.
    at: String,
    /// Draws the same faults again.
    seed: u64,
    /// The file with the certificate of the authority, if it serves HTTPS.
    ca: Option<String>,
    repositories: &'a [&'a str],
    credentials: &'a [Shown],
}

pub(crate) async fn run(flags: SandboxFlags, configuration: Configuration, json: bool) -> Result<(), Failure> {
    let scratch = tempfile::Builder::new().prefix("doorward-sandbox-").tempdir().map_err(|error| {
        Failure::new(Code::Failed, format!("there is no room for a scratch directory: {error}")).hint("set TMPDIR")
    })?;
    raise_open_files();
    let at = flags.at.unwrap_or_else(now);
    let seed = flags.seed.unwrap_or_else(|| now().0.unsigned_abs());
    let store = Store::open(scratch.path()).await?;
    let repositories = repositories(&configuration, scratch.path())?;
    let world = World::make(&store, &repositories, at).await?;
    let authority = if flags.tls { Some(Authority::make(scratch.path())?) } else { None };
    let settings = settings(&configuration, &flags, seed, authority.as_ref());
    let server = Server::bind(settings).await?;
    let started = Started::new(server.address(), at, seed, authority.as_ref(), &world);
    let stop = Box::pin(stop_signal()?);
    if json { print::json(&started) } else { started.tell() }?;
    server.run(store, repositories, Upstreams::default(), stop).await;
    drop(scratch);
    Ok(())
}

/// The settings of a server that nobody has configured, but for its bounds.
fn settings(
    configuration: &Configuration,
    flags: &SandboxFlags,
    seed: u64,
    authority: Option<&Authority>,
) -> ServerSettings {
    ServerSettings {
        listen: flags.listen,
        plain_http: false,
        tls: authority
            .map(|authority| TlsSettings { certificate: authority.certificate.clone(), key: authority.key.clone() }),
        trusted_proxies: Vec::new(),
        public_url: None,
        rules: RuleSet::BitbucketCloud,
        sandbox: Some(SandboxSettings {
            at: flags.at,
            spurious: flags.spurious.unwrap_or(SpuriousRefusals::NONE),
            latency: flags.latency.unwrap_or_default(),
            rate_limit: flags.rate_limit,
            seed,
        }),
        audit_keep: None,
        ..configuration.server()
    }
}

fn repositories(configuration: &Configuration, directory: &Path) -> Result<Repositories, Failure> {
    let git = Git::find(&configuration.git(), &std::env::var_os("PATH").unwrap_or_default())?;
    Ok(Repositories::new(directory, git, Slots::new(configuration.slots()), configuration.cache())?)
}

impl<'a> Started<'a> {
    fn new(bound: SocketAddr, at: Timestamp, seed: u64, authority: Option<&Authority>, world: &'a World) -> Self {
        let port = if bound.port() == 443 { String::new() } else { format!(":{}", bound.port()) };
        let (git, rest) = match authority {
            Some(_) => (format!("https://bitbucket.org{port}"), format!("https://api.bitbucket.org{port}")),
            None => (format!("http://{bound}"), format!("http://{bound}")),
        };
        Self {
            git,
            rest,
            address: bound.to_string(),
            at: at.to_string(),
            seed,
            ca: authority.map(|authority| authority.root.display().to_string()),
            repositories: world::REPOSITORIES,
            credentials: &world.credentials,
        }
    }

    fn tell(&self) -> Result<(), Failure> {
        print::line(&format!("Bitbucket Cloud as on {}, played at {}\n", self.at, self.address))?;
        print::pairs(&[
            ("  git", self.git.clone()),
            ("  rest", format!("{}/2.0", self.rest)),
            ("  repositories", self.repositories.join(", ")),
            ("  controls", "GET /_sandbox/state, POST /_sandbox/clock, /_sandbox/faults, GET /_sandbox/log".into()),
            ("  seed", self.seed.to_string()),
        ])?;
        if let Some(ca) = &self.ca {
            let host = self.address.rsplit_once(':').map_or("127.0.0.1", |(host, _)| host.trim_matches(['[', ']']));
            print::line("\n  Two lines for the hosts file, and the authority to trust:\n")?;
            print::line(&format!("  {host} bitbucket.org www.bitbucket.org\n  {host} api.bitbucket.org"))?;
            print::line(&format!("  export GIT_SSL_CAINFO={ca} SSL_CERT_FILE={ca}"))?;
            let port = self.git.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()).unwrap_or(443);
            print::line("\n  Or without the hosts file, for one git command:\n")?;
            print::line(&format!("  GIT_SSL_CAINFO={ca} git -c http.curloptResolve=bitbucket.org:{port}:{host} …"))?;
        }
        for shown in self.credentials {
            print::line("")?;
            shown.tell()?;
        }
        print::line("\nEverything here is thrown away when it stops. Ctrl-C stops.")
    }
}
