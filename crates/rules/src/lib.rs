//! The kernel: one question about access in, one verdict with its reason out.
//!
//! It holds the rules and nothing else: no I/O, no clock, no randomness, no async. Time is an argument, and what the
//! store knows arrives as [`Facts`]. Everything a caller may do needs a [`Permit`], and only [`decide`] makes one.
//!
//! One table, used four ways: [`decide`] says whether and why, [`present`] in which form to present a secret, [`advise`]
//! what would have to change, and [`Reason::CATALOGUE`] is what the documentation is printed from.
#![no_std]

extern crate alloc;

mod advice;
mod ask;
pub mod bitbucket_cloud;
mod calendar;
mod decide;
mod facts;
mod fault;
mod id;
mod kind;
mod own_fault;
mod policy;
mod presentation;
mod privilege;
mod reason;
mod rule_set;
mod scope;
mod time;
mod verdict;

pub use advice::{Advice, Change, advise};
pub use ask::{Action, Ask, Object, Surface};
pub use calendar::{Brownout, Calendar, Phase, Schedule};
pub use decide::decide;
pub use facts::{Credential, Facts, Limit, Presented, Repository, Workspace};
pub use fault::Fault;
pub use id::{AccountId, CredentialId, ProjectId, RepositoryId, WorkspaceId};
pub use ipnet::IpNet;
pub use kind::{Kind, Kinds};
pub use own_fault::OwnFault;
pub use policy::Policy;
pub use presentation::{Form, NameForm, Scheme};
pub use privilege::Privilege;
pub use reason::{Reason, Told};
pub use rule_set::{RuleSet, Rules, present};
pub use scope::{Scope, ScopeError, Scopes, Vocabulary};
pub use time::{TimeError, Timestamp};
pub use verdict::{Permit, Principal, Rule, Step, Target, Trail, Verdict};
