//! Where repositories are, and who may open one.

use rustix::fs::statvfs;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use doorward_rules::{Action, Permit, RepositoryId, Target};
use doorward_wire::RefName;
use tokio::sync::{OnceCell, OwnedRwLockReadGuard, RwLock};
use tokio_util::task::TaskTracker;

use crate::answers::{AnswerCounts, Answers, CacheSettings, directory as answers_directory};
use crate::line::{Asker, Place};
use crate::push::PushCounts;
use crate::refs::{Capabilities, Snapshots};
use crate::stored::Stored;
use crate::upkeep::Upkeep;
use crate::{Git, GitError, Service, Slots, sweep};

/// All repositories of a data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Repositories {
    pub(crate) root: Arc<Path>,
    pub(crate) git: Git,
    pub(crate) slots: Slots,
    pub(crate) tasks: TaskTracker,
    pub(crate) upkeep: Upkeep,
    pub(crate) answers: Answers,
    swept: Arc<Mutex<HashMap<RepositoryId, Arc<Swept>>>>,
    pub(crate) snapshots: Arc<Snapshots>,
    pub(crate) stored: Arc<Stored>,
    pub(crate) pushes: Arc<PushCounts>,
    pub(crate) capabilities: Arc<[OnceCell<Capabilities>; 2]>,
}

/// One repository, opened with a permit for one action.
#[derive(Debug)]
pub struct Repository {
    pub(crate) all: Repositories,
    pub(crate) id: RepositoryId,
    pub(crate) directory: PathBuf,
    pub(crate) service: Service,
    pub(crate) asker: Asker,
}

/// Whether what killed processes left was removed of a repository.
#[derive(Debug, Default)]
struct Swept {
    is_done: AtomicBool,
    /// Held by those who work on it themselves; by the sweep alone.
    at_work: Arc<RwLock<()>>,
}

/// A repository with a place for the process that is to work on it.
#[derive(Debug)]
pub struct Placed {
    pub(crate) repository: Repository,
    pub(crate) slot: Place,
}

impl Repository {
    /// Waits for a place for a fetch or a push. Before a push, what killed processes left is removed.
    ///
    /// # Errors
    /// [`GitError::Busy`] if none became free in time; [`GitError::File`] if something cannot be removed.
    pub async fn place(self) -> Result<Placed, GitError> {
        if self.service == Service::ReceivePack {
            self.all.sweep(self.id).await?;
        }
        let slot = self.all.slots.long(self.asker).await?;
        Ok(Placed { repository: self, slot })
    }
}

impl Repositories {
    /// The repositories in `data/repositories`.
    ///
    /// # Errors
    /// [`GitError::File`] if the directory cannot be made.
    pub fn new(data: &Path, git: Git, slots: Slots, cache: CacheSettings) -> Result<Self, GitError> {
        let root = data.join("repositories");
        std::fs::create_dir_all(&root).map_err(GitError::file(&root))?;
        let root = root.canonicalize().map_err(GitError::file(&root))?;
        Ok(Self {
            root: root.into(),
            git,
            answers: Answers::new(answers_directory(data), cache, slots.idle()),
            slots,
            tasks: TaskTracker::new(),
            upkeep: Upkeep::default(),
            swept: Arc::default(),
            snapshots: Arc::default(),
            stored: Arc::default(),
            pushes: Arc::default(),
            capabilities: Arc::default(),
        })
    }

    /// Other repositories, in another directory, which share the places for processes and the room for answers with these.
    pub(crate) fn beside(&self, root: &Path) -> Result<Self, GitError> {
        std::fs::create_dir_all(root).map_err(GitError::file(root))?;
        let root = root.canonicalize().map_err(GitError::file(root))?.into();
        let (tasks, swept, snapshots, stored) = (TaskTracker::new(), Arc::default(), Arc::default(), Arc::default());
        Ok(Self { root, tasks, swept, snapshots, stored, ..self.clone() })
    }

    /// The branch that HEAD names, whether it is there or not; `None` if HEAD names no branch.
    ///
    /// # Errors
    /// [`GitError::Misdirected`] if the permit is not for a repository, [`GitError::File`] if it cannot be read.
    pub async fn main_branch(&self, permit: &Permit) -> Result<Option<String>, GitError> {
        let Target::Repository(id) = permit.target() else { return Err(GitError::Misdirected) };
        self.main_branch_of(id).await
    }

