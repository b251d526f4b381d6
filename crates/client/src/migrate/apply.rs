//! Writes what was found into the files, all of it or nothing, and puts back what was there.
//!
//! Every file is first written beside the old one; only when all are there, and what was there is kept, do they take the
//! old ones' places. A file that somebody has changed in the meantime is an error, and then none is changed.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use doorward_rules::Timestamp;
use doorward_wire::percent_encoded;
use ring::digest::{SHA256, digest};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use thiserror::Error;

use super::{Affected, Edit, Piece};

/// What comes in the place of what was found.
#[derive(Debug, Clone)]
pub struct NewSecret {
    /// The secret.
    pub secret: SecretString,
    /// The user name that goes with it on git.
    pub name: String,
    /// The e-mail address of its owner, which goes with it on REST.
    pub email: Option<String>,
}

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The files that were changed.
    pub changed: Vec<PathBuf>,
    /// Where what was there is kept.
    pub kept: PathBuf,
}

/// What was put back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Undone {
    /// The files that are as they were.
    pub restored: Vec<PathBuf>,
    /// The files that somebody has changed or removed since, which are left alone.
    pub left: Vec<PathBuf>,
    /// Where what those held is still kept.
    pub kept: PathBuf,
}

/// Why nothing was changed.
#[derive(Debug, Error)]
pub enum ApplyError {
    /// Somebody has changed a file since it was looked at.
    #[error("{0} has changed since it was looked at; nothing was written")]
    Changed(PathBuf),
    /// An e-mail address is needed.
    #[error("{0} needs the e-mail address of the token's owner, and none is known; nothing was written")]
    Email(PathBuf),
    /// There is nothing to undo.
    #[error("there is no migration to undo")]
    Nothing,
    /// A file cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// What is kept of one migration.
#[derive(Debug, Serialize, Deserialize)]
struct Manifest {
    files: Vec<Kept>,
    /// Told to whoever undoes it.
    remember: Vec<String>,
}

/// One file of it: what it held before is in the file named by `number`.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    path: PathBuf,
    number: usize,
    before: String,
    after: String,
    mode: u32,
}

/// Changes files. What was there is kept in a new directory below `directory`, together with what `remember` says.
///
/// # Errors
/// [`ApplyError`]; then every file is as it was.
pub fn apply(
    affected: &[Affected],
    new: &NewSecret,
    directory: &Path,
    remember: &[String],
    now: Timestamp,
) -> Result<Applied, ApplyError> {
    let mut staged = Vec::new();
    for file in affected {
        let edits: Vec<&Edit> = file.finds.iter().filter_map(|find| find.change.edits()).flatten().collect();
        let secret = file.finds.iter().any(|find| find.change.writes_secret());
        if !edits.is_empty() {
            staged.push(Staged::new(file, edits, secret, new)?);
        }
    }
    let kept = keep(&staged, directory, remember, now)?;
    let mut changed: Vec<Staged> = Vec::new();
    for mut staged in staged {
        if let Some(Err(error)) = staged.file.take().map(|file| file.persist(&staged.path)) {
            // All or nothing; and what is not changed needs no way back.
            let back = changed.iter().filter(|done| replace(&done.path, &done.before, done.mode).is_err()).count();
            if back == 0 {
                let _ = fs::remove_dir_all(&kept);
            }
            return Err(ApplyError::File { path: staged.path, source: error.error });
        }
        changed.push(staged);
    }
    Ok(Applied { changed: changed.into_iter().map(|staged| staged.path).collect(), kept })
}

