//! An upload: files that come one after the other and become one commit.
//!
//! `git fast-import` packs them as they arrive, in a directory beside the repository. What comes of that is then pushed into the
//! repository as a client would push it: with the same checks of every object, the same comparison of the branch with what it
//! was, and the same care that it is durable. Until then nothing of it is in the repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use doorward_rules::Timestamp;
use doorward_wire::{ObjectId, PktLine, RefName, RefUpdate};
use tokio::io::{AsyncRead, AsyncWriteExt, BufWriter};
use tokio::process::ChildStdin;
use tokio::time::timeout;

use crate::contents::{PATIENCE, object_id};
use crate::process::Process;
use crate::push::{AnswerForm, PushRequest, StartedPush};
use crate::{Contents, GitError, Placed};

/// An upload under way. If it is dropped, nothing is left of it.
#[derive(Debug)]
pub struct Upload {
    contents: Contents,
    // Ended before the directory that it works in is removed.
    process: Process,
    scratch: Scratch,
    stdin: BufWriter<ChildStdin>,
    changes: Vec<(String, FileChange)>,
    files: usize,
}

/// What is to become of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum FileChange {
    /// It has the content that came as the so-many-th.
    Content(FileMode, usize),
    Deleted,
}

/// What sort of file it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileMode {
    /// A plain file.
    Plain,
    /// A program.
    Executable,
    /// A symbolic link, of which the content is where it leads.
    Link,
}

/// The commit that an upload is to become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit {
    /// What it is on top of; `None` for the first one.
    pub parent: Option<ObjectId>,
    /// Name and address of the author.
    pub author: (String, String),
    /// Name and address of whoever uploads.
    pub committer: (String, String),
    /// The message.
    pub message: String,
    /// When.
    pub at: Timestamp,
}

/// A commit that is made, and not yet in the repository.
#[derive(Debug)]
pub struct Made {
    contents: Contents,
    scratch: Scratch,
    /// What is new in it; nothing if all of it was in the repository before, the commit as well.
    pack: Option<PathBuf>,
    /// The commit.
    pub commit: ObjectId,
}

impl Contents {
    /// Begins an upload. The permit must be one for a push.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started.
    pub async fn upload(self) -> Result<Upload, GitError> {
        let repository = self.repository();
        let scratch = Scratch::beside(&repository.directory)?;
        let mut command = repository.all.git.command(&scratch.0);
        // Nothing here needs to survive: the push makes durable what it takes over.
        command.args(["-c", "core.fsync=none", "-c", "fastimport.unpackLimit=0"]);
        command.args(["fast-import", "--quiet", "--done", "--date-format=raw", "--max-pack-size=0"]);
        let (process, stdin, stdout) = Process::start("fast-import", &mut command)?;
        drop(stdout);
        let stdin = BufWriter::with_capacity(crate::output::CHUNK, stdin);
        Ok(Upload { contents: self, scratch, process, stdin, changes: Vec::new(), files: 0 })
    }
}

impl Upload {
    /// Takes a file of `length` bytes. A later one of the same path replaces it.
    ///
    /// # Errors
    /// [`GitError::Run`] if it ends before its length, or git does not take it.
    pub async fn file(
        &mut self,
        path: &str,
        mode: FileMode,
        length: u64,
        mut content: impl AsyncRead + Unpin,
    ) -> Result<(), GitError> {
        self.files += 1;
        let header = format!("blob\nmark :{}\ndata {length}\n", self.files);
        let copied = async {
            self.stdin.write_all(header.as_bytes()).await?;
            let copied = tokio::io::copy(&mut content, &mut self.stdin).await?;
            self.stdin.write_all(b"\n").await?;
            Ok(copied)
        };
        match copied.await {
            Ok(copied) if copied == length => {}
            Ok(_) => return Err(GitError::run("fast-import")(std::io::ErrorKind::UnexpectedEof.into())),
            Err(error) => return Err(GitError::run("fast-import")(error)),
        }
        self.changes.push((path.to_owned(), FileChange::Content(mode, self.files)));
        Ok(())
    }

    /// Removes a path, and if it is a directory everything below it.
    pub fn delete(&mut self, path: &str) {
        self.changes.push((path.to_owned(), FileChange::Deleted));
    }

