//! Files that git keeps: a new secret is not written into those.

use std::path::Path;
use std::process::{Command, Stdio};

use super::{Affected, Change, Find, Piece};

/// Leaves to a person what would write the new secret into a file that git keeps, and so into everybody's clone.
pub(super) fn hold_back(affected: &mut [Affected]) {
    for file in affected {
        let writes = |find: &Find| match &find.change {
            Change::Edits(edits) => edits
                .iter()
                .flat_map(|edit| &edit.with)
                .any(|piece| matches!(piece, Piece::Secret | Piece::SecretInAddress)),
            Change::ByHand(_) => false,
        };
        if file.finds.iter().any(writes) && is_tracked(&file.path) {
            file.finds.iter_mut().filter(|find| writes(find)).for_each(|find| find.change = Change::ByHand(TRACKED));
        }
    }
}

fn is_tracked(path: &Path) -> bool {
    let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else { return false };
    let mut git = Command::new("git");
    git.arg("-C").arg(directory).args(["ls-files", "--error-unmatch", "--"]).arg(name);
    let status = git.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

const TRACKED: &str = "git keeps this file: take the secret out of it, and give it by a variable";
