//! Accounts, workspaces, repositories, credentials and the audit, in a database.
//!
//! The only place with SQL. What it answers are findings: an error of the database is [`StoreError::Unavailable`],
//! "cannot tell now", and never an empty answer. It decides nothing; see `doorward-rules`.

mod account;
mod audit;
mod calendar;
mod consumer;
mod credential;
mod database;
mod epoch;
mod error;
mod facts;
mod grant;
mod identity;
mod known;
mod named;
mod passkey;
mod permission;
mod policy;
mod project;
mod recorder;
mod repository;
mod row;
mod sealed;
mod second_step;
mod secret;
mod sign_in;
mod status;
mod upload;
mod upstream_credential;
mod usage;
mod webhook;
mod workspace;

pub use account::{Account, AccountChange};
pub use audit::{AuditEntry, AuditFilter, Decision, Record, Tally, TimelineCount};
pub use calendar::Rehearsed;
pub use consumer::{Consumer, NewConsumer};
pub use credential::{Credential, Credentials, Holder, NewCredential, Reach, Rotated};
pub use database::{Change, Leave, Store};
pub use error::{Noun, StoreError};
pub use facts::Finding;
pub use grant::{Grant, NewGrant, Tokens, Worthless};
pub use identity::{ProviderIdentity, ProviderSession};
pub use named::Named;
pub use passkey::Passkey;
pub use permission::{OwnPermission, Permission, PermissionSource};
pub use policy::{Affected, describe as describe_policy};
pub use project::{Project, ProjectChange};
pub use recorder::{Recorder, RecorderTask};
pub use repository::{Repository, RepositoryChange, Viewer};
pub use second_step::SecondStep;
pub use sign_in::SignIn;
pub use status::CommitStatus;
pub use upload::Upload;
pub use upstream_credential::UpstreamCredential;
pub use usage::Use;
pub use webhook::{Delivery, DeliveryState, Webhook};
pub use workspace::{Member, Workspace};
