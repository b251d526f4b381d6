//! Administering a server: each thing that can be done is a value, which is carried out here, on a store, or told to another
//! server by REST. Both ways give the same answer, so the command line needs to know no difference.
//!
//! Nothing is decided here but one thing: that nobody makes a token that may do more than the one that makes it. Who may
//! administer what is the kernel's to say, and is asked before.

mod account;
mod audit;
mod calendar;
mod consumer;
mod desk;
mod error;
mod operation;
mod permission;
mod policy;
mod project;
mod repository;
mod review;
mod token;
mod why;
mod workspace;

pub use account::{AccountRow, ChangeAccount, CreateAccount, CreateSignInLink, LinkRow, ListAccounts, ShowAccount};
pub use audit::{AuditRow, SearchAudit, lies_in};
pub use calendar::{
    Announce, BrownoutRow, CancelPlan, KINDS, PlanBrownout, Rehearse, RehearsedRow, Retire, ScheduleRow, ShowCalendar,
};
pub use consumer::{ConsumerRow, CreateConsumer, ListConsumers, NewConsumerRow, RevokeConsumer, RotateConsumer};
pub use desk::Desk;
pub use error::AdminError;
pub use operation::{Answered, Call, Operation};
pub use permission::{ListPermissions, PermissionRow, SetPermission};
pub use policy::{AffectedRow, ChangePolicy, PolicyRow, ShowPolicy};
pub use project::{CreateProject, ListProjects, ProjectRow};
pub use repository::{
    Content, CreateRepository, DeleteRepository, HeadRow, ListRepositories, RepositoryRow, SetHead, ShowHead,
};
pub use review::{ReviewRow, ReviewTokens};
pub use token::{
    CreateToken, Lifetime, ListTokens, NewTokenRow, RevokeToken, Revoked, RotateToken, ShowToken, ShownToken,
    TokenHolder, TokenRow, UseRow, Whose, token_id,
};
pub use why::{RuleRow, Why, WhyRow};
pub use workspace::{AddMember, CreateWorkspace, ListWorkspaces, RemoveMember, ShowWorkspace, WorkspaceRow};