    /// Makes the commit of what was uploaded.
    ///
    /// # Errors
    /// [`GitError`] if git cannot make it.
    pub async fn commit(self, commit: &NewCommit) -> Result<Made, GitError> {
        let mut order = format!("commit {BRANCH}\n");
        let seconds = commit.at.0.div_euclid(1000);
        let (committer, author) = (signature(&commit.committer), signature(&commit.author));
        order.push_str(&format!("author {author} {seconds} +0000\ncommitter {committer} {seconds} +0000\n"));
        order.push_str(&format!("data {}\n{}\n", commit.message.len(), commit.message));
        if let Some(parent) = &commit.parent {
            order.push_str(&format!("from {parent}\n"));
        }
        // What goes, goes first: a file that goes may be where a directory comes.
        for (path, _) in self.changes.iter().filter(|(_, change)| *change == FileChange::Deleted) {
            order.push_str(&format!("D {}\n", quoted(path)));
        }
        for (path, change) in &self.changes {
            if let FileChange::Content(mode, mark) = change {
                order.push_str(&format!("M {} :{mark} {}\n", mode.digits(), quoted(path)));
            }
        }
        order.push_str("done\n");
        let Self { contents, scratch, process, mut stdin, .. } = self;
        let ended = async {
            // Git may have ended already, and says better why than a broken pipe does.
            let _ = stdin.write_all(order.as_bytes()).await;
            let _ = stdin.shutdown().await;
            drop(stdin);
            process.wait_with_complaints().await
        };
        match timeout(PATIENCE, ended).await.unwrap_or(Err(GitError::TooMuch))? {
            (status, _) if status.success() => {}
            (_, stderr) => return Err(GitError::Failed { what: "fast-import", stderr }),
        }
        let (pack, id) = scratch.result()?;
        Ok(Made { contents, scratch, pack, commit: id })
    }
}

impl Made {
    /// Brings the commit into the repository, by moving `name` from `old` to it; `None` makes the branch.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Nothing was changed then.
    pub async fn push(self, name: &RefName, old: Option<&ObjectId>) -> Result<StartedPush, GitError> {
        let Self { contents, scratch, pack, commit } = self;
        let Some(pack) = pack else { return contents.set_ref(name, old, Some(&commit)).await };
        let file = tokio::fs::File::open(&pack).await.map_err(GitError::file(&pack))?;
        // An open file outlives its name.
        drop(scratch);
        contents.into_placed().move_ref(name, old, Some(&commit), file).await
    }
}

impl Contents {
    /// Moves, makes (`old` is `None`) or deletes (`new` is `None`) a branch or a tag; what it leads to must be in the repository.
    /// The permit must be one for a push.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Nothing was changed then.
    pub async fn set_ref(
        self,
        name: &RefName,
        old: Option<&ObjectId>,
        new: Option<&ObjectId>,
    ) -> Result<StartedPush, GitError> {
        let Some(digits) = new.or(old).map(|id| id.as_str().len()) else { return Err(GitError::Misdirected) };
        // A push that creates or moves brings a pack, be there anything in it or not.
        let pack = if new.is_some() { empty_pack(digits) } else { Bytes::new() };
        self.into_placed().move_ref(name, old, new, std::io::Cursor::new(pack)).await
    }
}

impl Placed {
    async fn move_ref(
        self,
        name: &RefName,
        old: Option<&ObjectId>,
        new: Option<&ObjectId>,
        pack: impl AsyncRead + Send + Unpin + 'static,
    ) -> Result<StartedPush, GitError> {
        let digits = new.or(old).map_or(40, |id| id.as_str().len());
        let null = || object_id(&"0".repeat(digits)).ok_or(GitError::Misdirected);
        let id = |id: Option<&ObjectId>| id.map_or_else(null, |id| Ok(id.clone()));
        let update = RefUpdate { old: id(old)?, new: id(new)?, name: name.clone() };
        let format = if digits == 64 { " object-format=sha256" } else { "" };
        let command = format!("{} {} {name}\0report-status delete-refs side-band-64k{format}", update.old, update.new);
        let mut head = Vec::new();
        PktLine::write(command.as_bytes(), &mut head);
        head.extend_from_slice(b"0000");
        let answer = AnswerForm { report: true, side_band: true };
        self.push(PushRequest { updates: vec![update], answer, is_plain: true, head: head.into() }, pack).await
    }
}

