//! A server on this machine, asked at the address that it listens on, under the name that others know it by.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use ureq::Agent;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

use crate::rest::{certificates_in, system_certificates, trusting};

/// Every name is the address that a server listens on.
#[derive(Debug)]
struct Near(SocketAddr);

impl Resolver for Near {
    fn resolve(&self, _: &Uri, _: &Config, _: NextTimeout) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let mut addresses = self.empty();
        addresses.push(self.0);
        Ok(addresses)
    }
}

/// Reads a page of the server that listens at an address. Its certificate is checked against the name in the URL: its issuer, or it
/// itself if it has signed itself, has to be in the file that the server has, or trusted by this machine.
///
/// # Errors
/// What is wrong: it is not reached, not trusted, or answers with another status than 200.
pub fn read_near(url: &str, listen: SocketAddr, certificate: Option<&Path>) -> Result<String, ureq::Error> {
    let pem = certificate.map(std::fs::read).transpose().map_err(ureq::Error::Io)?.unwrap_or_default();
    let mut roots = system_certificates();
    roots.extend(certificates_in(&pem));
    let config = Agent::config_builder().timeout_global(Some(PATIENCE)).max_redirects(0).proxy(None);
    let config = config.tls_config(trusting(&roots));
    let agent = Agent::with_parts(config.build(), DefaultConnector::default(), Near(reached(listen)));
    agent.get(url).call()?.into_body().into_with_config().limit(LONGEST).read_to_string()
}

/// Who listens on every address is reached on this machine's own.
fn reached(listen: SocketAddr) -> SocketAddr {
    let own = match listen.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(own, listen.port())
}

const PATIENCE: Duration = Duration::from_secs(10);
/// Bytes of a page.
const LONGEST: u64 = 16 * 1024 * 1024;
