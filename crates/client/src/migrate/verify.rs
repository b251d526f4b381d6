//! Whether the remotes of changed clones can be reached, asked by git itself with the configuration as it is now.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Affected, Change, Format, Hosts};
use crate::probe::wait;

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
        let listed = git(directory).args(["config", "--get-regexp", r"^remote\..*\.url$"]).output();
        let listed = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
        for (key, url) in listed.lines().filter_map(|line| line.split_once(' ')) {
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
        command.args(["ls-remote", "--quiet", &self.name, "HEAD"]);
        command.env("GIT_TERMINAL_PROMPT", "0").stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| format!("git cannot be run: {error}"))?;
        match wait(&mut child, patience).map_err(|error| error.to_string())? {
            Some(true) => Ok(()),
            None => Err(format!("no answer within {} s", patience.as_secs())),
            Some(false) => {
                let mut said = String::new();
                if let Some(pipe) = child.stderr.take() {
                    pipe.take(LONGEST).read_to_string(&mut said).map_err(|error| error.to_string())?;
                }
                let line = said.lines().find_map(|line| line.strip_prefix("remote: ")).or_else(|| said.lines().last());
                Err(doorward_wire::redact(line.unwrap_or("git said nothing").trim()).into_owned())
            }
        }
    }
}

fn git(directory: &Path) -> Command {
    let mut command = Command::new("git");
    command.arg("--git-dir").arg(directory).env("LC_ALL", "C").stdin(Stdio::null());
    command
}

/// As much of what git says as is read.
const LONGEST: u64 = 64 * 1024;
