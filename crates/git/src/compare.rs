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

/// What became of one file between two commits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileDifference {
    /// What became of it.
    pub status: DifferenceStatus,
    /// How many lines are new; `None` for what is no text.
    pub added: Option<u64>,
    /// How many lines are gone; `None` for what is no text.
    pub removed: Option<u64>,
    /// Where it was; `None` if it was not.
    pub old: Option<String>,
    /// Where it is; `None` if it is not.
    pub new: Option<String>,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DifferenceStatus {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// It is another one, or of another sort.
    Modified,
    /// It has another name, and maybe another content.
    Renamed,
}

impl Contents {
    /// What became of each file that is not the same, in the order of their paths.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn differences(&self, comparison: &Comparison, renames: bool) -> Result<Vec<FileDifference>, GitError> {
        let mut command = self.command();
        let renames = if renames { "-M" } else { "--no-renames" };
        match &comparison.from {
            Some(from) => command.args(["diff-tree", "-r", "--raw", "--numstat", "-z", renames]).arg(from.as_str()),
            None => command
                .args(["diff-tree", "-r", "--raw", "--numstat", "-z", renames, "--root", "--no-commit-id"])
                .args(["-m", "--first-parent"]),
        };
        command.arg(comparison.to.as_str());
        if comparison.ignore_whitespace {
            command.arg("--ignore-all-space");
        }
        command.arg("--").args(&comparison.paths);
        let listed = self.run("diff-tree", &mut command).await?;
        Ok(FileDifference::read_all(&listed))
    }
}

impl FileDifference {
    /// Reads `:MODES IDS STATUS\0PATH\0[PATH\0]` of each file and then `ADDED\tREMOVED\tPATH\0` of each, in the same order.
    fn read_all(listed: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(listed);
        let (mut fields, mut all, mut counted) = (text.split('\0'), Vec::new(), 0);
        while let Some(field) = fields.next() {
            if let Some(status) = field.strip_prefix(':').and_then(|head| head.split(' ').nth(4)) {
                let path = fields.next().map(str::to_owned);
                all.push(match status.as_bytes().first() {
                    Some(b'A') => Self::new(DifferenceStatus::Added, None, path),
                    Some(b'D') => Self::new(DifferenceStatus::Removed, path, None),
                    Some(b'R' | b'C') => Self::new(DifferenceStatus::Renamed, path, fields.next().map(str::to_owned)),
                    _ => Self::new(DifferenceStatus::Modified, path.clone(), path),
                });
                continue;
            }
            let mut words = field.splitn(3, '\t');
            let (Some(added), Some(removed), Some(path)) = (words.next(), words.next(), words.next()) else { continue };
            if path.is_empty() {
                // Of what was renamed, both names follow.
                fields.next();
                fields.next();
            }
            if let Some(difference) = all.get_mut(counted) {
                (difference.added, difference.removed) = (added.parse().ok(), removed.parse().ok());
            }
            counted += 1;
        }
        all
    }

    fn new(status: DifferenceStatus, old: Option<String>, new: Option<String>) -> Self {
        Self { status, added: None, removed: None, old, new }
    }
}
