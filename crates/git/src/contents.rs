//! What is in a repository: refs, commits, directories and files, for the REST API.
//!
//! What can be read here is (see [`browse`](crate::browse)). Any other question is some git processes with a place among the long ones; a
//! file is streamed, anything else is bounded in time and size. Names that come from
//! outside are given to git on its standard input or behind `--`, never where they could be an option.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use doorward_wire::{ObjectId, RefName};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::timeout;

use crate::fetch::send;
use crate::line::Place;
use crate::process::Process;
use crate::{GitError, Output, Placed, Repository, Service};

/// A repository that is open for reading, with a place for the processes that do it.
#[derive(Debug)]
pub struct Contents {
    repository: Repository,
    slot: Place,
}

/// What a ref is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefKind {
    /// A branch.
    Branch,
    /// A tag.
    Tag,
}

/// A branch or a tag, and the commit that it leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ref {
    /// What it is.
    pub kind: RefKind,
    /// Its name, without `refs/heads/` or `refs/tags/`.
    pub name: String,
    /// The commit; nothing for a tag of something else.
    pub commit: Option<ObjectId>,
}

/// What an annotated tag says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// Name and address of whoever made it; empty if it says nobody.
    pub tagger: (String, String),
    /// When it was made, in RFC 3339; empty if it does not say.
    pub date: String,
    /// The whole message.
    pub message: String,
}

/// A commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Its id.
    pub id: ObjectId,
    /// Those of its parents, the first one first.
    pub parents: Vec<ObjectId>,
    /// Name and address of the author, as in the commit.
    pub author: (String, String),
    /// Name and address of whoever made the commit of it.
    pub committer: (String, String),
    /// When it was authored, in RFC 3339.
    pub date: String,
    /// The whole message.
    pub message: String,
}

/// Something in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it is.
    pub kind: EntryKind,
    /// The object.
    pub id: ObjectId,
    /// Its path from the top; bytes that are not UTF-8 are `�`.
    pub path: String,
    /// Of a file: how long it is.
    pub size: Option<u64>,
}

/// What is in a directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A directory.
    Directory,
    /// A file.
    File,
    /// A file that is a program.
    Executable,
    /// A symbolic link.
    Link,
    /// A commit of another repository.
    Submodule,
}

impl Repository {
    /// Waits for a place to read its contents, or to change them. Before a change, what killed processes left is removed.
    ///
    /// # Errors
    /// [`GitError::Busy`] if none became free in time; [`GitError::File`] if something cannot be removed.
    pub async fn contents(self) -> Result<Contents, GitError> {
        if self.service == Service::ReceivePack {
            self.all.sweep(self.id).await?;
        }
        let slot = self.all.slots.long(self.asker).await?;
        Ok(Contents { repository: self, slot })
    }
}

impl Contents {
    pub(crate) fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The repository with its place, for a push.
    pub(crate) fn into_placed(self) -> Placed {
        Placed { repository: self.repository, slot: self.slot }
    }

