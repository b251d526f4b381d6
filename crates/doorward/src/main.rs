//! The command line: reads the arguments, runs one command, and says on one line what went wrong.

mod arguments;
mod command;
mod config;
mod data;
mod failure;
mod log;
mod print;
mod progress;
#[cfg(test)]
mod refusals;
mod style;
mod terminal;

use std::process::ExitCode;

use crate::arguments::{Arguments, Command};
use crate::config::Configuration;
use crate::failure::Failure;

fn main() -> ExitCode {
    // Whatever is written here is for its owner alone, also in a directory that others may look into.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let arguments = Arguments::of_process();
    let done = if arguments.command.is_clients() { command::client::run(arguments) } else { run(arguments) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<(), Failure> {
    let configuration = Configuration::load(&arguments.flags(), |name| std::env::var_os(name), std::env::vars_os())?;
    let serves = matches!(arguments.command, Command::Up(_) | Command::Serve(_) | Command::Sandbox(_));
    log::start(&configuration, serves);
    let json = arguments.json;
    match arguments.command {
        Command::Up(_) => command::up::run(configuration, json).await,
        Command::Serve(_) => command::serve::run(configuration, json).await,
        Command::Account(account) => command::account::run(account, &configuration, json).await,
        Command::Workspace(workspace) => command::workspace::run(workspace, &configuration, json).await,
        Command::Repository(repository) => command::repository::run(repository, &configuration, json).await,
        Command::Permission(permission) => command::permission::run(permission, &configuration, json).await,
        Command::Project(project) => command::project::run(project, &configuration, json).await,
        Command::Policy(policy) => command::policy::run(policy, &configuration, json).await,
        Command::Calendar(calendar) => command::calendar::run(calendar, &configuration, json).await,
        Command::Sandbox(flags) => command::sandbox::run(flags, configuration, json).await,
        Command::Token(token) => command::token::run(token, &configuration, json).await,
        Command::Audit(filter) => command::audit::run(filter, &configuration, json).await,
        Command::Why { request } => command::why::run(&request, &configuration, json).await,
        Command::Credential(_)
        | Command::Setup { .. }
        | Command::Askpass { .. }
        | Command::Doctor(_)
        | Command::Login(_)
        | Command::Logout { .. }
        | Command::Completions { .. }
        | Command::Manual { .. }
        | Command::Migrate(_)
        | Command::Run(_) => command::client::run(arguments),
        Command::Config(config) => command::config::run(&config, &configuration, json),
    }
}
