//! Makes repositories: empty, with first content, or from another repository. And removes them.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, SystemTime};

use base64::Engine;
use doorward_rules::RepositoryId;
use doorward_wire::RefName;
use tokio::io::AsyncReadExt;

use crate::process::{Process, feed};
use crate::{GitError, Repositories, durable};

/// The hash that names a repository's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ObjectFormat {
    /// 40 hexadecimal digits; what almost all repositories have.
    #[default]
    Sha1,
    /// 64 hexadecimal digits.
    Sha256,
}

/// Where to import a repository from.
#[derive(Debug, Clone)]
pub struct Import {
    /// A directory or an `http`, `https` or `file` URL. A URL may hold a user name and a secret.
    pub source: OsString,
    /// Environment variables that git's HTTP client may have: proxies and certificates.
    pub environment: Vec<(OsString, OsString)>,
    /// Whether git shows its progress on our standard error.
    pub progress: bool,
}

impl ObjectFormat {
    /// The name, as git spells it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// How many hexadecimal digits the name of an object has.
    pub(crate) fn digits(self) -> usize {
        match self {
            Self::Sha1 => 40,
            Self::Sha256 => 64,
        }
    }
}

impl Repositories {
    /// Makes an empty repository.
    ///
    /// # Errors
    /// [`GitError`] if it cannot be made; nothing is left then.
    pub async fn create(&self, id: RepositoryId, format: ObjectFormat) -> Result<(), GitError> {
        let making = self.making(id)?;
        let mut command = self.git.command(&making.0);
        command.args(["init", "-q", "--bare", "--template=", "--object-format", format.word(), "."]);
        self.git.run("init", &mut command).await?;
        self.place(&making, id)
    }

    /// Makes a repository with the branch `main` and one commit of these files.
    ///
    /// # Errors
    /// [`GitError`] if it cannot be made.
    pub async fn create_with(
        &self,
        id: RepositoryId,
        files: &[(&str, &str)],
        author: &str,
        seconds: i64,
    ) -> Result<(), GitError> {
        let making = self.making(id)?;
        let mut init = self.git.command(&making.0);
        init.args(["init", "-q", "--bare", "--template=", "."]);
        self.git.run("init", &mut init).await?;
        let message = "Begin";
        let mut stream =
            format!("commit refs/heads/main\ncommitter {author} {seconds} +0000\ndata {}\n{message}\n", message.len());
        for (path, content) in files {
            stream.push_str(&format!("M 644 inline {path}\ndata {}\n{content}\n", content.len()));
        }
        self.fast_import(&making, stream).await?;
        self.place(&making, id)
    }

    async fn fast_import(&self, making: &Making, stream: String) -> Result<(), GitError> {
        let mut import = self.git.command(&making.0);
        import.args(["fast-import", "--quiet"]);
        let (process, stdin, mut stdout) = Process::start("fast-import", &mut import)?;
        feed(std::io::Cursor::new(stream.into_bytes()), stdin).await.map_err(GitError::run("fast-import"))?;
        stdout.read_to_end(&mut Vec::new()).await.map_err(GitError::run("fast-import"))?;
        if !process.wait().await?.success() {
            return Err(GitError::Failed { what: "fast-import", stderr: "see the log".into() });
        }
        Ok(())
    }

    /// Makes a repository with everything that another one has: all refs, and its HEAD.
    ///
    /// # Errors
    /// [`GitError::Failed`] with what git said if the other one cannot be read; nothing is left then.
    pub async fn import(&self, id: RepositoryId, import: &Import) -> Result<(), GitError> {
        let making = self.making(id)?;
        self.import_into(&making.0, import).await?;
        self.place(&making, id)
    }

    /// What HEAD names: the branch that a clone checks out.
    ///
    /// # Errors
    /// [`GitError`] if the repository cannot be read.
    pub async fn head(&self, id: RepositoryId) -> Result<String, GitError> {
        let mut command = self.git.command(&self.directory(id));
        let head = self.git.run("symbolic-ref", command.args(["symbolic-ref", "HEAD"])).await?;
        Ok(String::from_utf8_lossy(&head).trim().to_owned())
    }