    /// The branches, or the tags, or both, by their names; numbers in them are compared as numbers.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn refs(&self, kinds: &[RefKind]) -> Result<Vec<Ref>, GitError> {
        let mut command = self.command();
        command.args(["for-each-ref", "--sort=version:refname", REF_FORMAT]);
        command.args(kinds.iter().map(|kind| kind.prefix()));
        let listed = self.run("for-each-ref", &mut command).await?;
        Ok(listed.split(|byte| *byte == b'\n').filter_map(Ref::read).collect())
    }

    /// One branch or tag.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn one_ref(&self, kind: RefKind, name: &str) -> Result<Option<Ref>, GitError> {
        if RefName::parse(format!("{}{name}", kind.prefix()).as_bytes()).is_err() || name.len() > LONGEST_NAME {
            return Ok(None);
        }
        let mut command = self.command();
        command.args(["for-each-ref", REF_FORMAT, &format!("{}{name}", kind.prefix())]);
        let listed = self.run("for-each-ref", &mut command).await?;
        // A name is also the beginning of others.
        Ok(listed.split(|byte| *byte == b'\n').filter_map(Ref::read).find(|found| found.name == name))
    }

    /// What annotated tags among these say, by their names.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn annotations(&self, names: &[&str]) -> Result<HashMap<String, Annotation>, GitError> {
        if names.is_empty() {
            return Ok(HashMap::new());
        }
        let mut command = self.command();
        command.args(["for-each-ref", ANNOTATION_FORMAT]).args(names.iter().map(|name| format!("refs/tags/{name}")));
        let listed = self.run("for-each-ref", &mut command).await?;
        let text = String::from_utf8_lossy(&listed);
        let read = |record: &str| {
            let mut fields = record.trim_start_matches('\n').splitn(6, '\0');
            let name = fields.next()?.strip_prefix("refs/tags/")?.to_owned();
            let (kind, tagger, email) = (fields.next()?, fields.next()?.to_owned(), fields.next()?.to_owned());
            let (date, message) = (fields.next()?.to_owned(), fields.next()?.to_owned());
            (kind == "tag").then_some((name, Annotation { tagger: (tagger, email), date, message }))
        };
        // No message has a zero byte in it, so this is none.
        Ok(text.split("\0.\0").filter_map(read).collect())
    }

    /// What a ref leads to: a commit, or a tag with a message of its own.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn target_of(&self, name: &RefName) -> Result<Option<ObjectId>, GitError> {
        let mut command = self.command();
        command.args(["for-each-ref", "--format=%(objectname) %(refname)", &name.to_string()]);
        let listed = self.run("for-each-ref", &mut command).await?;
        let (listed, name) = (String::from_utf8_lossy(&listed), name.to_string());
        let lines = listed.lines().filter_map(|line| line.split_once(' '));
        Ok(lines.into_iter().find(|(_, found)| *found == name).and_then(|(id, _)| object_id(id)))
    }

    /// The commit that a whole id, a branch, a tag or a short id names, in this order; `None` if none does. A whole id comes
    /// first, since whoever may push may name a branch like one.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn commit_id(&self, name: &str) -> Result<Option<ObjectId>, GitError> {
        if let Some(found) = self.commit_here(name).await {
            return Ok(Some(found));
        }
        if let Some(id) = object_id(name) {
            return self.peeled(id.as_str()).await;
        }
        for kind in [RefKind::Branch, RefKind::Tag] {
            if let Some(found) = self.one_ref(kind, name).await? {
                return Ok(found.commit);
            }
        }
        match (4..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            true => self.peeled(name).await,
            false => Ok(None),
        }
    }

    /// What a path leads to in a commit: the directory, with `None` for the top, or the file.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn entry(&self, commit: &ObjectId, path: &str) -> Result<Option<Entry>, GitError> {
        let path = path.trim_end_matches('/');
        // Nothing in a repository has another name, and git takes one that leads out of it for a mistake of ours.
        let plain = |part: &str| !["", ".", ".."].contains(&part) && !part.contains('\0');
        if path.len() > LONGEST_PATH || !path.split('/').all(plain) {
            return Ok(None);
        }
        if let Some(found) = self.entry_here(commit, path).await {
            return Ok(found);
        }
        let listed = self.list(commit, path, false).await?;
        Ok(listed.into_iter().find(|entry| entry.path == path))
    }

    /// Those of these paths that lead to something in a commit.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn existing(&self, commit: &ObjectId, paths: &[&str]) -> Result<HashSet<String>, GitError> {
        let mut found = HashSet::new();
        // They are arguments of a command, of which there is a bound.
        for some in paths.chunks(200) {
            let mut command = self.command();
            command.args(["ls-tree", "-z", "--name-only", "--full-tree", commit.as_str(), "--"]).args(some);
            let listed = self.run("ls-tree", &mut command).await?;
            found.extend(String::from_utf8_lossy(&listed).split('\0').map(str::to_owned));
        }
        Ok(found)
    }

    /// What is in a directory of a commit, and in those below it down to `depth`, in git's order. An empty path is the top.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn entries(&self, commit: &ObjectId, directory: &str, depth: usize) -> Result<Vec<Entry>, GitError> {
        let directory = directory.trim_matches('/');
        let prefix = if directory.is_empty() { String::new() } else { format!("{directory}/") };
        if depth <= 1
            && let Some(found) = self.directory_here(commit, &prefix).await
        {
            return Ok(found);
        }
        let listed = self.list(commit, &prefix, depth > 1).await?;
        let deep = |entry: &Entry| entry.path.get(prefix.len()..).map_or(0, |rest| rest.split('/').count());
        Ok(listed.into_iter().filter(|entry| entry.path.starts_with(&prefix) && deep(entry) <= depth).collect())
    }

    async fn list(&self, commit: &ObjectId, path: &str, recursive: bool) -> Result<Vec<Entry>, GitError> {
        let mut command = self.command();
        command.args(["ls-tree", "-z", "-l", "--full-tree"]);
        if recursive {
            command.args(["-r", "-t"]);
        }
        command.args([commit.as_str(), "--"]);
        if !path.is_empty() {
            command.arg(path);
        }
        let listed = self.run("ls-tree", &mut command).await?;
        Ok(listed.split(|byte| *byte == 0).filter_map(Entry::read).collect())
    }

    /// The commits that are reached from some, or if none are named from every branch and tag, and not from others, the latest
    /// first: `count` of them after `skip`. With a path, those that change it.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn commits(
        &self,
        include: &[ObjectId],
        exclude: &[ObjectId],
        path: Option<&str>,
        skip: usize,
        count: usize,
    ) -> Result<Vec<Commit>, GitError> {
        let mut command = self.command();
        command.args(["log", "-z", FORMAT, "--encoding=UTF-8"]);
        command.args([format!("--skip={skip}"), format!("--max-count={count}")]);
        // From several beginnings, a parent that is as old as its child could come before it.
        if include.len() != 1 {
            command.arg("--date-order");
        }
        if include.is_empty() {
            command.args(["--branches", "--tags"]);
        }
        command.args(include.iter().map(ObjectId::as_str)).args(exclude.iter().map(|id| format!("^{id}"))).arg("--");
        command.args(path);
        let listed = self.run("log", &mut command).await?;
        Ok(Commit::read_all(&listed))
    }

    /// These commits, in this order.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn commits_of(&self, ids: &[ObjectId]) -> Result<Vec<Commit>, GitError> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let mut command = self.command();
        command.args(["log", "-z", FORMAT, "--encoding=UTF-8", "--no-walk=unsorted"]);
        command.args(ids.iter().map(ObjectId::as_str)).arg("--");
        let listed = self.run("log", &mut command).await?;
        Ok(Commit::read_all(&listed))
    }

    /// The bytes of a file, as they are read.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be started. Later trouble ends the output with an error.
    pub async fn file(self, id: &ObjectId) -> Result<Output, GitError> {
        if let Some(bytes) = self.file_here(id).await {
            return Ok(Output::of(bytes));
        }
        self.stream("cat-file", &["cat-file".into(), "blob".into(), id.to_string()])
    }

    /// What a git command writes, as it writes it. Its place is free again when it has ended, or nobody reads any more.
    pub(crate) fn stream(self, what: &'static str, arguments: &[String]) -> Result<Output, GitError> {
        let mut command = self.command();
        command.args(arguments);
        let Self { repository, slot } = self;
        let (process, stdin, stdout) = Process::start(what, &mut command)?;
        drop(stdin);
        let (sender, output) = Output::channel(repository.all.slots.idle());
        tokio::spawn(async move {
            let finished = async {
                send(stdout, &sender).await?;
                let status = process.wait().await.map_err(std::io::Error::other)?;
                if status.success() { Ok(()) } else { Err(std::io::Error::other(format!("git {what} did not finish"))) }
            };
            tokio::select! {
                result = finished => if let Err(error) = result {
                    let _ = sender.send(Err(error)).await;
                },
                () = sender.closed() => {}
            }
            drop(slot);
        });
        Ok(output)
    }

    /// A git command in the repository, for which a path is a path and no pattern.
    pub(crate) fn command(&self) -> Command {
        let mut command = self.repository.all.git.command(&self.repository.directory);
        command.env("GIT_LITERAL_PATHSPECS", "1");
        command
    }

    /// What a git command writes, once it has ended.
    pub(crate) async fn run(&self, what: &'static str, command: &mut Command) -> Result<Vec<u8>, GitError> {
        match self.run_to_end(what, command, b"").await? {
            (Some(0), output, _) => Ok(output),
            (_, _, stderr) => Err(GitError::Failed { what, stderr }),
        }
    }

    /// The exit code of a git command, what it writes, and what it complains of. It is given some time and some bytes.
    pub(crate) async fn run_to_end(
        &self,
        what: &'static str,
        command: &mut Command,
        input: &[u8],
    ) -> Result<(Option<i32>, Vec<u8>, String), GitError> {
        let (process, mut stdin, stdout) = Process::start(what, command)?;
        let work = async {
            // Some names, which a pipe takes at once.
            stdin.write_all(input).await.map_err(GitError::run(what))?;
            drop(stdin);
            let mut output = Vec::new();
            stdout.take(MOST + 1).read_to_end(&mut output).await.map_err(GitError::run(what))?;
            if output.len() as u64 > MOST {
                return Err(GitError::TooMuch);
            }
            let (status, complaints) = process.wait_with_complaints().await?;
            Ok((status.code(), output, complaints))
        };
        // Dropped, it kills what still runs.
        timeout(PATIENCE, work).await.unwrap_or(Err(GitError::TooMuch))
    }

    /// The commit that an id leads to.
    async fn peeled(&self, id: &str) -> Result<Option<ObjectId>, GitError> {
        let mut command = self.command();
        command.args(["cat-file", "--batch-check"]);
        let question = format!("{id}^{{commit}}\n");
        match self.run_to_end("cat-file", &mut command, question.as_bytes()).await? {
            (Some(0), answer, _) => {
                Ok(String::from_utf8_lossy(&answer).lines().find_map(|line| of_type(line, "commit")))
            }
            (_, _, stderr) => Err(GitError::Failed { what: "cat-file", stderr }),
        }
    }
}

