//! Mirrors: repositories whose truth is at another server, and what was fetched of them so far.
//!
//! Nothing here asks who may have what: whoever opens a mirror for a caller has seen the other server say yes to that caller. What a
//! caller is told of refs comes from a [`Listing`] of that very moment; a mirror has the objects.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use doorward_rules::{CredentialId, RepositoryId};
use doorward_wire::ListRequest;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use tokio::time::{timeout, timeout_at};

use crate::apart::Apart;
use crate::line::{Asker, Place};
use crate::process::{Process, feed};
use crate::refs::Listing;
use crate::{GitError, ObjectFormat, Output, Repositories, Repository, Service, durable, protocol_version};

/// All mirrors of a data directory. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Mirrors(Repositories, Arc<Updates>);

/// Who fetches into mirrors, by their ids.
type Updates = Mutex<HashMap<RepositoryId, Arc<Update>>>;

/// Held by whoever fetches into a mirror.
#[derive(Debug)]
pub struct Update {
    lock: tokio::sync::Mutex<()>,
    /// When it was last seen that it goes on.
    moved: Mutex<Instant>,
}

/// A place among those who bring what is new into mirrors, until this is dropped.
#[derive(Debug)]
pub struct Bringing {
    _place: Place,
}

impl Update {
    fn new() -> Self {
        Self { lock: tokio::sync::Mutex::default(), moved: Mutex::new(Instant::now()) }
    }

    /// Waits until nobody else fetches; `None` if nothing has moved for as long as `patience`.
    pub async fn alone(&self, patience: Duration) -> Option<tokio::sync::MutexGuard<'_, ()>> {
        let began = Instant::now();
        let mut waiting = std::pin::pin!(self.lock.lock());
        loop {
            let deadline = began.max(*self.moved()) + patience;
            if let Ok(alone) = timeout_at(deadline.into(), &mut waiting).await {
                return Some(alone);
            }
            if Instant::now() >= began.max(*self.moved()) + patience {
                return None;
            }
        }
    }

    /// Carries something out of which those who wait see that it goes on. It has to end by itself.
    pub async fn goes_on<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            *self.moved() = Instant::now();
            if let Ok(done) = timeout(Duration::from_secs(1), &mut work).await {
                return done;
            }
        }
    }

    fn moved(&self) -> MutexGuard<'_, Instant> {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Repositories {
    /// The mirrors in `data/mirrors`, which share the places for processes and the room for answers with these.
    ///
    /// # Errors
    /// [`GitError::File`] if the directory cannot be made.
    pub fn mirrors(&self, data: &Path) -> Result<Mirrors, GitError> {
        Ok(Mirrors(self.beside(&data.join("mirrors"))?, Arc::default()))
    }
}

impl Mirrors {
    /// Held by whoever fetches into a mirror, for whatever upstream that is.
    pub fn update(&self, repository: RepositoryId) -> Arc<Update> {
        let mut updates = self.1.lock().unwrap_or_else(PoisonError::into_inner);
        updates.retain(|id, update| *id == repository || Arc::strong_count(update) > 1);
        Arc::clone(updates.entry(repository).or_insert_with(|| Arc::new(Update::new())))
    }

    /// Waits for a place among those who bring what is new into mirrors, on behalf of whoever has this credential.
    ///
    /// # Errors
    /// [`GitError::Crowded`] if as many wait as may.
    pub async fn bringing(&self, asker: Option<CredentialId>) -> Result<Bringing, GitError> {
        let mut waiting = self.0.slots.bring(asker_of(asker))?;
        Ok(Bringing { _place: waiting.place().await })
    }

    /// Whether nothing should be added, for want of room.
    pub fn is_full(&self) -> bool {
        self.0.is_nearly_full()
    }

    /// The answer to `info/refs` for a fetch, to whoever may see these refs.
    ///
    /// # Errors
    /// [`GitError`] if git does not say what it can do.
    pub async fn advertise(&self, listing: &Listing, protocol: Option<&str>) -> Result<Output, GitError> {
        let capabilities = self.0.capabilities(listing.format()).await?;
        let service = Service::UploadPack;
        Ok(match protocol_version(protocol) {
            2 => Output::of(capabilities.version_2.clone()),
            version => listing.0.advertised(service, version == 1, capabilities, &self.0.slots),
        })
    }

