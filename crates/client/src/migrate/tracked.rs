//! Files that git keeps: a new secret is not written into those.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::{Affected, Change};
use crate::bounded;

/// Leaves to a person what would write the new secret into a file that git keeps, and so into everybody's clone, or into one
/// of which that cannot be told.
pub(super) fn hold_back(affected: &mut [Affected]) {
    for file in affected {
        let writes = file.finds.iter().any(|find| find.change.writes_secret());
        let Some(why) = (if writes { why_not(&file.path) } else { None }) else { continue };
        for find in file.finds.iter_mut().filter(|find| find.change.writes_secret()) {
            find.change = Change::ByHand(why);
        }
    }
}

fn why_not(path: &Path) -> Option<&'static str> {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return Some(UNTOLD) };
    let mut git = Command::new("git");
    // Whoever owns the directory: nothing of it is run.
    git.args(["-c", "safe.directory=*", "-c", "core.fsmonitor=false", "-C"]).arg(directory);
    git.args(["ls-files", "--error-unmatch", "--"]).arg(name).env("LC_ALL", "C");
    OF_A_REPOSITORY.iter().for_each(|variable| {
        git.env_remove(variable);
    });
    match bounded::run(&mut git, b"", PATIENCE) {
        Ok(ended) if ended.succeeded() => Some(TRACKED),
        Ok(ended) if ended.code == Some(1) || ended.stderr.contains("not a git repository") => None,
        _ => Some(UNTOLD),
    }
}

/// With these git would look at another repository than the one around a file.
pub(super) const OF_A_REPOSITORY: &[&str] =
    &["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_OBJECT_DIRECTORY", "GIT_PREFIX"];
const TRACKED: &str = "git keeps this file: take the secret out of it, and give it by a variable";
const UNTOLD: &str = "it cannot be told whether git keeps this file: change it by hand";
/// How long git may take to look into its index.
const PATIENCE: Duration = Duration::from_secs(10);
