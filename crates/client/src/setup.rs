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
    let section = section(host);
    // The empty one takes back those that were named before.
    git(&["--add", &format!("{section}.helper"), ""])?;
    git(&["--add", &format!("{section}.helper"), &format!("!{} credential", quoted(program))])?;
    git(&[&format!("{section}.useHttpPath"), "true"])
}

/// Takes out what [`set_up`] has put in. What somebody else has put there stays.
///
/// # Errors
/// [`SetupError`] if git does not do it.
pub fn take_down(host: &Place) -> Result<(), SetupError> {
    let section = section(host);
    let helpers =
        Command::new("git").args(["config", "--global", "--get-all", &format!("{section}.helper")]).output()?;
    let helpers = String::from_utf8_lossy(&helpers.stdout).into_owned();
    if !helpers.lines().any(|helper| helper.ends_with(" credential") && helper.starts_with('!')) {
        return Ok(());
    }
    let others: Vec<&str> =
        helpers.lines().filter(|helper| !helper.is_empty() && !helper.ends_with(" credential")).collect();
    git(&["--unset-all", &format!("{section}.helper")])?;
    others.iter().try_for_each(|other| git(&["--add", &format!("{section}.helper"), other]))?;
    git(&["--unset-all", &format!("{section}.useHttpPath")])
}

fn section(host: &Place) -> String {
    format!("credential.{}", host.whole_host())
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
    Err(SetupError::Git(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
}