    /// The same of a repository in a list that was permitted.
    ///
    /// # Errors
    /// [`GitError::File`] if it cannot be read.
    pub async fn main_branch_of(&self, id: RepositoryId) -> Result<Option<String>, GitError> {
        let path = self.directory(id).join("HEAD");
        let head = tokio::fs::read_to_string(&path).await.map_err(GitError::file(&path))?;
        Ok(head.trim_end().strip_prefix("ref: refs/heads/").map(str::to_owned))
    }

    /// How many bytes the packs of a repository have; 0 if that cannot be told.
    pub async fn size_of(&self, id: RepositoryId) -> u64 {
        let directory = self.directory(id).join("objects/pack");
        let sum = move || {
            let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
            entries.filter_map(|entry| entry.metadata().ok()).map(|data| data.len()).sum()
        };
        tokio::task::spawn_blocking(sum).await.unwrap_or_default()
    }

    /// Opens the repository that a permit is for, to do what it is for.
    ///
    /// # Errors
    /// [`GitError::Misdirected`] if the permit is neither for a fetch nor for a push.
    pub fn open(&self, permit: &Permit) -> Result<Repository, GitError> {
        let service = match permit.action() {
            Action::Fetch | Action::ReadRepository | Action::ReportStatus => Service::UploadPack,
            Action::Push | Action::CreateRef => Service::ReceivePack,
            _ => return Err(GitError::Misdirected),
        };
        let Target::Repository(id) = permit.target() else { return Err(GitError::Misdirected) };
        Ok(Repository { all: self.clone(), id, directory: self.directory(id), service, asker: Asker::of(permit) })
    }

    /// Where repositories are, and where there is room for what is on its way to one.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether less than a twentieth of the disk is free: what could be had again is not added to it then.
    pub fn is_nearly_full(&self) -> bool {
        statvfs(&*self.root).is_ok_and(|disk| disk.f_bavail < disk.f_blocks / 20)
    }

    /// Whether there is a branch or tag of this name.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn has_ref(&self, id: RepositoryId, name: &RefName) -> Result<bool, GitError> {
        let mut command = self.git.command(&self.directory(id));
        command.args(["for-each-ref", "--count=1", "--format=%(refname)", &name.to_string()]);
        let listed = self.git.run("for-each-ref", &mut command).await?;
        Ok(String::from_utf8_lossy(&listed).trim() == name.to_string())
    }

    /// What became of fetches so far.
    pub fn answers(&self) -> AnswerCounts {
        self.answers.counts()
    }

    /// How pushes were carried out so far.
    pub fn pushes(&self) -> &PushCounts {
        &self.pushes
    }

    /// The places for processes.
    pub fn slots(&self) -> &Slots {
        &self.slots
    }

    /// Waits until no push is under way. None may be begun any more.
    pub async fn finish(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// Removes what processes left behind that were killed while they worked on this repository: before its first push
    /// in the life of this server, and before the next one after a process was killed.
    ///
    /// # Errors
    /// [`GitError::File`] if something cannot be removed, [`GitError::Busy`] if a process of a former server goes on.
    pub async fn sweep(&self, id: RepositoryId) -> Result<(), GitError> {
        let swept = self.swept(id);
        if swept.is_done.load(Ordering::Acquire) {
            return Ok(());
        }
        let _alone = swept.at_work.write().await;
        if swept.is_done.swap(true, Ordering::AcqRel) {
            return Ok(());
        }
        let done = sweep::sweep(self.directory(id)).await;
        if done.is_err() {
            swept.is_done.store(false, Ordering::Release);
        }
        done
    }

    /// Lets the next push sweep again: a process was killed while it worked on this repository.
    pub(crate) fn must_sweep(&self, id: RepositoryId) {
        self.swept(id).is_done.store(false, Ordering::Release);
    }

    /// Keeps the sweep from what is being done to a repository by no process of git's, until what this returns is dropped.
    pub(crate) async fn at_work(&self, id: RepositoryId) -> OwnedRwLockReadGuard<()> {
        Arc::clone(&self.swept(id).at_work).read_owned().await
    }

    fn swept(&self, id: RepositoryId) -> Arc<Swept> {
        Arc::clone(self.swept.lock().unwrap_or_else(PoisonError::into_inner).entry(id).or_default())
    }

    pub(crate) fn directory(&self, id: RepositoryId) -> PathBuf {
        self.root.join(format!("{id}.git"))
    }
}