impl FileMode {
    fn digits(self) -> &'static str {
        match self {
            Self::Plain => "100644",
            Self::Executable => "100755",
            Self::Link => "120000",
        }
    }
}

/// A directory beside a repository in which git packs what is uploaded, and from which it reads what is there already.
#[derive(Debug)]
struct Scratch(PathBuf);

impl Scratch {
    fn beside(repository: &Path) -> Result<Self, GitError> {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = repository.file_stem().unwrap_or_default().to_string_lossy();
        let directory = repository.with_file_name(format!("{name}-{}-{number}.upload", std::process::id()));
        let scratch = Self(directory);
        let root = &scratch.0;
        let sha256 = fs::read_to_string(repository.join("config")).is_ok_and(|text| text.contains("sha256"));
        let (version, extension) = if sha256 { (1, "[extensions]\n\tobjectformat = sha256\n") } else { (0, "") };
        let written = (|| {
            for made in ["objects/info", "objects/pack", "refs/heads"] {
                fs::create_dir_all(root.join(made))?;
            }
            let config = format!("[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{extension}");
            fs::write(root.join("config"), config)?;
            fs::write(root.join("HEAD"), format!("ref: {BRANCH}\n"))?;
            let objects = repository.join("objects");
            fs::write(root.join("objects/info/alternates"), format!("{}\n", objects.display()))
        })();
        written.map_err(GitError::file(root))?;
        Ok(scratch)
    }

    /// The pack that git made, and the commit.
    fn result(&self) -> Result<(Option<PathBuf>, ObjectId), GitError> {
        let head = self.0.join(BRANCH);
        let id = fs::read_to_string(&head).map_err(GitError::file(&head))?;
        let directory = self.0.join("objects/pack");
        let entries = fs::read_dir(&directory).map_err(GitError::file(&directory))?;
        let pack =
            entries.flatten().map(|entry| entry.path()).find(|path| path.extension().is_some_and(|e| e == "pack"));
        match object_id(id.trim()) {
            Some(id) => Ok((pack, id)),
            None => Err(GitError::Failed { what: "fast-import", stderr: "it made no commit".into() }),
        }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// `Name <address>` without what would end it.
pub(crate) fn signature((name, address): &(String, String)) -> String {
    let clean = |text: &str| -> String { text.chars().filter(|letter| !"<>\n\0\r".contains(*letter)).collect() };
    let (name, address) = (clean(name), clean(address));
    format!("{} <{}>", name.trim(), address.trim())
}

/// A path as `fast-import` reads it (git-fast-import, "filemodify").
fn quoted(path: &str) -> String {
    format!("\"{}\"", path.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n"))
}

/// A pack without objects (gitformat-pack): its head and the hash of that.
fn empty_pack(digits: usize) -> Bytes {
    const HEAD: &[u8] = b"PACK\0\0\0\x02\0\0\0\0";
    const SHA1: [u8; 20] = [
        0x02, 0x9d, 0x08, 0x82, 0x3b, 0xd8, 0xa8, 0xea, 0xb5, 0x10, 0xad, 0x6a, 0xc7, 0x5c, 0x82, 0x3c, 0xfd, 0x3e,
        0xd3, 0x1e,
    ];
    const SHA256: [u8; 32] = [
        0x7e, 0xd8, 0x90, 0xd8, 0xa4, 0x57, 0x60, 0xf3, 0xee, 0xcf, 0x73, 0x04, 0x5b, 0x1d, 0x10, 0x47, 0x08, 0x5a,
        0xf4, 0x77, 0x6d, 0xc6, 0x83, 0xd7, 0x8e, 0xac, 0x82, 0x20, 0x3d, 0xf1, 0x99, 0x3f,
    ];
    let hash: &[u8] = if digits == 64 { &SHA256 } else { &SHA1 };
    [HEAD, hash].concat().into()
}

static NUMBER: AtomicU64 = AtomicU64::new(0);
/// What leads to the commit where it is made.
const BRANCH: &str = "refs/heads/upload";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_name_or_path_can_give_an_order() {
        assert_eq!(signature(&("A\nda <x>".into(), " a@b\0>".into())), "Ada x <a@b>");
        assert_eq!(quoted("a\"b\\c\nd"), "\"a\\\"b\\\\c\\nd\"");
    }
}