/// Puts back what the last migration has changed. What was done after it goes back first: `before` is given what [`apply`]
/// was told to remember.
///
/// # Errors
/// [`ApplyError`] if there is none, or a file cannot be written.
pub fn undo(directory: &Path, before: impl FnOnce(&[String])) -> Result<Undone, ApplyError> {
    let kept = latest(directory).ok_or(ApplyError::Nothing)?;
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source: io::Error| ApplyError::File { path, source }
    };
    let path = kept.join(MANIFEST);
    let manifest: Manifest = fs::read(&path)
        .and_then(|bytes| serde_json::from_slice(&bytes).map_err(io::Error::from))
        .map_err(file(&path))?;
    before(&manifest.remember);
    let mut undone = Undone { kept: kept.clone(), ..Undone::default() };
    let mut left = Vec::new();
    for Kept { path, number, before, after, mode } in manifest.files {
        let present = fs::read(&path).map(|bytes| hex(&bytes)).unwrap_or_default();
        if present == after {
            let original = kept.join(number.to_string());
            replace(&path, &fs::read(&original).map_err(file(&original))?, mode)?;
        }
        if present == after || present == before {
            undone.restored.push(path);
        } else {
            undone.left.push(path.clone());
            left.push(Kept { path, number, before, after, mode });
        }
    }
    if undone.left.is_empty() {
        fs::remove_dir_all(&kept).map_err(file(&kept))?;
    } else {
        // What was there may still be wanted: by hand, or once the file is as it was after the change.
        let rest = serde_json::to_vec_pretty(&Manifest { files: left, remember: Vec::new() });
        let rest = rest.map_err(|error| file(&path)(error.into()))?;
        let mut new = NamedTempFile::new_in(&kept).map_err(file(&kept))?;
        new.write_all(&rest).and_then(|()| new.as_file().sync_all()).map_err(file(&path))?;
        new.persist(&path).map_err(|error| file(&path)(error.error))?;
    }
    Ok(undone)
}

/// A file that is written and has not taken the old one's place yet.
struct Staged {
    path: PathBuf,
    before: Vec<u8>,
    mode: u32,
    after: String,
    file: Option<NamedTempFile>,
}

impl Staged {
    fn new(affected: &Affected, mut edits: Vec<&Edit>, secret: bool, new: &NewSecret) -> Result<Self, ApplyError> {
        let path = affected.path.clone();
        let unreadable = |source| ApplyError::File { path: path.clone(), source };
        let before = fs::read(&path).map_err(unreadable)?;
        if digest(&SHA256, &before).as_ref() != affected.digest {
            return Err(ApplyError::Changed(path));
        }
        edits.sort_by_key(|edit| edit.range.start);
        let (mut after, mut at) = (Vec::new(), 0);
        for edit in edits {
            after.extend_from_slice(before.get(at..edit.range.start).ok_or_else(|| ApplyError::Changed(path.clone()))?);
            for piece in &edit.with {
                let written = piece.written(new).ok_or_else(|| ApplyError::Email(path.clone()))?;
                after.extend_from_slice(written.expose_secret().as_bytes());
            }
            at = edit.range.end;
        }
        after.extend_from_slice(before.get(at..).unwrap_or_default());
        let unwritable = |source| ApplyError::File { path: path.clone(), source };
        let mode = fs::metadata(&path).map_err(unwritable)?.mode();
        // What holds a secret is not for everybody.
        let file = beside(&path, &after, if secret { mode & !0o007 } else { mode }).map_err(unwritable)?;
        Ok(Self { path, before, mode, after: hex(&after), file: Some(file) })
    }
}

impl Piece {
    fn written(&self, new: &NewSecret) -> Option<SecretString> {
        let email = new.email.as_deref();
        Some(match self {
            Self::Text(text) => text.clone().into(),
            Self::Name => new.name.clone().into(),
            Self::NameInAddress => percent_encoded(&new.name).into(),
            Self::Secret => new.secret.clone(),
            Self::SecretInAddress => percent_encoded(new.secret.expose_secret()).into(),
            Self::Email => email?.to_owned().into(),
            Self::EmailInAddress => percent_encoded(email?).into(),
        })
    }
}