    /// The answer to a question for refs in version 2; `None` if the client counts on another format of objects.
    pub fn list(&self, listing: &Listing, request: &ListRequest) -> Option<Output> {
        let format = request.format.as_deref().unwrap_or(ObjectFormat::Sha1.word());
        (format == listing.format().word()).then(|| listing.0.listed(request, &self.0.slots))
    }

    /// Opens a mirror for a fetch on behalf of whoever has this credential.
    pub fn open(&self, id: RepositoryId, asker: Option<CredentialId>) -> Repository {
        let asker = asker_of(asker);
        let (all, directory) = (self.0.clone(), self.0.directory(id));
        Repository { all, id, directory, service: Service::UploadPack, asker }
    }

    /// What its refs lead to: all of that is there, with everything that it needs. Empty if there is no mirror yet.
    ///
    /// # Errors
    /// [`GitError`] if it cannot be read.
    pub async fn tips(&self, id: RepositoryId) -> Result<Vec<Box<[u8]>>, GitError> {
        if !self.0.directory(id).exists() {
            return Ok(Vec::new());
        }
        Ok(self.0.snapshot(id).await?.map(|refs| Listing(refs).ids()).unwrap_or_default())
    }

    /// Whether each of some objects is what one of these refs leads to, and what one of the mirror's leads to.
    ///
    /// # Errors
    /// [`GitError`] if the mirror cannot be read.
    pub async fn leads_to_all(
        &self,
        id: RepositoryId,
        refs: &Listing,
        objects: &[Box<[u8]>],
    ) -> Result<bool, GitError> {
        if !self.0.directory(id).exists() {
            return Ok(false);
        }
        let Some(ours) = self.0.snapshot(id).await? else { return Ok(false) };
        let objects = || objects.iter().map(|id| &**id);
        Ok(ours.leads_to_all(objects()).await? && refs.0.leads_to_all(objects()).await?)
    }

    /// Whether the mirror has a tag that is not among these refs: what includes tags would include it.
    ///
    /// # Errors
    /// [`GitError`] if the mirror cannot be read.
    pub async fn has_other_tags(&self, id: RepositoryId, refs: &Listing) -> Result<bool, GitError> {
        if !self.0.directory(id).exists() {
            return Ok(false);
        }
        let Some(ours) = self.0.snapshot(id).await? else { return Ok(false) };
        Ok(!ours.walk(b"refs/tags/", None, |named| refs.find(named.name) == Some(named.id)))
    }

    /// Those of some objects that are no commits to which these refs lead back. The mirror has all that the refs need.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run, or something is missing.
    pub async fn unreached(
        &self,
        id: RepositoryId,
        refs: &Listing,
        objects: Vec<Box<[u8]>>,
    ) -> Result<Vec<Box<[u8]>>, GitError> {
        let _place = self.0.slots.short().await?;
        let directory = self.0.directory(id);
        let mut command = self.0.git.command(&directory);
        command.args(["cat-file", "--batch-check=%(objecttype) %(objectname)", "--buffer"]);
        let told = answered("cat-file", &mut command, &objects).await?;
        let commits = told.split(|byte| *byte == b'\n').filter_map(|line| line.strip_prefix(b"commit "));
        let commits: HashSet<Box<[u8]>> = commits.map(Box::from).collect();
        let mut question: Vec<Box<[u8]>> = commits.iter().cloned().collect();
        question.extend(refs.ids().iter().map(|tip| [b"^", &**tip].concat().into_boxed_slice()));
        let mut command = self.0.git.command(&directory);
        command.args(["rev-list", "--stdin"]);
        let beyond =
            if commits.is_empty() { Vec::new() } else { answered("rev-list", &mut command, &question).await? };
        let beyond: HashSet<&[u8]> = beyond.split(|byte| *byte == b'\n').collect();
        Ok(objects.into_iter().filter(|id| !commits.contains(id) || beyond.contains(&**id)).collect())
    }

