//! Whether the remotes of changed clones can be reached, asked by git itself with the configuration as it is now.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::tracked::OF_A_REPOSITORY;
use super::{Affected, Change, Format, Hosts};
use crate::bounded;

/// A remote of a clone whose configuration was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// The clone's git directory.
    pub git_directory: PathBuf,
    /// Its name.
    pub name: String,
    /// Its address, without what is secret in it.
    pub url: String,
}

/// The remotes of the changed clones, each address once.
pub fn remotes(affected: &[Affected], hosts: &Hosts) -> Vec<Remote> {
    let mut found: Vec<Remote> = Vec::new();
    let clones = affected.iter().filter(|file| {
        let edited = file.finds.iter().any(|find| matches!(find.change, Change::Edits(_)));
        edited && file.format == Format::GitConfig && file.path.file_name().is_some_and(|name| name == "config")
    });
    for directory in clones.filter_map(|file| file.path.parent()).filter(|path| path.join("HEAD").is_file()) {
        let mut config = git(directory);
        let listed = bounded::run(config.args(["config", "--get-regexp", r"^remote\..*\.url$"]), b"", LISTING);
        for (key, url) in listed.unwrap_or_default().stdout.lines().filter_map(|line| line.split_once(' ')) {
            let authority = url.split_once("://").map_or("", |(_, rest)| rest.split('/').next().unwrap_or_default());
            let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
            let url = doorward_wire::redact(url).into_owned();
            let name = key.trim_start_matches("remote.").trim_end_matches(".url").to_owned();
            if hosts.surface(host, "").is_some() && found.iter().all(|known| known.url != url) {
                found.push(Remote { git_directory: directory.to_owned(), name, url });
            }
        }
    }
    found
}

impl Remote {
    /// Asks for its refs once, within `patience`; nobody is asked at the terminal.
    ///
    /// # Errors
    /// What git said, if they did not come.
    pub fn verify(&self, patience: Duration) -> Result<(), String> {
        let mut command = git(&self.git_directory);
        command.args(["ls-remote", "--quiet", "--", &self.name, "HEAD"]).env("GIT_TERMINAL_PROMPT", "0");
        let ended = bounded::run(&mut command, b"", patience).map_err(|error| format!("git cannot be run: {error}"))?;
        if ended.succeeded() {
            return Ok(());
        }
        if ended.late {
            return Err(format!("no answer within {} s", patience.as_secs()));
        }
        let told = ended.stderr.lines().find_map(|line| line.strip_prefix("remote: "));
        let line = told.or_else(|| ended.stderr.lines().last()).unwrap_or("git said nothing");
        Err(doorward_wire::redact(line.trim()).into_owned())
    }
}

/// Git in the directory of a clone, and not told that it is one: so it looks whose it is, and runs nothing that somebody else
/// has configured there.
fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("-C").arg(directory).args(["-c", "protocol.ext.allow=never"]).env("LC_ALL", "C");
    for variable in OF_A_REPOSITORY {
        command.env_remove(variable);
    }
    command
}

/// How long git may take to read its configuration.
const LISTING: Duration = Duration::from_secs(10);