/// The object's name in an answer of `cat-file --batch-check`, if it is of this type.
fn of_type(line: &str, kind: &str) -> Option<ObjectId> {
    let mut words = line.split(' ');
    let id = words.next().and_then(object_id)?;
    (words.next() == Some(kind)).then_some(id)
}

pub(crate) fn object_id(text: &str) -> Option<ObjectId> {
    ObjectId::parse(text.as_bytes())
}

impl RefKind {
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            Self::Branch => "refs/heads/",
            Self::Tag => "refs/tags/",
        }
    }
}

impl Ref {
    fn read(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let mut fields = text.split('\0');
        let full = fields.next()?;
        let of = |kind: RefKind| full.strip_prefix(kind.prefix()).map(|name| (kind, name.to_owned()));
        let (kind, name) = of(RefKind::Branch).or_else(|| of(RefKind::Tag))?;
        let mut commit = None;
        while let (Some(sort), Some(id)) = (fields.next(), fields.next()) {
            commit = commit.or_else(|| if sort == "commit" { object_id(id) } else { None });
        }
        Some(Self { kind, name, commit })
    }
}

impl Commit {
    fn read_all(listed: &[u8]) -> Vec<Self> {
        let text = String::from_utf8_lossy(listed);
        let fields: Vec<&str> = text.split('\0').collect();
        fields.chunks_exact(FIELDS).filter_map(Self::read).collect()
    }

