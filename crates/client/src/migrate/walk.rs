//! Finds the files: the person's own, and everything below some directories, as far as git would look at it.

use std::fs;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use doorward_rules::Timestamp;
use ignore::{DirEntry, WalkBuilder, WalkState};
use memchr::memmem;
use ring::digest::{SHA256, digest};

use super::{Change, Find, Format, Hosts, scan, tracked};

/// What was found below some directories.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// The files with something in them, by their paths.
    pub affected: Vec<Affected>,
    /// How many files were read.
    pub read: usize,
    /// What could not be looked at, and why.
    pub passed: Vec<(PathBuf, String)>,
}

/// A file with something in it that must change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Affected {
    /// Where it is.
    pub path: PathBuf,
    /// What sort of file it is.
    pub format: Format,
    /// What was found.
    pub finds: Vec<Find>,
    /// The SHA-256 of what it held then.
    pub digest: [u8; 32],
}

/// A single file that is looked at.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Own {
    /// Where it is.
    pub path: PathBuf,
    /// What sort of file it is, if its name does not tell.
    pub format: Option<Format>,
}

/// Told how many files have been read.
pub type Progress<'a> = &'a (dyn Fn(usize) + Sync);

/// Looks at single files, and at everything below directories: what git ignores is passed over, but for the files that
/// hold secrets and are ignored for that; links are not followed; nothing is changed.
pub fn survey(roots: &[PathBuf], own: &[Own], hosts: &Hosts, now: Timestamp, progress: Progress<'_>) -> Survey {
    let looking = Looking { hosts, now, progress, read: AtomicUsize::new(0), found: Mutex::default() };
    for Own { path, format } in own.iter().filter(|own| own.path.symlink_metadata().is_ok()) {
        looking.look_as(path, *format);
    }
    if let Some((first, others)) = roots.split_first() {
        let mut walk = WalkBuilder::new(first);
        for root in others {
            walk.add(root);
        }
        let walk = walk.hidden(false).follow_links(false).filter_entry(|entry| !is_store(entry)).build_parallel();
        walk.run(|| {
            Box::new(|entry| {
                match entry {
                    Ok(entry) => looking.entry(&entry),
                    Err(error) => looking.pass(Path::new(""), &error),
                }
                WalkState::Continue
            })
        });
    }
    let mut survey = looking.found.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    survey.read = looking.read.into_inner();
    survey.affected.sort_by(|one, other| one.path.cmp(&other.path));
    // A file may be one of the person's own and below a directory too.
    survey.affected.dedup_by(|one, other| one.path == other.path);
    tracked::hold_back(&mut survey.affected);
    survey.passed.sort();
    survey.passed.dedup();
    survey
}

/// What git keeps its objects in, and what has nothing that a person wrote.
fn is_store(entry: &DirEntry) -> bool {
    let name = entry.file_name();
    let bare = |path: &Path| path.join("HEAD").is_file();
    entry.file_type().is_some_and(|kind| kind.is_dir())
        && (name == ".git"
            || name == ".hg"
            || name == ".svn"
            || (name == "objects" && entry.path().parent().is_some_and(bare)))
}

struct Looking<'a> {
    hosts: &'a Hosts,
    now: Timestamp,
    progress: Progress<'a>,
    read: AtomicUsize,
    found: Mutex<Survey>,
}

