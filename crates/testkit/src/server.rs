//! The built program: run as a server, and run as a command beside it.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

use crate::{Git, Http, Outcome};

/// The program and a data directory, for running commands.
#[derive(Debug, Clone)]
pub struct Cli {
    program: PathBuf,
    data: PathBuf,
    /// A server elsewhere, and the token for it.
    elsewhere: Option<(String, String)>,
}

/// A running server in a directory of its own. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Server {
    cli: Cli,
    child: Child,
    up: Up,
    directory: TempDir,
    environment: Vec<(String, String)>,
}

/// The first line of `doorward up --json`.
#[derive(Debug, Clone, Default)]
#[expect(missing_docs, reason = "the fields of the line")]
pub struct Up {
    pub address: String,
    pub email: String,
    pub account: String,
    pub repository: String,
    pub token: String,
    pub clone_url: String,
}

impl Cli {
    /// The program on a data directory, whether that exists or not.
    pub fn new(program: &str, data: &Path) -> Self {
        Self { program: program.into(), data: data.into(), elsewhere: None }
    }

    /// The data directory.
    pub fn data(&self) -> &Path {
        &self.data
    }

    /// A command with a cleared environment, for the caller to run.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        match &self.elsewhere {
            None => command.arg("--data").arg(&self.data),
            Some((address, token)) => {
                command.args(["--server", address]).env("DOORWARD_TOKEN", token).env("HOME", &self.data)
            }
        };
        command.args(arguments).stdin(Stdio::null());
        command
    }

    /// Runs a command.
    ///
    /// # Panics
    /// If the program cannot be started.
    pub fn run(&self, arguments: &[&str]) -> Outcome {
        self.command(arguments).output().expect("doorward runs").into()
    }

    /// Runs a command that must succeed, and returns its output.
    ///
    /// # Panics
    /// If it does not, with what it said.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let outcome = self.run(arguments);
        assert!(outcome.ok, "doorward {arguments:?} failed: {}", outcome.stderr);
        outcome.stdout
    }

    /// Runs a command with `--json` that must succeed.
    ///
    /// # Panics
    /// If it does not, or does not write one JSON value.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let text = self.ok(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("doorward {arguments:?} wrote {text}: {error}"))
    }

    /// Makes a token for an account; its id and its secret.
    pub fn token(&self, account: &str, scopes: &[&str], more: &[&str]) -> (String, String) {
        let mut arguments = vec!["token", "create", "--account", account, "--name", "test"];
        for scope in scopes {
            arguments.extend(["--scope", scope]);
        }
        arguments.extend(more);
        let token = self.json(&arguments);
        let text = |key: &str| token[key].as_str().unwrap_or_else(|| panic!("no {key} in {token}")).to_owned();
        (text("id"), text("secret"))
    }
}

impl Server {
    /// Starts `doorward up` in a new directory.
    pub fn start(program: &str) -> Self {
        Self::start_with(program, &[])
    }

    /// Starts `doorward up` with environment variables that set what the test is about.
    ///
    /// # Panics
    /// If it does not start; with what it said.
    pub fn start_with(program: &str, environment: &[(&str, &str)]) -> Self {
        Self::start_configured(program, "", environment)
    }

    /// The same with a configuration file in its data directory.
    ///
    /// # Panics
    /// If it does not start; with what it said.
    pub fn start_configured(program: &str, configuration: &str, environment: &[(&str, &str)]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let cli = Cli::new(program, &directory.path().join("data"));
        if !configuration.is_empty() {
            fs::create_dir(cli.data()).expect("the data directory");
            fs::write(cli.data().join("doorward.toml"), configuration).expect("the configuration");
        }
        let environment: Vec<_> = environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let (child, up) = launch(&cli, directory.path(), &["up", "--listen", "127.0.0.1:0"], &environment);
        let text = |key: &str| up[key].as_str().unwrap_or_default().to_owned();
        let up = Up {
            address: text("address"),
            email: text("email"),
            account: text("account"),
            repository: text("repository"),
            token: text("token"),
            clone_url: text("clone_url"),
        };
        Self { cli, child, up, directory, environment }
    }

