//! What an administrator may set about the server. The names, defaults and meanings are the configuration's.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use doorward_rules::RuleSet;
use doorward_wire::{PushLimits, TokenShape};
use ipnet::IpNet;

use crate::{SandboxSettings, SsoSettings, WebhookSettings};

/// Everything about the server.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whether plain HTTP may be served to other machines.
    pub plain_http: bool,
    /// Certificate and key; plain HTTP without.
    pub tls: Option<TlsSettings>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
    /// Who may read `/metrics`.
    pub metrics_from: Vec<IpNet>,
    /// How long requests in flight may take to finish after a SIGTERM.
    pub grace: Duration,
    /// Bounds.
    pub limits: LimitSettings,
    /// What is told to whom of changes.
    pub webhooks: WebhookSettings,
    /// How long audit records are kept; for ever without.
    pub audit_keep: Option<Duration>,
    /// The address that people use, if it is not the one that they name in their requests.
    pub public_url: Option<String>,
    /// What tokens look like that are made by REST.
    pub token_shape: TokenShape,
    /// The organisation's own sign-in provider.
    pub sso: Option<SsoSettings>,
    /// Whose rules it decides by.
    pub rules: RuleSet,
    /// What makes it a sandbox, if it is one.
    pub sandbox: Option<SandboxSettings>,
}

/// Certificate and key, as PEM files.
#[derive(Debug, Clone)]
pub struct TlsSettings {
    /// The certificate, with its chain.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Bounds on what clients may take.
#[derive(Debug, Clone, Copy)]
pub struct LimitSettings {
    /// Open connections.
    pub connections: usize,
    /// Requests that one address may have in flight.
    pub requests_per_address: usize,
    /// How long a client may take for its TLS handshake, and then for the head of a request.
    pub head_time: Duration,
    /// How long a client may take between two pieces of a request, or to take a piece of an answer.
    pub idle_time: Duration,
    /// Secrets that one address may try without success in a minute before such attempts get 429.
    pub failed_attempts: usize,
    /// How long a decision may wait for the store.
    pub store_time: Duration,
    /// Bytes of the head of a request.
    pub head_bytes: usize,
    /// Bytes of the request of a fetch, decompressed.
    pub fetch_bytes: u64,
    /// Bytes of a push, decompressed.
    pub push_bytes: u64,
    /// What a push may ask for.
    pub push: PushLimits,
    /// Bytes of an upload by REST.
    pub upload_bytes: u64,
    /// Files of an upload by REST.
    pub upload_files: usize,
}