impl Looking<'_> {
    fn entry(&self, entry: &DirEntry) {
        match entry.file_type() {
            Some(kind) if kind.is_dir() => self.directory(entry.path()),
            // Its directory has led to it already.
            Some(_) if entry.depth() > 0 && Format::of(entry.path()).is_kept_out_of_git() => {}
            Some(kind) if kind.is_file() => self.look(entry.path()),
            _ => {}
        }
    }

    /// What the walk does not come to by itself: git's own files, and those that are ignored since they hold secrets.
    fn directory(&self, directory: &Path) {
        let git = directory.join(".git");
        if git.symlink_metadata().is_ok_and(|found| found.is_dir()) {
            self.git_directory(&git, 0);
        }
        let Ok(entries) = fs::read_dir(directory) else { return };
        for entry in entries.flatten() {
            let path = entry.path();
            if Format::of(&path).is_kept_out_of_git() && entry.file_type().is_ok_and(|kind| kind.is_file()) {
                self.look(&path);
            }
        }
    }

    /// The configuration of a clone, its worktrees and its submodules.
    fn git_directory(&self, git: &Path, depth: usize) {
        let worktrees = directories(&git.join("worktrees")).into_iter().map(|path| path.join("config.worktree"));
        let own = ["config", "config.worktree"].map(|name| git.join(name));
        own.into_iter()
            .chain(worktrees)
            .filter(|path| path.symlink_metadata().is_ok_and(|found| found.is_file()))
            .for_each(|path| self.look(&path));
        self.submodules(&git.join("modules"), depth);
    }

    /// A submodule's name may have slashes in it, and it may have submodules of its own.
    fn submodules(&self, directory: &Path, depth: usize) {
        if depth == DEEPEST {
            return;
        }
        for path in directories(directory) {
            if path.join("HEAD").is_file() {
                self.git_directory(&path, depth + 1);
            } else {
                self.submodules(&path, depth + 1);
            }
        }
    }

    fn look(&self, path: &Path) {
        self.look_as(path, None);
    }

    fn look_as(&self, path: &Path, format: Option<Format>) {
        if let Err(error) = self.read(path, format) {
            self.pass(path, &error);
        }
    }

    fn read(&self, path: &Path, format: Option<Format>) -> Result<(), String> {
        let kind = path.symlink_metadata().map_err(|error| error.to_string())?.file_type();
        if kind.is_symlink() {
            return Err("is a link; name the directory that it leads to".into());
        }
        let found = path.symlink_metadata().map_err(|error| error.to_string())?;
        if !kind.is_file() {
            return Ok(());
        }
        let of_secrets = Format::of(path).is_kept_out_of_git();
        let mut bytes = Vec::new();
        let file = fs::File::open(path).map_err(|error| error.to_string())?;
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        let read = self.read.fetch_add(1, Ordering::Relaxed) + 1;
        if read.is_multiple_of(STEP) {
            (self.progress)(read);
        }
        if of_secrets && bytes.len() as u64 > LARGEST {
            return Err("is too large to be looked at".into());
        }
        if of_secrets && bytes.iter().take(8192).any(|byte| *byte == 0) {
            return Err("is not UTF-8".into());
        }
        let concerned = |needle: &str| memmem::find(&bytes, needle.as_bytes()).is_some();
        let needles = ["ATBB", "GIT_ASKPASS", "asic ", "_auth=", "_password="];
        if bytes.len() as u64 > LARGEST
            || bytes.iter().take(8192).any(|byte| *byte == 0)
            || !(needles.iter().any(|needle| concerned(needle))
                || self.hosts.names().iter().any(|name| concerned(name)))
        {
            return Ok(());
        }
        let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
        let format = format.unwrap_or_else(|| Format::of_text(path, &text));
        let mut finds = scan(&text, format, self.hosts, self.now);
        if found.nlink() > 1 {
            finds.iter_mut().for_each(|find| find.change = Change::ByHand(SEVERAL_NAMES));
        }
        if !finds.is_empty() {
            let digest =
                digest(&SHA256, text.as_bytes()).as_ref().try_into().map_err(|_| "has no digest".to_owned())?;
            let affected = Affected { path: path.to_owned(), format, finds, digest };
            self.found().affected.push(affected);
        }
        Ok(())
    }

    fn pass(&self, path: &Path, why: &impl ToString) {
        self.found().passed.push((path.to_owned(), why.to_string()));
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Survey> {
        self.found.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// The directories in a directory; links are none.
fn directories(path: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}

const SEVERAL_NAMES: &str = "the file has several names (hard links): change it by hand";
/// A file that is larger holds no credentials that a person wrote.
const LARGEST: u64 = 4 * 1024 * 1024;
/// How deep submodules may lie in each other.
const DEEPEST: usize = 8;
/// After how many files progress is told.
const STEP: usize = 1000;