    fn read(fields: &[&str]) -> Option<Self> {
        let [id, parents, name, email, committer, address, date, message] = fields else { return None };
        Some(Self {
            id: object_id(id)?,
            parents: parents.split(' ').filter_map(object_id).collect(),
            author: ((*name).to_owned(), (*email).to_owned()),
            committer: ((*committer).to_owned(), (*address).to_owned()),
            date: (*date).to_owned(),
            message: (*message).to_owned(),
        })
    }
}

impl Entry {
    /// Reads `MODE TYPE ID SIZE\tPATH`.
    fn read(line: &[u8]) -> Option<Self> {
        let text = String::from_utf8_lossy(line);
        let (head, path) = text.split_once('\t')?;
        let mut words = head.split_ascii_whitespace();
        let (mode, _, id, size) = (words.next()?, words.next()?, words.next()?, words.next()?);
        let kind = match mode {
            "040000" => EntryKind::Directory,
            "120000" => EntryKind::Link,
            "160000" => EntryKind::Submodule,
            "100755" => EntryKind::Executable,
            _ => EntryKind::File,
        };
        Some(Self { kind, id: object_id(id)?, path: path.to_owned(), size: size.parse().ok() })
    }
}

/// What `git for-each-ref` writes of each ref.
const REF_FORMAT: &str = "--format=%(refname)%00%(objecttype)%00%(objectname)%00%(*objecttype)%00%(*objectname)";
/// What it writes of each tag with what it says.
const ANNOTATION_FORMAT: &str = "--format=%(refname)%00%(objecttype)%00%(taggername)%00%(taggeremail:trim)%00\
    %(taggerdate:iso8601-strict)%00%(contents)%00.%00";
/// What `git log` writes of each commit.
const FORMAT: &str = "--format=%H%x00%P%x00%an%x00%ae%x00%cn%x00%ce%x00%aI%x00%B";
const FIELDS: usize = 8;
/// Longer than any path that can be checked out.
const LONGEST_PATH: usize = 4096;
/// As much of an answer as is held in memory.
const MOST: u64 = 32 * 1024 * 1024;
/// How long git may take for an answer that is no stream.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Longer than any name of a branch.
const LONGEST_NAME: usize = 1024;