    /// Makes HEAD name a branch.
    ///
    /// # Errors
    /// [`GitError::Failed`] if there is no such branch in a repository that has others.
    pub async fn set_head(&self, id: RepositoryId, branch: &RefName) -> Result<(), GitError> {
        let directory = self.directory(id);
        let mut exists = self.git.command(&directory);
        let exists =
            self.git.run("show-ref", exists.args(["show-ref", "--verify", "--quiet", &branch.to_string()])).await;
        let mut any = self.git.command(&directory);
        let any = self.git.run("for-each-ref", any.args(["for-each-ref", "--count=1", "refs/heads/"])).await?;
        if exists.is_err() && !any.is_empty() {
            return Err(GitError::Failed { what: "symbolic-ref", stderr: format!("there is no branch `{branch}`") });
        }
        let pointed = self.point_head(&directory, &branch.to_string()).await;
        self.snapshots.touch(id, std::iter::empty());
        pointed
    }

    /// Makes HEAD name one of these new branches, if it names none that exists.
    pub(crate) async fn adopt_head(&self, directory: &Path, branches: &[String]) -> Result<(), GitError> {
        let mut command = self.git.command(directory);
        if self.git.run("rev-parse", command.args(["rev-parse", "-q", "--verify", "HEAD^0"])).await.is_ok() {
            return Ok(());
        }
        let usual = ["refs/heads/main", "refs/heads/master"];
        let chosen = usual.iter().find(|name| branches.iter().any(|branch| branch == *name));
        let Some(branch) = chosen.copied().or(branches.first().map(String::as_str)) else { return Ok(()) };
        match self.point_head(directory, branch).await {
            // Another first push is at it.
            Err(GitError::File { source, .. }) if source.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
            done => done,
        }
    }

    /// Writes HEAD as git does, under its lock, but durably: git itself renames it without having fsynced it.
    async fn point_head(&self, directory: &Path, branch: &str) -> Result<(), GitError> {
        let (directory, text) = (directory.to_path_buf(), format!("ref: {branch}\n"));
        let write = move || durable::replace(&directory, "HEAD", text.as_bytes());
        tokio::task::spawn_blocking(write).await.map_err(|error| GitError::run("HEAD")(std::io::Error::other(error)))?
    }

    /// Removes a repository's files. Whoever is reading them now may be cut off.
    ///
    /// # Errors
    /// [`GitError::File`] if they cannot be removed.
    pub fn delete(&self, id: RepositoryId) -> Result<(), GitError> {
        let (directory, doomed) = (self.directory(id), self.root.join(format!("{id}.deleted")));
        if !directory.exists() {
            return Ok(());
        }
        fs::rename(&directory, &doomed).map_err(GitError::file(&directory))?;
        self.snapshots.forget(id);
        self.answers.forget(id);
        self.stored.forget(id);
        fs::remove_dir_all(&doomed).map_err(GitError::file(&doomed))
    }

    /// Removes what was left of one repository by a program that was killed while it made or removed it. Not while that is done.
    pub(crate) fn clear_unfinished(&self, id: RepositoryId) {
        for end in ["new", "deleted"] {
            let path = self.root.join(format!("{id}.{end}"));
            if path.exists() {
                tracing::info!(directory = %path.display(), "removing a repository that was never finished");
                let _ = fs::remove_dir_all(&path);
            }
        }
    }

    /// Removes what was left by programs that were killed while they made or removed a repository. A repository that is
    /// complete but not in the database is left alone, with a warning: the database may be an old backup.
    ///
    /// # Errors
    /// [`GitError::File`] if the directory cannot be read.
    pub fn sweep_unfinished(
        &self,
        is_recorded: impl Fn(RepositoryId) -> bool,
        older_than: Duration,
    ) -> Result<(), GitError> {
        for entry in fs::read_dir(&self.root).map_err(GitError::file(&*self.root))?.flatten() {
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            let modified = entry.metadata().and_then(|data| data.modified());
            let old = modified.is_ok_and(|at| at.elapsed().is_ok_and(|age| age > older_than));
            if old && [".new", ".deleted", ".upload"].iter().any(|end| name.ends_with(end)) {
                tracing::info!(directory = %path.display(), "removing a repository that was never finished");
                let _ = fs::remove_dir_all(&path);
            } else if old && name.strip_suffix(".git").and_then(|id| id.parse().ok()).is_some_and(|id| !is_recorded(id))
            {
                tracing::warn!(directory = %path.display(), "a repository is not in the database; it is left alone");
            }
        }
        Ok(())
    }