    /// Those of some objects that are not there.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn missing(&self, id: RepositoryId, objects: Vec<Box<[u8]>>) -> Result<Vec<Box<[u8]>>, GitError> {
        let directory = self.0.directory(id);
        if objects.is_empty() || !directory.exists() {
            return Ok(objects);
        }
        let _place = self.0.slots.short().await?;
        let mut command = self.0.git.command(&directory);
        missing(&mut command, objects).await
    }

    /// Whether a commit leads back to another one, that may not be there.
    ///
    /// # Errors
    /// [`GitError`] if git cannot be run.
    pub async fn leads_back(&self, id: RepositoryId, from: &[u8], to: &[u8]) -> Result<bool, GitError> {
        let _place = self.0.slots.short().await?;
        let mut command = self.0.git.command(&self.0.directory(id));
        command.args(["merge-base", "--is-ancestor"]);
        command.args([to, from].map(|id| String::from_utf8_lossy(id).into_owned()));
        let (process, stdin, _stdout) = Process::start("merge-base", &mut command)?;
        drop(stdin);
        match process.wait().await?.code() {
            Some(code) => Ok(code == 0),
            None => Err(killed("merge-base")),
        }
    }

    /// Throws a mirror away that cannot be used: what is in it is at the other server.
    ///
    /// # Errors
    /// [`GitError::File`] if it cannot be removed.
    pub fn discard(&self, id: RepositoryId) -> Result<(), GitError> {
        self.0.must_sweep(id);
        self.0.clear_unfinished(id);
        self.0.delete(id)
    }

    /// Takes in a pack that the other server has sent for these refs, and makes them those of the mirror. Nothing of it is there
    /// before all that the refs need is.
    ///
    /// One at a time may be taken into a mirror; the caller sees to that.
    ///
    /// # Errors
    /// [`GitError::Failed`] if the pack is broken or is not all that the refs need; then nothing has changed.
    pub async fn receive(
        &self,
        id: RepositoryId,
        refs: &Listing,
        pack: impl AsyncRead + Unpin,
    ) -> Result<u64, GitError> {
        self.begin(id, refs.format()).await?;
        let directory = self.0.directory(id);
        let apart = Apart::new(&directory, "mirror")?;
        let mut index = self.0.git.command(&directory);
        let [_, longest] = self.0.git.pack_checks();
        apart.with(&mut index).args(["index-pack", "--stdin", "--fix-thin", &longest]);
        let (process, stdin, mut stdout) = Process::start("index-pack", &mut index)?;
        let mut told = Vec::new();
        let (fed, read) = tokio::join!(feed(pack, stdin), stdout.read_to_end(&mut told));
        let (status, complaints) = process.wait_with_complaints().await?;
        // What breaks off is not the fault of what came before.
        fed.and(read).map_err(GitError::run("index-pack"))?;
        if !status.success() {
            return Err(GitError::Failed { what: "index-pack", stderr: complaints });
        }
        self.check(&directory, &apart, refs).await?;
        let bytes = tokio::task::spawn_blocking(move || apart.settle()).await;
        let bytes = bytes.map_err(|error| GitError::run("index-pack")(std::io::Error::other(error)))??;
        self.write(id, refs).await?;
        Ok(bytes)
    }

    /// Makes these refs those of the mirror, which has all that they need already.
    ///
    /// # Errors
    /// [`GitError`] if it has not, or they cannot be written.
    pub async fn adopt(&self, id: RepositoryId, refs: &Listing) -> Result<(), GitError> {
        self.begin(id, refs.format()).await?;
        let directory = self.0.directory(id);
        let mut command = self.0.git.command(&directory);
        connected(&mut command, refs.ids()).await?;
        self.write(id, refs).await
    }

    /// Removes what was left by a server before us that was killed while it made a mirror or removed one. Not while any is made.
    ///
    /// # Errors
    /// [`GitError::File`] if the directory cannot be read.
    pub fn sweep(&self) -> Result<(), GitError> {
        self.0.sweep_unfinished(|_| true, Duration::ZERO)
    }

    /// Looks after those that are there already, as a server does when it starts.
    ///
    /// # Errors
    /// [`GitError::File`] if the directory cannot be read.
    pub async fn look_after(&self) -> Result<(), GitError> {
        for entry in fs::read_dir(&*self.0.root).map_err(GitError::file(&*self.0.root))?.flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            if let Some(id) = name.strip_suffix(".git").and_then(|id| id.parse().ok()) {
                self.0.sweep(id).await?;
                self.0.look_after(id);
            }
        }
        Ok(())
    }

    /// Makes the mirror, if there is none; and sweeps one that a server before us may have left half-way.
    async fn begin(&self, id: RepositoryId, format: ObjectFormat) -> Result<(), GitError> {
        if !self.0.directory(id).exists() {
            self.0.clear_unfinished(id);
            self.0.create(id, format).await?;
        }
        self.0.sweep(id).await?;
        match self.0.snapshot(id).await? {
            Some(refs) if refs.format != format => {
                let stderr = format!("the mirror is not of the format {}", format.word());
                Err(GitError::Failed { what: "config", stderr })
            }
            _ => Ok(()),
        }
    }

    /// Sees to it that everything is there that refs need.
    async fn check(&self, directory: &Path, apart: &Apart, refs: &Listing) -> Result<(), GitError> {
        let mut command = self.0.git.command(directory);
        connected(apart.with(&mut command), refs.ids()).await
    }

    async fn write(&self, id: RepositoryId, refs: &Listing) -> Result<(), GitError> {
        let (directory, refs) = (self.0.directory(id), refs.clone());
        let written = tokio::task::spawn_blocking(move || {
            durable::replace(&directory, "packed-refs", refs.packed_file())?;
            durable::replace(&directory, "HEAD", refs.head_file().as_bytes())
        });
        written.await.map_err(|error| GitError::run("refs")(std::io::Error::other(error)))??;
        self.0.snapshots.touch(id, std::iter::empty());
        self.0.look_after(id);
        Ok(())
    }
}

