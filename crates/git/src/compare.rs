//! What is between two commits: a diff, the commits as patches, where they part.

use doorward_wire::ObjectId;

use crate::contents::object_id;
use crate::{Contents, GitError, Output};

/// What is compared, and how it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// The commit with the changes.
    pub to: ObjectId,
    /// What it is compared with; `None` is its first parent, or nothing if it has none.
    pub from: Option<ObjectId>,
    /// How many lines are shown around a change.
    pub context: u16,
    /// The paths that are looked at; none means all.
    pub paths: Vec<String>,
    /// Whether changes of white space alone are left out.
    pub ignore_whitespace: bool,
}

impl Contents {
    /// The changes as a text, as `git diff` writes it.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Later trouble ends the output with an error.
    pub async fn diff(self, comparison: &Comparison) -> Result<Output, GitError> {
        let Comparison { to, from, context, paths, ignore_whitespace } = comparison;
        let mut arguments =
            vec![format!("-U{context}"), "--no-color".into(), "--no-ext-diff".into(), "--no-textconv".into()];
        arguments.extend(ignore_whitespace.then(|| "--ignore-all-space".into()));
        match from {
            Some(from) => {
                arguments.insert(0, "diff".into());
                arguments.push(format!("{from}..{to}"));
            }
            None => {
                let show = ["diff-tree", "-p", "--root", "--no-commit-id", "-m", "--first-parent", "-r", "-M"];
                arguments.splice(0..0, show.map(str::to_owned));
                arguments.push(to.to_string());
            }
        }
        arguments.push("--".into());
        arguments.extend(paths.iter().cloned());
        self.stream("diff", &arguments)
    }

    /// The commits that one has and another has not, each as a patch, as `git format-patch` writes it; or one commit.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Later trouble ends the output with an error.
    pub async fn patch(self, to: &ObjectId, from: Option<&ObjectId>) -> Result<Output, GitError> {
        let arguments: Vec<String> = match from {
            Some(from) => {
                ["format-patch", "--stdout", "--no-color", &format!("{from}..{to}")].map(str::to_owned).to_vec()
            }
            // A merge is none of the commits of which format-patch makes patches: it would take the one before.
            None => [
                "show",
                "--pretty=email",
                "--patch-with-stat",
                "--no-color",
                "--no-ext-diff",
                "--no-textconv",
                "-m",
                "--first-parent",
                to.as_str(),
            ]
            .map(str::to_owned)
            .to_vec(),
        };
        self.stream("format-patch", &arguments)
    }

    /// The commit at which two part; `None` if they have nothing in common.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn merge_base(&self, one: &ObjectId, other: &ObjectId) -> Result<Option<ObjectId>, GitError> {
        let mut command = self.command();
        command.args(["merge-base", one.as_str(), other.as_str()]);
        match self.run_to_end("merge-base", &mut command, b"").await? {
            (Some(0), listed, _) => Ok(String::from_utf8_lossy(&listed).lines().next().and_then(object_id)),
            (Some(1), ..) => Ok(None),
            (_, _, stderr) => Err(GitError::Failed { what: "merge-base", stderr }),
        }
    }
}
