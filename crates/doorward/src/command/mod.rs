//! One file per command.

mod account;
mod audit;
mod calendar;
pub(crate) mod client;
mod completions;
pub(crate) mod config;
mod consumer;
mod doctor;
mod login;
mod migrate;
mod permission;
mod policy;
mod project;
mod reload;
mod repository;
mod run;
pub(crate) mod sandbox;
pub(crate) mod serve;
mod token;
pub(crate) mod up;
pub(crate) mod upstream;
mod upstream_credential;
mod why;
mod workspace;

use std::time::Duration;

use doorward_rules::Kind;

use crate::administration::{Administration, Needs};
use crate::arguments::{AccountCommand, Arguments, Command};
use crate::failure::Failure;

/// The commands that administer, here or elsewhere.
pub(crate) async fn administer(arguments: Arguments) -> Result<(), Failure> {
    let needs = match &arguments.command {
        Command::Account(AccountCommand::Create { .. }) => Needs::Room,
        Command::Repository(_) => Needs::Repositories,
        _ => Needs::Store,
    };
    let place = Administration::open(&arguments, needs).await?;
    let json = arguments.json;
    match arguments.command {
        Command::Account(command) => account::run(command, &place, json).await,
        Command::Workspace(command) => workspace::run(command, &place, json).await,
        Command::Repository(command) => repository::run(command, &place, json).await,
        Command::Permission(command) => permission::run(command, &place, json).await,
        Command::Project(command) => project::run(command, &place, json).await,
        Command::Token(command) => token::run(command, &place, json).await,
        Command::Consumer(command) => consumer::run(command, &place, json).await,
        Command::Policy(command) => policy::run(command, &place, json).await,
        Command::Calendar(command) => calendar::run(command, &place, json).await,
        Command::Audit(filter) => audit::run(filter, &place, json).await,
        Command::Why { request } => why::run(&request, &place, json).await,
        _ => Ok(()),
    }
}

/// The day of a moment, for lists.
fn day(at: &str) -> String {
    at.chars().take(10).collect()
}

/// The day of a moment, for lists, or a word for none.
fn day_or(at: Option<&str>, none: &str) -> String {
    at.map_or_else(|| none.to_owned(), day)
}

/// A kind, as `--kind` takes it, by its stable name.
fn short(word: &str) -> &str {
    match Kind::from_word(word) {
        Some(Kind::ApiToken) => "api",
        Some(Kind::AppPassword) => "app-password",
        Some(Kind::RepositoryToken) => "repository",
        Some(Kind::ProjectToken) => "project",
        Some(Kind::WorkspaceToken) => "workspace",
        Some(Kind::OAuthToken) => "oauth",
        Some(Kind::AccountPassword) => "password",
        Some(Kind::ConnectJwt) => "jwt",
        Some(Kind::WebSession) => "session",
        None => word,
    }
}

/// A kind in a sentence, by its stable name.
fn phrase(word: &str) -> &str {
    Kind::from_word(word).map_or(word, |kind| kind.phrase())
}

/// A number of things: `1 API token`, `2 API tokens`.
fn counted(number: usize, thing: &str) -> String {
    if number == 1 { format!("1 {thing}") } else { format!("{number} {thing}s") }
}

/// A length of time as people type it: `90m`, `12h`, `30d`.
fn length(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let fits = |(unit, _): &(u64, &str)| seconds > 0 && seconds.is_multiple_of(*unit);
    let unit = [(86_400, "d"), (3600, "h"), (60, "m")].into_iter().find(fits);
    unit.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
