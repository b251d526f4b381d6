//! Registers the helper with git for the right hosts, and takes it out again.

use std::path::Path;
use std::process::Command;

use thiserror::Error;

use crate::Place;

/// Why git's configuration was not changed.
#[derive(Debug, Error)]
pub enum SetupError {
    /// git cannot be run.
    #[error("git cannot be run: {0}")]
    Run(#[from] std::io::Error),
    /// git did not change it.
    #[error("git did not change its configuration: {0}")]
    Git(String),
}

/// Makes this program the helper for a host, in the user's own configuration, and lets git tell it which repository is
/// meant. Helpers that are set for all hosts are not asked about this one any more: an old secret of theirs would win.
///
/// # Errors
/// [`SetupError`] if git does not do it.
pub fn set_up(host: &Place, program: &Path) -> Result<(), SetupError> {
    take_down(host)?;
    let keys = Keys::of(host);
    // The empty one takes back those that were named before.
    git(&["--add", &keys.helper, ""])?;
    git(&["--add", &keys.helper, &format!("!{} {COMMAND}", quoted(program))])?;
    let before = values(&keys.path)?;
    if before != ["true"] {
        // What was there is put back afterwards.
        git(&["--replace-all", &keys.path_before, before.last().map_or("unset", String::as_str)])?;
        git(&["--replace-all", &keys.path, "true"])?;
    }
    Ok(())
}

/// Takes out what [`set_up`] has put in. What somebody else has put there stays.
///
/// # Errors
/// [`SetupError`] if git does not do it.
pub fn take_down(host: &Place) -> Result<(), SetupError> {
    let keys = Keys::of(host);
    let helpers = values(&keys.helper)?;
    let mut others: Vec<&str> = Vec::new();
    for helper in &helpers {
        if is_ours(helper) {
            // With the empty one that was put in before it.
            if others.last() == Some(&"") {
                others.pop();
            }
        } else {
            others.push(helper);
        }
    }
    if others.len() != helpers.len() {
        git(&["--unset-all", &keys.helper])?;
        others.iter().try_for_each(|other| git(&["--add", &keys.helper, other]))?;
    }
    match values(&keys.path_before)?.last().map(String::as_str) {
        None => return Ok(()),
        Some("unset") if !values(&keys.path)?.is_empty() => git(&["--unset-all", &keys.path])?,
        Some("unset") => {}
        Some(before) => git(&["--replace-all", &keys.path, before])?,
    }
    git(&["--unset-all", &keys.path_before])
}

/// Whether git asks this program about a host.
///
/// # Errors
/// [`SetupError`] if git cannot be run.
pub fn is_set_up(host: &Place) -> Result<bool, SetupError> {
    Ok(values(&Keys::of(host).helper)?.iter().any(|helper| is_ours(helper)))
}

/// The keys of git's configuration that are about one host.
struct Keys {
    helper: String,
    path: String,
    /// What `useHttpPath` was before.
    path_before: String,
}

impl Keys {
    fn of(host: &Place) -> Self {
        let section = format!("credential.{}", host.whole_host());
        Self {
            helper: format!("{section}.helper"),
            path: format!("{section}.useHttpPath"),
            path_before: format!("{section}.doorwardUseHttpPathBefore"),
        }
    }
}

/// Whether a helper is one that [`set_up`] has written, wherever the program was then.
fn is_ours(helper: &str) -> bool {
    let program = helper.strip_prefix("!'").and_then(|rest| rest.strip_suffix(&format!("' {COMMAND}")));
    program.is_some_and(|program| program.rsplit('/').next().is_some_and(|name| name.starts_with("doorward")))
}

/// All values of a key, in their order.
fn values(key: &str) -> Result<Vec<String>, SetupError> {
    let output = Command::new("git").args(["config", "--global", "--null", "--get-all", key]).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    Ok(text.strip_suffix('\0').map_or_else(Vec::new, |text| text.split('\0').map(str::to_owned).collect()))
}

/// A path for the shell that git runs helpers with.
fn quoted(path: &Path) -> String {
    format!("'{}'", path.to_string_lossy().replace('\'', "'\\''"))
}

fn git(arguments: &[&str]) -> Result<(), SetupError> {
    let output = Command::new("git").args(["config", "--global"]).args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(SetupError::Git(if said.is_empty() { format!("`git config {}` failed", arguments.join(" ")) } else { said }))
}

const COMMAND: &str = "credential";