    /// Serves a data directory that commands have prepared.
    ///
    /// # Panics
    /// If it does not start; with what it said.
    pub fn serve(cli: Cli, directory: TempDir) -> Self {
        let (child, started) = launch(&cli, directory.path(), &["serve", "--listen", "127.0.0.1:0"], &[]);
        let address = started["address"].as_str().unwrap_or_default().to_owned();
        let up = Up { address, ..Up::default() };
        Self { cli, child, up, directory, environment: Vec::new() }
    }

    /// What it printed when it started first.
    pub fn up(&self) -> &Up {
        &self.up
    }

    /// The program on this server's data.
    pub fn cli(&self) -> &Cli {
        &self.cli
    }

    /// The program as whoever has this token runs it elsewhere.
    pub fn elsewhere(&self, token: &str) -> Cli {
        Cli { elsewhere: Some((self.up.address.clone(), token.to_owned())), ..self.cli.clone() }
    }

    /// A directory for the test's own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A git client with its home in this server's directory.
    pub fn git(&self) -> Git {
        Git::new(self.directory.path())
    }

    /// Raw HTTP to this server.
    pub fn http(&self) -> Http {
        Http::new(self.host())
    }

    /// Address and port.
    pub fn host(&self) -> &str {
        self.up.address.split_once("://").map_or("", |(_, host)| host)
    }

    /// The address of a repository with a user name and secret in it; without one if both are empty.
    pub fn url(&self, user: &str, secret: &str, repository: &str) -> String {
        let (scheme, host) = self.up.address.split_once("://").unwrap_or_default();
        match (user, secret) {
            ("", "") => format!("{scheme}://{host}/{repository}.git"),
            _ => format!("{scheme}://{user}:{secret}@{host}/{repository}.git"),
        }
    }

    /// The address of a repository with the first token in it.
    pub fn url_of(&self, repository: &str) -> String {
        self.url(&self.up.account, &self.up.token, repository)
    }

    /// The directory of a repository.
    ///
    /// # Panics
    /// If there is no such repository.
    pub fn bare(&self, repository: &str) -> PathBuf {
        let list = self.cli.json(&["repository", "list"]);
        let found = list.as_array().and_then(|rows| rows.iter().find(|row| row["name"] == repository));
        let id = found.and_then(|row| row["id"].as_str()).unwrap_or_else(|| panic!("no {repository} in {list}"));
        self.cli.data.join("repositories").join(format!("{id}.git"))
    }

    /// The process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// A line of `/proc/PID/status` in bytes, such as `VmRSS` or `VmHWM`.
    ///
    /// # Panics
    /// If there is no such line.
    pub fn memory(&self, line: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("the process runs");
        let found = status.lines().find_map(|text| text.strip_prefix(line)?.strip_prefix(':'));
        let kilobytes = found.and_then(|text| text.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        kilobytes.unwrap_or_else(|| panic!("no {line} in {status}")) * 1024
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If the process is gone.
    pub fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a process id");
        kill_process(pid, signal).expect("the process is there");
    }

    /// Kills it without warning.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If it cannot be waited for.
    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait().expect("the process is ours")
    }

    /// Asks it to stop, waits, and starts it again on the same address.
    pub fn restart(&mut self) {
        self.signal(Signal::TERM);
        self.wait();
        self.start_again();
    }

    /// Starts it again on the same address after it has stopped.
    pub fn start_again(&mut self) {
        let listen = self.host().to_owned();
        let arguments = ["serve", "--listen", &listen];
        self.child = launch(&self.cli, self.directory.path(), &arguments, &self.environment).0;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts the program and waits for its first line.
fn launch(cli: &Cli, directory: &Path, arguments: &[&str], environment: &[(String, String)]) -> (Child, Value) {
    let log = File::options().create(true).append(true).open(directory.join("log")).expect("a log");
    let mut command = cli.command(arguments);
    command.arg("--json").envs(environment.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("doorward starts");
    let mut line = String::new();
    BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
    let value = serde_json::from_str(&line).unwrap_or_else(|error| {
        let log = fs::read_to_string(directory.join("log")).unwrap_or_default();
        panic!("doorward {arguments:?} wrote `{line}`: {error}\n{log}")
    });
    (child, value)
}