/// Keeps what the files hold now, for [`undo`].
fn keep(staged: &[Staged], directory: &Path, remember: &[String], now: Timestamp) -> Result<PathBuf, ApplyError> {
    let kept = directory.join(now.0.to_string());
    let file = |path: PathBuf| move |source| ApplyError::File { path, source };
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&kept).map_err(file(kept.clone()))?;
    let write = |name: &str, bytes: &[u8]| {
        let path = kept.join(name);
        let written = File::options().write(true).create_new(true).mode(0o600).open(&path).and_then(|mut file| {
            file.write_all(bytes)?;
            file.sync_all()
        });
        written.map_err(file(path))
    };
    let mut files = Vec::new();
    for (number, staged) in staged.iter().enumerate() {
        write(&number.to_string(), &staged.before)?;
        let (path, after) = (staged.path.clone(), staged.after.clone());
        files.push(Kept { path, number, before: hex(&staged.before), after, mode: staged.mode });
    }
    let manifest = serde_json::to_vec_pretty(&Manifest { files, remember: remember.to_vec() });
    write(MANIFEST, &manifest.map_err(|error| file(kept.clone())(error.into()))?)?;
    Ok(kept)
}

/// The last migration that was not undone.
fn latest(directory: &Path) -> Option<PathBuf> {
    let entries = fs::read_dir(directory).ok()?.flatten();
    let number = |path: &Path| path.file_name()?.to_str()?.parse::<i64>().ok();
    entries.map(|entry| entry.path()).filter(|path| path.join(MANIFEST).is_file()).max_by_key(|path| number(path))
}

/// Writes a file's new content beside it, with its owner and group.
fn beside(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let before = fs::metadata(path)?;
    let mut file = tempfile::Builder::new().prefix(".doorward-").tempfile_in(directory)?;
    file.write_all(bytes)?;
    let made = file.as_file().metadata()?;
    if (made.uid(), made.gid()) != (before.uid(), before.gid()) {
        fchown(file.as_file(), Some(before.uid()), Some(before.gid()))?;
    }
    file.as_file().set_permissions(fs::Permissions::from_mode(mode & 0o7777))?;
    file.as_file().sync_all()?;
    Ok(file)
}

fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<(), ApplyError> {
    let written = beside(path, bytes, mode).and_then(|file| file.persist(path).map(drop).map_err(|error| error.error));
    written.map_err(|source| ApplyError::File { path: path.to_owned(), source })
}