/// Those of some objects that a repository does not have.
async fn missing(command: &mut Command, objects: Vec<Box<[u8]>>) -> Result<Vec<Box<[u8]>>, GitError> {
    command.args(["cat-file", "--batch-check=%(objectname)", "--buffer"]);
    let answers = answered("cat-file", command, &objects).await?;
    let lines = answers.split(|byte| *byte == b'\n');
    // `ID missing`
    Ok(lines.filter_map(|line| line.strip_suffix(b" missing")).map(Box::from).collect())
}

/// Sees to it that everything is there that some objects need, but for what the refs that are there need.
async fn connected(command: &mut Command, objects: Vec<Box<[u8]>>) -> Result<(), GitError> {
    command.args(["rev-list", "--objects", "--stdin", "--quiet", "--not", "--all"]);
    answered("rev-list", command, &objects).await.map(drop)
}

/// Runs a command that is given objects, one on a line.
async fn answered(what: &'static str, command: &mut Command, objects: &[Box<[u8]>]) -> Result<Vec<u8>, GitError> {
    let (process, mut stdin, mut stdout) = Process::start(what, command)?;
    let mut question = objects.join(&b'\n');
    question.push(b'\n');
    let mut answers = Vec::new();
    let (asked, read) = tokio::join!(
        async {
            let asked = stdin.write_all(&question).await;
            drop(stdin);
            asked
        },
        stdout.read_to_end(&mut answers)
    );
    let (status, stderr) = process.wait_with_complaints().await?;
    if status.code().is_none() {
        return Err(killed(what));
    }
    if !status.success() {
        return Err(GitError::Failed { what, stderr });
    }
    asked.and(read.map(drop)).map_err(GitError::run(what))?;
    Ok(answers)
}

fn asker_of(credential: Option<CredentialId>) -> Asker {
    credential.map_or(Asker::Anyone, Asker::AccessToken)
}

/// A process that somebody killed, which says nothing of what it looked at.
fn killed(what: &'static str) -> GitError {
    GitError::run(what)(std::io::Error::other("it was killed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_for_a_mirror_waits_as_long_as_it_goes_on() {
        let (update, patience) = (Update::new(), Duration::from_millis(1500));
        let long = async {
            let _alone = update.alone(patience).await.expect("nobody else is there");
            update.goes_on(tokio::time::sleep(2 * patience)).await;
        };
        let waits = async {
            tokio::task::yield_now().await;
            update.alone(patience).await.is_some()
        };
        assert!(tokio::join!(long, waits).1);
        let _stuck = update.alone(patience).await.expect("nobody else is there");
        assert!(update.alone(Duration::from_millis(10)).await.is_none());
    }
}
