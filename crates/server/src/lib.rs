//! HTTP: turns requests into questions for the kernel, and verdicts into answers.
//!
//! It keeps nothing and decides nothing: what is known is in `doorward-store`, the rules are in `doorward-rules`, and
//! repositories are `doorward-git`'s. With the other rule set it is the sandbox, which stands in for Bitbucket Cloud.

mod activity;
mod address;
mod admit;
mod app;
mod attempts;
mod clock;
mod compress;
mod context;
mod diagnostics;
mod gateway;
mod git;
mod health;
mod keyed;
mod listener;
mod metrics;
mod oauth;
mod observe;
mod refusal;
mod request_body;
mod rest;
mod router;
mod sandbox;
mod server;
mod settings;
mod tls;
mod web;
mod webhook;

pub use rest::reference as operations_reference;
pub use sandbox::{EARLIEST as SANDBOX_EARLIEST, FaultError, Latency, SandboxSettings, SpuriousRefusals};
pub use server::{Server, ServerError};
pub use settings::{LimitSettings, ServerSettings, TlsSettings};
pub use tls::{Tls, TlsError};
pub use web::SsoSettings;
pub use webhook::WebhookSettings;
