//! What became of one file in the course of history, and annotated tags.

use doorward_rules::Timestamp;
use doorward_wire::ObjectId;

use crate::contents::object_id;
use crate::upload::signature;
use crate::{Contents, GitError};

/// One state of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// The commit that brought it about.
    pub commit: ObjectId,
    /// Where the file was then.
    pub path: String,
}

impl Contents {
    /// The commits that changed a file, as far as a commit leads back to, the latest first, with the name that the file had in
    /// each; `count` of them after `skip`. With `renames`, also under the names that it had before.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn history_of(
        &self,
        commit: &ObjectId,
        path: &str,
        renames: bool,
        skip: usize,
        count: usize,
    ) -> Result<Vec<Version>, GitError> {
        let mut command = self.command();
        command.args(["log", "-z", "--format=%x01%H", "--name-only", "-m", "--first-parent"]);
        command.args([format!("--skip={skip}"), format!("--max-count={count}")]);
        command.arg(if renames { "--follow" } else { "--no-renames" });
        // What is followed must be no pattern, and with this setting it is said otherwise than for all else.
        command.arg(commit.as_str()).arg("--").arg(path);
        let listed = self.run("log", &mut command).await?;
        let text = String::from_utf8_lossy(&listed);
        let versions = text.split('\u{1}').skip(1).filter_map(|part| {
            let (id, rest) = part.split_at_checked(part.find(['\0', '\n'])?)?;
            let path = rest.trim_matches(['\0', '\n']).split('\0').next()?;
            Some(Version { commit: object_id(id)?, path: path.to_owned() })
        });
        Ok(versions.filter(|version| !version.path.is_empty()).collect())
    }

    /// Whether one commit is another or comes before it.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn is_ancestor(&self, earlier: &ObjectId, later: &ObjectId) -> Result<bool, GitError> {
        let mut command = self.command();
        command.args(["merge-base", "--is-ancestor", earlier.as_str(), later.as_str()]);
        match self.run_to_end("merge-base", &mut command, b"").await? {
            (Some(0), ..) => Ok(true),
            // 128 is said of a commit that is not there.
            (Some(1 | 128), ..) => Ok(false),
            (_, _, stderr) => Err(GitError::Failed { what: "merge-base", stderr }),
        }
    }

    /// Writes a tag with a message: its id. Nothing leads to it until a ref is set.
    ///
    /// # Errors
    /// [`GitError`] if git cannot write it.
    pub async fn annotated_tag(
        &self,
        name: &str,
        target: &ObjectId,
        tagger: &(String, String),
        message: &str,
        at: Timestamp,
    ) -> Result<ObjectId, GitError> {
        let (tagger, seconds) = (signature(tagger), at.0.div_euclid(1000));
        let tag = format!("object {target}\ntype commit\ntag {name}\ntagger {tagger} {seconds} +0000\n\n{message}\n");
        let mut command = self.command();
        command.arg("mktag");
        match self.run_to_end("mktag", &mut command, tag.as_bytes()).await? {
            (Some(0), written, _) => {
                let id = String::from_utf8_lossy(&written);
                object_id(id.trim()).ok_or(GitError::Failed { what: "mktag", stderr: "it names no tag".into() })
            }
            (_, _, stderr) => Err(GitError::Failed { what: "mktag", stderr }),
        }
    }
}
