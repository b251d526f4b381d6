//! The web pages: values in, HTML out. No I/O, no clock, no decisions; whoever fills a page has asked before.
//!
//! Each page is a template and a value of its fields. Whatever is put into one is escaped, but for what this crate itself has
//! made: `|safe` in a template stands behind a function from here and nothing else.

mod asset;
mod credentials;
mod frame;
mod markdown;
mod refusals;
mod repository;
mod server;
mod sign_in;
mod task;
mod text;
mod timeline;
mod workspace;

pub use askama::Template;
pub use asset::{Asset, asset};
pub use credentials::{
    ChosenToken, CredentialPage, CredentialsPage, Findings, GrantLine, NewCredentialPage, NewSecretPage, Usage,
    consumer_usages, usages,
};
pub use frame::{Frame, MessagePage, Notice, Viewer};
pub use markdown::render as render_markdown;
pub use refusals::{ChosenRecords, RefusalsPage, WhyPage};
pub use repository::{
    CommitLine, CommitPage, CommitsPage, EntryLine, FilePage, RefLine, RefsPage, RepositoryHead, SourcePage, StatusLine,
};
pub use server::{CalendarPage, Section, StatusPage};
pub use sign_in::{
    ConsentPage, LeavePage, NewPasskeyPage, PasskeyLine, RecoveryCodesPage, SecondStepPage, SecurityPage, SessionLine,
    SignInPage, TwoStepPage, WelcomePage,
};
pub use task::{Vocabulary, in_words, scopes_of};
pub use text::escaped;
pub use timeline::{Bar, Timeline};
pub use workspace::{
    AccessTokensPage, ChosenConsumer, ChosenPolicy, ConsumersPage, HomePage, MembersPage, PolicyPage, RepositoryLine,
    UpstreamsPage, WorkspaceLine,
};