fn hex(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

const MANIFEST: &str = "manifest.json";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::migrate::{Hosts, survey};

    const NOW: Timestamp = Timestamp::utc(2026, 11, 22);
    const OLD: &str = "ATBBabcdefghijklmnopqrstuvwx0123ABCD";

    fn new() -> NewSecret {
        let name = "x-bitbucket-api-token-auth".to_owned();
        NewSecret { secret: "ATATT=new".into(), name, email: Some("ada@example.org".into()) }
    }

    fn look(directory: &Path) -> Vec<Affected> {
        survey(&[directory.to_owned()], &[], &Hosts::bitbucket_cloud(), NOW, &|_| ()).affected
    }

    #[test]
    fn all_files_are_changed_keep_their_modes_and_come_back_byte_for_byte() {
        let scratch = tempfile::tempdir().expect("a directory");
        let (work, kept) = (scratch.path().join("work"), scratch.path().join("kept"));
        fs::create_dir_all(work.join("site/.git/modules/lib")).expect("made");
        let files = [
            ("site/.git/config", format!("[remote \"origin\"]\r\n\turl = https://ada:{OLD}@bitbucket.org/a/b.git\r\n")),
            ("site/.git/modules/lib/config", format!("url = https://ada:{OLD}@bitbucket.org/a/lib\n")),
            ("site/.netrc", format!("machine api.bitbucket.org login ada password {OLD}")),
            ("site/deploy.sh", format!("git clone https://ada:{OLD}@bitbucket.org/a/b\n")),
        ];
        fs::write(work.join("site/.git/modules/lib/HEAD"), "ref: refs/heads/main\n").expect("written");
        for (name, text) in &files {
            fs::write(work.join(name), text).expect("written");
        }
        fs::set_permissions(work.join("site/deploy.sh"), fs::Permissions::from_mode(0o755)).expect("set");
        fs::set_permissions(work.join("site/.netrc"), fs::Permissions::from_mode(0o644)).expect("set");
        let affected = look(&work);
        assert_eq!(affected.len(), 4, "{affected:?}");
        let applied = apply(&affected, &new(), &kept, &["setup".to_owned()], NOW).expect("applied");
        assert_eq!(applied.changed.len(), 4);
        let read = |name: &str| fs::read_to_string(work.join(name)).expect("there");
        assert_eq!(read("site/.git/config"), "[remote \"origin\"]\r\n\turl = https://bitbucket.org/a/b.git\r\n");
        assert_eq!(read("site/.netrc"), "machine api.bitbucket.org login ada@example.org password ATATT=new");
        assert!(look(&work).is_empty());
        let secret = fs::metadata(work.join("site/.netrc")).expect("there").permissions().mode();
        assert_eq!(secret & 0o777, 0o640, "what holds the new token is not for everybody");
        let mode = fs::metadata(work.join("site/deploy.sh")).expect("there").permissions().mode();
        assert_eq!(mode & 0o777, 0o755);
        let undone = undo(&kept, |remembered| assert_eq!(remembered, ["setup"])).expect("undone");
        assert_eq!((undone.restored.len(), undone.left.len()), (4, 0));
        assert_eq!(fs::metadata(work.join("site/.netrc")).expect("there").permissions().mode() & 0o777, 0o644);
        for (name, text) in &files {
            assert_eq!(read(name), *text);
        }
        assert!(matches!(undo(&kept, |_| ()), Err(ApplyError::Nothing)));
        assert_eq!(fs::read_dir(&kept).expect("there").count(), 0, "what was kept is gone");
    }

    #[test]
    fn a_file_that_changes_meanwhile_stops_all_and_one_that_changes_afterwards_is_left_alone() {
        let scratch = tempfile::tempdir().expect("a directory");
        let (work, kept) = (scratch.path().join("work"), scratch.path().join("kept"));
        fs::create_dir_all(&work).expect("made");
        let text = format!("machine bitbucket.org login ada password {OLD}\n");
        let (one, other) = (work.join(".netrc"), work.join("a.env"));
        fs::write(&one, &text).expect("written");
        fs::write(&other, format!("P={OLD}\n")).expect("written");
        let affected = look(&work);
        fs::write(&other, format!("P={OLD}\nQ=1\n")).expect("written");
        assert!(matches!(apply(&affected, &new(), &kept, &[], NOW), Err(ApplyError::Changed(_))));
        assert_eq!(fs::read_to_string(&one).expect("there"), text);
        assert_eq!(fs::read_dir(&work).expect("there").count(), 2, "nothing is left beside the files");
        apply(&look(&work), &new(), &kept, &[], NOW).expect("applied");
        fs::write(&one, "mine\n").expect("written");
        let undone = undo(&kept, |_| ()).expect("undone");
        assert_eq!((undone.restored, undone.left), (vec![other], vec![one.clone()]));
        // Once it is put right, or to be told again, it can be asked for again.
        assert_eq!(undo(&kept, |_| ()).expect("undone").left, std::slice::from_ref(&one));
        assert_eq!(fs::read_to_string(&one).expect("there"), "mine\n");
    }

    #[test]
    fn what_needs_an_e_mail_address_is_not_written_without_one() {
        let scratch = tempfile::tempdir().expect("a directory");
        fs::write(scratch.path().join(".netrc"), format!("machine api.bitbucket.org login ada password {OLD}"))
            .expect("written");
        let new = NewSecret { email: None, ..new() };
        let result = apply(&look(scratch.path()), &new, &scratch.path().join("kept"), &[], NOW);
        assert!(matches!(result, Err(ApplyError::Email(_))));
    }
}
