//! The command line: reads the arguments, runs one command, and says on one line what went wrong.

mod administration;
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
use crate::failure::{Code, Failure};

fn main() -> ExitCode {
    // Whatever is written here is for its owner alone, also in a directory that others may look into.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let arguments = Arguments::of_process();
    if arguments.server.is_some() && !arguments.command.administers() {
        let failure = Failure::new(
            Code::Usage,
            "--server goes with the commands that administer a server, and not with this one",
        );
        return failure.hint("leave it out").report();
    }
    let done = if arguments.command.is_clients() { command::client::run(arguments) } else { run(arguments) };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[tokio::main]
async fn run(arguments: Arguments) -> Result<(), Failure> {
    if arguments.command.administers() {
        return command::administer(arguments).await;
    }
    let configuration = Configuration::load(&arguments.flags(), |name| std::env::var_os(name), std::env::vars_os())?;
    let serves = matches!(arguments.command, Command::Up(_) | Command::Serve(_) | Command::Sandbox(_));
    log::start(&configuration, serves);
    let json = arguments.json;
    match arguments.command {
        Command::Up(_) => command::up::run(configuration, json).await,
        Command::Serve(_) => command::serve::run(configuration, json).await,
        Command::Sandbox(flags) => command::sandbox::run(flags, configuration, json).await,
        Command::Upstream(command) => command::upstream::run(command, &configuration, json).await,
        Command::Config(config) => command::config::run(&config, &configuration, json),
        // The others were dealt with before.
        _ => Ok(()),
    }
}
