//! The kernel: one question about access in, one verdict with its reason out.
//!
//! It holds the rules and nothing else: no I/O, no clock, no randomness, no async. Time is an argument, and what the
//! store knows arrives as [`Facts`]. Everything a caller may do to a repository needs a [`Permit`], and only
//! [`decide`] makes one.
#![no_std]

extern crate alloc;

mod ask;
mod decide;
mod facts;
mod id;
mod kind;
mod privilege;
mod reason;
mod scope;
mod time;
mod verdict;

pub use ask::{Action, Ask, Surface};
pub use decide::decide;
pub use facts::{Credential, Facts, NameForm, Presented, Repository};
pub use id::{AccountId, CredentialId, RepositoryId, WorkspaceId};
pub use kind::Kind;
pub use privilege::Privilege;
pub use reason::{Fault, Reason, Told};
pub use scope::{Scope, ScopeError, Scopes};
pub use time::Timestamp;
pub use verdict::{Permit, Principal, Rule, Step, Trail, Verdict};
