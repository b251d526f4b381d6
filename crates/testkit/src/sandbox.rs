//! The built program as a sandbox of Bitbucket Cloud.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use crate::{Git, Http, Response};

/// A running sandbox. It is stopped when this is dropped.
#[derive(Debug)]
pub struct Sandbox {
    child: Child,
    started: Value,
    directory: TempDir,
}

impl Sandbox {
    /// Starts `doorward sandbox` with more arguments.
    ///
    /// # Panics
    /// If it does not start; with what it said.
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let directory = TempDir::new().expect("a directory");
        let log = File::create(directory.path().join("log")).expect("a log");
        let mut command = Command::new(program);
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).current_dir(directory.path());
        command.args(["sandbox", "--listen", "127.0.0.1:0", "--json"]).args(arguments).stdin(Stdio::null());
        let mut child = command.stdout(Stdio::piped()).stderr(log).spawn().expect("doorward starts");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("its output")).read_line(&mut line).expect("its first line");
        let started = serde_json::from_str(&line).unwrap_or_else(|error| {
            let log = fs::read_to_string(directory.path().join("log")).unwrap_or_default();
            panic!("doorward sandbox {arguments:?} wrote `{line}`: {error}\n{log}")
        });
        Self { child, started, directory }
    }

    /// Its first line.
    pub fn started(&self) -> &Value {
        &self.started
    }

    /// A credential of a kind in a state.
    ///
    /// # Panics
    /// If there is none.
    pub fn credential(&self, kind: &str, state: &str) -> &Value {
        let all = self.started["credentials"].as_array().expect("credentials");
        let found = all.iter().find(|credential| credential["kind"] == kind && credential["state"] == state);
        found.unwrap_or_else(|| panic!("no {kind} that is {state} in {all:?}"))
    }

    /// The secret of a credential.
    pub fn secret(&self, kind: &str, state: &str) -> &str {
        self.credential(kind, state)["secret"].as_str().expect("a secret")
    }

    /// Address and port.
    pub fn host(&self) -> &str {
        self.started["address"].as_str().expect("an address")
    }

    /// Raw HTTP to it.
    pub fn http(&self) -> Http {
        Http::new(self.host())
    }

    /// The address of a repository with a user name and secret in it; `@` in the name is encoded.
    pub fn url(&self, user: &str, secret: &str, repository: &str) -> String {
        let user = user.replace('@', "%40");
        let secret = secret.replace('=', "%3D");
        match user.is_empty() && secret.is_empty() {
            true => format!("http://{}/{repository}.git", self.host()),
            false => format!("http://{user}:{secret}@{}/{repository}.git", self.host()),
        }
    }

    /// Changes something, as a test does by `POST /_sandbox/…`.
    ///
    /// # Panics
    /// If the sandbox does not take it.
    pub fn control(&self, what: &str, change: &str) -> Response {
        let answer =
            self.http().post(&format!("/_sandbox/{what}"), &["Content-Type: application/json"], change.as_bytes());
        assert_eq!(answer.status, 200, "{what} {change}: {}", answer.text());
        answer
    }

    /// What it has refused.
    ///
    /// # Panics
    /// If that is not JSON.
    pub fn log(&self) -> Vec<Value> {
        let answer = self.http().get("/_sandbox/log", &[]);
        serde_json::from_slice(&answer.body).unwrap_or_else(|error| panic!("{}: {error}", answer.text()))
    }

    /// A directory for the test's own files.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A git client with its home in that directory.
    pub fn git(&self) -> Git {
        Git::new(self.directory.path())
    }
}

impl Drop for Sandbox {
    /// Asks it to stop, so that it removes its scratch directory; it has nothing else to do.
    fn drop(&mut self) {
        if let Some(pid) = rustix::process::Pid::from_raw(self.child.id().cast_signed()) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::INT);
        }
        let _ = self.child.wait();
    }
}
