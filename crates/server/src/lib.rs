//! HTTP: turns requests into questions for the kernel, and verdicts into answers.
//!
//! It keeps nothing and decides nothing: what is known is in `doorward-store`, the rules are in `doorward-rules`, and
//! repositories are `doorward-git`'s.

mod activity;
mod address;
mod admit;
mod app;
mod context;
mod git;
mod health;
mod listener;
mod metrics;
mod observe;
mod refusal;
mod request_body;
mod router;
mod server;
mod settings;
mod tls;

pub use server::{Server, ServerError};
pub use settings::{LimitSettings, ServerSettings, TlsSettings};
pub use tls::{Tls, TlsError};