    async fn import_into(&self, making: &Path, import: &Import) -> Result<(), GitError> {
        let source = Source::parse(&import.source);
        let mut clone = self.git.command(making);
        clone.args(["clone", "--mirror", "--no-local", "--template="]).arg(if import.progress {
            "--progress"
        } else {
            "-q"
        });
        clone.arg("--").arg(&source.address).arg(".");
        clone.env("GIT_ALLOW_PROTOCOL", "file:http:https");
        clone.envs(import.environment.iter().map(|(name, value)| (name, value)));
        if let Some((key, value)) = source.header {
            let place = self.git.settings_passed();
            clone.env("GIT_CONFIG_COUNT", (place + 1).to_string());
            clone.env(format!("GIT_CONFIG_KEY_{place}"), key).env(format!("GIT_CONFIG_VALUE_{place}"), value);
        }
        if import.progress {
            // In a group of its own git would be in the background, where it shows no progress.
            clone.stderr(Stdio::inherit()).process_group(rustix::process::getpgrp().as_raw_nonzero().get());
        }
        self.git.run("clone", &mut clone).await?;
        let mut forget = self.git.command(making);
        self.git.run("config", forget.args(["config", "--remove-section", "remote.origin"])).await?;
        let mut repack = self.git.command(making);
        self.git.run("repack", repack.args(["repack", "-a", "-d", "-b", "-q"])).await?;
        let mut graph = self.git.command(making);
        self.git.run("commit-graph", graph.args(["commit-graph", "write", "--reachable", "--changed-paths"])).await?;
        Ok(())
    }

    /// A new directory in which a repository is made. It gets its name only when it is complete.
    fn making(&self, id: RepositoryId) -> Result<Making, GitError> {
        let directory = self.root.join(format!("{id}.new"));
        fs::create_dir(&directory).map_err(GitError::file(&directory))?;
        Ok(Making(directory))
    }

    /// An empty repository that is gone with what this returns.
    pub(crate) async fn empty(&self, format: ObjectFormat) -> Result<Making, GitError> {
        // A name that nobody has used: what a killed server left must not stand in the way.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
        let directory = self.root.join(format!("empty-{}-{}-{now}.new", format.word(), std::process::id()));
        fs::create_dir(&directory).map_err(GitError::file(&directory))?;
        let empty = Making(directory);
        let mut command = self.git.command(&empty.0);
        command.args(["init", "-q", "--bare", "--template=", "--object-format", format.word(), "."]);
        self.git.run("init", &mut command).await?;
        Ok(empty)
    }

    /// A repository of this format with one branch, which HEAD does not lead to. Removed when it is dropped.
    pub(crate) async fn specimen(&self, format: ObjectFormat) -> Result<Making, GitError> {
        let specimen = self.empty(format).await?;
        let stream = "commit refs/heads/only\ncommitter Doorward <doorward@localhost> 0 +0000\ndata 0\n";
        self.fast_import(&specimen, stream.into()).await?;
        Ok(specimen)
    }

    fn place(&self, making: &Making, id: RepositoryId) -> Result<(), GitError> {
        sync_tree(&making.0)?;
        let directory = self.directory(id);
        fs::rename(&making.0, &directory).map_err(GitError::file(&directory))?;
        durable::sync(&self.root)
    }
}

/// Where to import from, with the secret apart: arguments and configuration files can be read by others, the
/// environment of a process only by its owner.
struct Source {
    address: OsString,
    header: Option<(String, String)>,
}

impl Source {
    fn parse(source: &std::ffi::OsStr) -> Self {
        let parts = source.to_str().and_then(|text| {
            let (scheme, rest) = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
            let (authority, path) = rest.split_once('/')?;
            let (user, host) = authority.rsplit_once('@')?;
            let decoded = percent_encoding::percent_decode_str(user).collect::<Vec<u8>>();
            let pair = if user.contains(':') { decoded } else { [decoded, b":".to_vec()].concat() };
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            let header = (format!("http.{scheme}://{host}/.extraHeader"), format!("Authorization: Basic {encoded}"));
            Some(Self { address: format!("{scheme}://{host}/{path}").into(), header: Some(header) })
        });
        parts.unwrap_or_else(|| Self { address: source.into(), header: None })
    }
}

/// A repository that is being made. Unless it is placed, nothing is left of it.
pub(crate) struct Making(PathBuf);

impl Making {
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes everything below a new directory durable, also the few files that git does not fsync, such as its `config`.
fn sync_tree(directory: &Path) -> Result<(), GitError> {
    for entry in fs::read_dir(directory).map_err(GitError::file(directory))?.flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            sync_tree(&entry.path())?;
        } else {
            durable::sync(&entry.path())?;
        }
    }
    durable::sync(directory)
}
