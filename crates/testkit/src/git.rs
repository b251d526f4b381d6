//! Real git, in a home of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A git client with a home directory of its own and an identity.
#[derive(Debug, Clone)]
pub struct Git {
    program: PathBuf,
    home: PathBuf,
    settings: Vec<(String, String)>,
}

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Whether it succeeded.
    pub ok: bool,
    /// Its exit code, if it was not killed.
    pub code: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Git {
    /// The git in the search path, with `home` as its home directory.
    pub fn new(home: &Path) -> Self {
        Self { program: "git".into(), home: home.into(), settings: Vec::new() }
    }

    /// The same with another program.
    #[must_use]
    pub fn program(mut self, program: &Path) -> Self {
        self.program = program.into();
        self
    }

    /// The same with one more setting, as with `git -c`.
    #[must_use]
    pub fn set(mut self, key: &str, value: &str) -> Self {
        self.settings.push((key.into(), value.into()));
        self
    }

    /// A command in a directory, for the caller to run.
    pub fn command(&self, directory: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.home)
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_AUTHOR_NAME", "Ada")
            .env("GIT_AUTHOR_EMAIL", "ada@example.org")
            .env("GIT_COMMITTER_NAME", "Ada")
            .env("GIT_COMMITTER_EMAIL", "ada@example.org")
            .env("LC_ALL", "C")
            .current_dir(directory)
            .stdin(Stdio::null())
            .args(["-c", "init.defaultBranch=main", "-c", "gc.auto=0", "-c", "maintenance.auto=false"]);
        for (key, value) in &self.settings {
            command.arg("-c").arg(format!("{key}={value}"));
        }
        command.args(arguments);
        command
    }

    /// Runs a command in a directory.
    ///
    /// # Panics
    /// If git cannot be started.
    pub fn run(&self, directory: &Path, arguments: &[&str]) -> Outcome {
        self.command(directory, arguments).output().expect("git runs").into()
    }

    /// Runs a command that must succeed, and returns its output without the last line's end.
    ///
    /// # Panics
    /// If it does not, with what it said.
    pub fn ok(&self, directory: &Path, arguments: &[&str]) -> String {
        let outcome = self.run(directory, arguments);
        assert!(outcome.ok, "git {arguments:?} failed:\n{}{}", outcome.stdout, outcome.stderr);
        outcome.stdout.trim_end().to_owned()
    }

    /// Writes a file and commits it; the commit's name.
    ///
    /// # Panics
    /// If it cannot.
    pub fn commit(&self, clone: &Path, file: &str, content: &str) -> String {
        std::fs::write(clone.join(file), content).expect("the file is written");
        self.ok(clone, &["add", file]);
        self.ok(clone, &["commit", "-q", "-m", &format!("Change {file}")]);
        self.ok(clone, &["rev-parse", "HEAD"])
    }
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}
