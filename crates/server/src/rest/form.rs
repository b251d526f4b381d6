//! The form of an upload: files, which are kept apart until all is there, and what the commit is to be.

use std::collections::HashSet;
use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};

use axum::http::StatusCode;
use bytes::Bytes;
use doorward_git::{FileMode, Upload};
use doorward_wire::percent_decoded_bytes;
use futures_core::Stream;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncSeekExt, AsyncWriteExt};
use tokio_util::io::ReaderStream;

use super::body::broken;
use super::page::Query;
use crate::refusal::{Refusal, shown};
use crate::request_body::RequestBody;

/// A form that was read to its end.
pub(super) struct Form {
    pub(super) changes: Changes,
    /// Of everything that was sent.
    pub(super) digest: [u8; 32],
    files: Vec<Sent>,
    spool: Spool,
}

/// A file that came, and where in the spool it is.
struct Sent {
    path: String,
    mode: FileMode,
    offset: u64,
    length: u64,
}

/// What the fields say that are no files.
#[derive(Debug, Default)]
pub(super) struct Changes {
    message: Option<String>,
    author: Option<String>,
    /// The commit that it is to be on top of.
    pub(super) parent: Option<String>,
    /// The branch.
    pub(super) branch: Option<String>,
    /// Paths that came with a content.
    sent: Vec<String>,
    /// Paths that were named: those of them that did not come are to go.
    listed: Vec<String>,
}

/// Reads one field after the other.
struct Reader {
    most: usize,
    changes: Changes,
    digest: Sha256,
    files: Vec<Sent>,
    spool: Spool,
}

impl Form {
    /// Reads a form, of which the files go into a file without a name in `directory` if they are more than a little.
    ///
    /// # Errors
    /// 400 that names what is wrong with which field, 413 for too many files or bytes.
    pub(super) async fn read(
        media_type: &str,
        body: RequestBody,
        most: usize,
        directory: &Path,
    ) -> Result<Self, Refusal> {
        let spool = Spool::new(directory);
        let (changes, digest, files) = (Changes::default(), Sha256::new(), Vec::new());
        let mut reader = Reader { most, changes, digest, files, spool };
        if media_type.to_ascii_lowercase().starts_with("multipart/") {
            reader.multipart(media_type, body).await?;
        } else {
            reader.pairs(body).await?;
        }
        let Reader { changes, digest, files, spool, .. } = reader;
        changes.check()?;
        Ok(Self { changes, digest: digest.finalize().into(), files, spool })
    }

    /// Takes from the address what the body does not say, and counts it as said.
    ///
    /// # Errors
    /// 400 if `files` is there: those belong into the body.
    pub(super) fn or_from(&mut self, query: &Query) -> Result<(), Refusal> {
        self.changes.or_from(query)?;
        let Changes { message, author, parent, branch, .. } = &self.changes;
        let mut digest = Sha256::new_with_prefix(self.digest);
        for said in [message, author, parent, branch] {
            digest.update([u8::from(said.is_some())]);
            digest.update(said.as_deref().unwrap_or_default());
            digest.update([0]);
        }
        self.digest = digest.finalize().into();
        Ok(())
    }

    /// Hands everything to git.
    ///
    /// # Errors
    /// Trouble with git, or with reading what was spooled.
    pub(super) async fn send(mut self, upload: &mut Upload) -> Result<(), Refusal> {
        for path in self.changes.deleted() {
            upload.delete(path);
        }
        for Sent { path, mode, offset, length } in &self.files {
            let content = self.spool.read(*offset, *length).await.map_err(|error| trouble(&error))?;
            upload.file(path, *mode, *length, content).await?;
        }
        Ok(())
    }
}

impl Reader {
    async fn multipart(&mut self, media_type: &str, body: RequestBody) -> Result<(), Refusal> {
        let boundary = multer::parse_boundary(media_type).map_err(|error| unreadable(&error))?;
        let (stream, allowance) = Metered::new(ReaderStream::new(body));
        let mut parts = multer::Multipart::new(stream, boundary);
        let mut count = 0;
        loop {
            // What is before a part and at its head is looked for in memory, so there must not be much of it.
            allowance.store(LONGEST_HEAD, Ordering::Relaxed);
            let Some(mut part) = parts.next_field().await.map_err(|error| unreadable(&error))? else { break };
            allowance.store(usize::MAX, Ordering::Relaxed);
            count += 1;
            if count > self.most * 2 + 100 {
                return Err(too_many(self.most));
            }
            let name = part.name().unwrap_or_default().to_owned();
            let is_file = part.file_name().is_some() || !META.contains(&name.as_str());
            if !is_file {
                let mut value = Vec::new();
                while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
                    if value.len() + chunk.len() > LONGEST_FIELD {
                        return Err(too_long(&name));
                    }
                    value.extend_from_slice(&chunk);
                }
                self.meta(&name, value)?;
                continue;
            }
            let disposition = part.headers().get("content-disposition").map(|value| value.as_bytes().to_vec());
            let attributes = part.headers().get("x-attributes").map(|value| value.as_bytes().to_vec());
            // curl can give a part a header of its own, but its `Content-Disposition` no parameter.
            let mode = match attributes {
                Some(words) => mode_of(&String::from_utf8_lossy(&words))?,
                None => mode(&String::from_utf8_lossy(&disposition.unwrap_or_default()))?,
            };
            let path = self.path(&name)?;
            self.begin();
            while let Some(chunk) = part.chunk().await.map_err(|error| unreadable(&error))? {
                self.spool.take(&chunk).await.map_err(|error| trouble(&error))?;
            }
            self.end(path, mode)?;
        }
        Ok(())
    }

    async fn pairs(&mut self, body: RequestBody) -> Result<(), Refusal> {
        let mut bytes = Vec::new();
        let mut body = body.take(LONGEST_PAIRS + 1);
        body.read_to_end(&mut bytes).await.map_err(|error| broken(&error))?;
        if bytes.len() as u64 > LONGEST_PAIRS {
            let sentence = format!("a form of this kind may have {LONGEST_PAIRS} bytes");
            let remedy = "send it as multipart/form-data, as `curl -F` does";
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_long", sentence, remedy));
        }
        let Ok(text) = String::from_utf8(bytes) else { return Err(not_utf8("form")) };
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let (name, value) = (decoded(name), decoded(value));
            let Ok(name) = String::from_utf8(name) else { return Err(not_utf8("name of a field")) };
            if META.contains(&name.as_str()) {
                self.meta(&name, value)?;
                continue;
            }
            let path = self.path(&name)?;
            self.begin();
            self.spool.take(&value).await.map_err(|error| trouble(&error))?;
            self.end(path, FileMode::Plain)?;
        }
        Ok(())
    }

    fn meta(&mut self, name: &str, value: Vec<u8>) -> Result<(), Refusal> {
        self.note(name.as_bytes(), &value);
        let Ok(value) = String::from_utf8(value) else { return Err(not_utf8("value of a field")) };
        if value.contains('\0') {
            return Err(Refusal::bad_parameter(known(name), "it has a zero byte in it", "leave that out"));
        }
        let value = Some(value).filter(|value| !value.trim().is_empty());
        let changes = &mut self.changes;
        let once = match name {
            "files" => {
                if let Some(value) = value {
                    let path = self.path(&value)?;
                    self.changes.listed.push(path);
                }
                return Ok(());
            }
            "message" => &mut changes.message,
            "author" => &mut changes.author,
            "parents" => &mut changes.parent,
            _ => &mut changes.branch,
        };
        if value.is_some() && once.is_some() {
            return Err(Refusal::bad_parameter(known(name), "it is there more than once", "send it once"));
        }
        *once = value.map(|value| if name == "message" { value } else { value.trim().to_owned() }).or(once.take());
        Ok(())
    }

    /// Begins a file: what the spool takes from here on is its content.
    fn begin(&mut self) {
        self.spool.digest = Sha256::new();
        self.spool.began = self.spool.length;
    }

    /// Ends it.
    fn end(&mut self, path: String, mode: FileMode) -> Result<(), Refusal> {
        let (offset, length) = (self.spool.began, self.spool.length - self.spool.began);
        if mode == FileMode::Link && length > LONGEST_PATH as u64 {
            return Err(bad_path(&path, "it leads to more than a path may be long"));
        }
        let digest = std::mem::take(&mut self.spool.digest).finalize();
        self.note(path.as_bytes(), &digest);
        self.note(b"mode", format!("{mode:?}").as_bytes());
        self.changes.sent.push(path.clone());
        self.files.push(Sent { path, mode, offset, length });
        Ok(())
    }

    fn note(&mut self, name: &[u8], value: &[u8]) {
        for part in [name, value] {
            self.digest.update((part.len() as u64).to_be_bytes());
            self.digest.update(part);
        }
    }

    /// A path in the repository, if a name is one, and there may be one more.
    fn path(&self, name: &str) -> Result<String, Refusal> {
        if self.changes.sent.len() + self.changes.listed.len() >= self.most {
            return Err(too_many(self.most));
        }
        let path = name.strip_prefix('/').unwrap_or(name);
        check_path(path).map_err(|what| bad_path(path, what))?;
        Ok(path.to_owned())
    }
}

impl Changes {
    /// Takes from the address what the body does not say. Bitbucket Cloud's description has these parameters there.
    ///
    /// # Errors
    /// 400 if `files` is there: those belong into the body.
    fn or_from(&mut self, query: &Query) -> Result<(), Refusal> {
        if query.last("files").is_some() {
            return Err(Refusal::bad_parameter("files", "it is in the address", "send it in the body"));
        }
        for (field, name) in [
            (&mut self.message, "message"),
            (&mut self.author, "author"),
            (&mut self.parent, "parents"),
            (&mut self.branch, "branch"),
        ] {
            let said = query.last(name).filter(|value| !value.trim().is_empty() && !value.contains('\0'));
            if field.is_none() {
                *field = said.map(str::to_owned);
            }
        }
        Ok(())
    }

    /// Whether no file comes and none goes.
    pub(super) fn is_empty(&self) -> bool {
        self.sent.is_empty() && self.listed.is_empty()
    }

    /// That no file is to be where a directory is to be.
    ///
    /// # Errors
    /// 400 that names the file.
    fn check(&self) -> Result<(), Refusal> {
        let sent: HashSet<&str> = self.sent.iter().map(String::as_str).collect();
        let above = |path: &str| path.match_indices('/').map(|(at, _)| at).collect::<Vec<_>>();
        for path in &self.sent {
            if let Some(at) = above(path).into_iter().find(|at| sent.contains(&path[..*at])) {
                return Err(bad_path(&path[..at], "it is a file here, and a directory in another path"));
            }
        }
        Ok(())
    }

    /// The paths that were named and did not come.
    pub(super) fn deleted(&self) -> impl Iterator<Item = &str> {
        let sent: HashSet<&str> = self.sent.iter().map(String::as_str).collect();
        self.listed.iter().map(String::as_str).filter(move |path| !sent.contains(path))
    }

    /// The message, or one that says what happened.
    pub(super) fn message(&self) -> String {
        self.message.clone().unwrap_or_else(|| match self.sent.as_slice() {
            [only] if self.listed.iter().all(|path| path == only) => format!("{only} edited online"),
            _ => "Files edited online".into(),
        })
    }

    /// Name and address of the author, if one was named.
    ///
    /// # Errors
    /// 400 if it is not `Name <address>`.
    pub(super) fn author(&self) -> Result<Option<(String, String)>, Refusal> {
        let Some(author) = &self.author else { return Ok(None) };
        let parts = author.strip_suffix('>').and_then(|rest| rest.split_once('<'));
        let parts = parts.map(|(name, email)| (name.trim().to_owned(), email.trim().to_owned()));
        let plain = |text: &str| !text.is_empty() && text.len() <= 255 && !text.contains(['<', '>', '\n', '\r']);
        match parts.filter(|(name, email)| plain(name) && plain(email) && email.contains('@')) {
            Some(parts) => Ok(Some(parts)),
            None => Err(Refusal::bad_parameter("author", "it is not of the form Name <address>", "write it so")),
        }
    }
}

/// What files brought so far, one after the other: in memory while that is little, else in a file without a name.
struct Spool {
    directory: PathBuf,
    memory: Vec<u8>,
    file: Option<tokio::fs::File>,
    length: u64,
    /// Where the file that comes now begins, and the digest of it.
    began: u64,
    digest: Sha256,
}

impl Spool {
    fn new(directory: &Path) -> Self {
        let (memory, digest) = (Vec::new(), Sha256::new());
        Self { directory: directory.to_path_buf(), memory, file: None, length: 0, began: 0, digest }
    }

    async fn take(&mut self, chunk: &[u8]) -> std::io::Result<()> {
        self.digest.update(chunk);
        self.length += chunk.len() as u64;
        if self.file.is_none() && self.memory.len() + chunk.len() > IN_MEMORY {
            let mut file = tokio::fs::File::from_std(tempfile::tempfile_in(&self.directory)?);
            file.write_all(&std::mem::take(&mut self.memory)).await?;
            self.file = Some(file);
        }
        match &mut self.file {
            Some(file) => file.write_all(chunk).await,
            None => {
                self.memory.extend_from_slice(chunk);
                Ok(())
            }
        }
    }

    /// So many bytes from a place on.
    async fn read(&mut self, offset: u64, length: u64) -> std::io::Result<Box<dyn AsyncRead + Send + Unpin + '_>> {
        Ok(match &mut self.file {
            Some(file) => {
                file.flush().await?;
                file.seek(std::io::SeekFrom::Start(offset)).await?;
                Box::new(file.take(length))
            }
            None => {
                let range = usize::try_from(offset).ok().zip(usize::try_from(offset + length).ok());
                let bytes = range.and_then(|(from, to)| self.memory.get(from..to)).unwrap_or_default();
                Box::new(Cursor::new(bytes))
            }
        })
    }
}

/// A stream of which only so much may come until more is allowed, a piece at a time: whoever reads it takes in each piece before
/// there is another, so that no more than that is held in memory, and what counts as the head of a part is no content.
struct Metered<S> {
    inner: S,
    allowance: Arc<AtomicUsize>,
    /// Whether a piece was just given.
    given: bool,
}

impl<S> Metered<S> {
    /// A stream, and what may still come of it.
    fn new(inner: S) -> (Self, Arc<AtomicUsize>) {
        let allowance = Arc::new(AtomicUsize::new(usize::MAX));
        (Self { inner, allowance: Arc::clone(&allowance), given: false }, allowance)
    }
}

impl<S: Stream<Item = std::io::Result<Bytes>> + Unpin> Stream for Metered<S> {
    type Item = std::io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.given) {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let polled = Pin::new(&mut self.inner).poll_next(context);
        self.given = polled.is_ready();
        if let Poll::Ready(Some(Ok(bytes))) = &polled {
            let left = self.allowance.load(Ordering::Relaxed);
            if left == 0 {
                let error = std::io::Error::new(std::io::ErrorKind::InvalidData, "the head of a part has no end");
                return Poll::Ready(Some(Err(error)));
            }
            self.allowance.store(left.saturating_sub(bytes.len()), Ordering::Relaxed);
        }
        polled
    }
}

/// Why a path can be none in a repository, if so. What git refuses, and what a checkout must not write to on any system: its
/// own directory, in whatever spelling a file system takes for it.
fn check_path(path: &str) -> Result<(), &'static str> {
    if path.is_empty() {
        return Err("it is empty");
    }
    if path.len() > LONGEST_PATH {
        return Err("it is too long");
    }
    if path.split('/').count() > DEEPEST {
        return Err("it is too deep");
    }
    if path.contains('\0') || path.chars().any(|letter| letter == '\u{fffd}') {
        return Err("it is no text in UTF-8");
    }
    for part in path.split('/') {
        if part.is_empty() {
            return Err("it has an empty part");
        }
        if [".", ".."].contains(&part) {
            return Err("it has a part that leads elsewhere");
        }
        if is_git_directory(part) {
            return Err("it has a part that git keeps for itself");
        }
    }
    Ok(())
}

/// Whether a name is `.git` for git, Windows or macOS (git's `verify_path`, which looks for the same).
fn is_git_directory(part: &str) -> bool {
    let visible: String = part.chars().filter(|letter| !is_ignored_by_hfs(*letter)).collect::<String>().to_lowercase();
    // Windows takes a name for the same with dots and spaces after it, with a stream, and by its short form.
    let plain = visible.split(':').next().unwrap_or_default().trim_end_matches(['.', ' ']);
    plain == ".git"
        || plain == "git~1"
        || part.contains('\\') && part.split('\\').any(|part| part.eq_ignore_ascii_case(".git"))
}

/// Letters that macOS's file system passes over in names.
fn is_ignored_by_hfs(letter: char) -> bool {
    matches!(letter, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// What sort of file a part is, from its `x-attributes`, which the provider's documentation writes with a colon.
fn mode(disposition: &str) -> Result<FileMode, Refusal> {
    let attributes = parameters(disposition).into_iter().find(|(name, _)| name.eq_ignore_ascii_case("x-attributes"));
    attributes.map_or(Ok(FileMode::Plain), |(_, value)| mode_of(&value))
}

fn mode_of(words: &str) -> Result<FileMode, Refusal> {
    let words = words.split([',', ' ']).filter(|word| !word.is_empty());
    let mut mode = FileMode::Plain;
    for word in words {
        mode = match word {
            "executable" => FileMode::Executable,
            "link" => FileMode::Link,
            // Told of a file, but nothing that one is made.
            "binary" | "lfs" => mode,
            "subrepository" => {
                let remedy = "push a submodule with git";
                return Err(Refusal::bad_parameter("x-attributes", "submodules cannot be uploaded", remedy));
            }
            _ => {
                let what = "it is neither executable nor link";
                return Err(Refusal::bad_parameter("x-attributes", what, "leave it out for a plain file"));
            }
        };
    }
    Ok(mode)
}

/// The parameters of a header (RFC 9110, section 5.6.6), with `=` or `:` after their names. What is in quotes is no parameter.
fn parameters(header: &str) -> Vec<(String, String)> {
    let (mut parts, mut quoted, mut escaped) = (vec![String::new()], false, false);
    for letter in header.chars() {
        match letter {
            ';' if !quoted => {
                parts.push(String::new());
                continue;
            }
            '"' if !escaped => quoted = !quoted,
            _ => {}
        }
        escaped = letter == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(letter);
        }
    }
    let pair = |part: &String| {
        let (name, value) = part.split_once(['=', ':'])?;
        Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    };
    parts.iter().filter_map(pair).collect()
}

fn decoded(text: &str) -> Vec<u8> {
    percent_decoded_bytes(&text.replace('+', " "))
}

fn known(name: &str) -> &'static str {
    META.iter().find(|known| **known == name).copied().unwrap_or("files")
}

fn bad_path(path: &str, what: &str) -> Refusal {
    let sentence = format!("`{}` can be no path in a repository: {what}", shown(path));
    Refusal::bad_parameter("files", sentence, "name files by their paths from the top, as in docs/index.md")
}

fn not_utf8(what: &str) -> Refusal {
    let sentence = format!("the {what} is no text in UTF-8");
    Refusal::new(StatusCode::BAD_REQUEST, "body_unreadable", sentence, "send files of bytes as multipart/form-data")
}

fn too_many(most: usize) -> Refusal {
    let sentence = format!("an upload may have {most} files");
    let remedy = "upload them in several parts, or push them with git";
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "too_many_files", sentence, remedy)
}

fn too_long(name: &str) -> Refusal {
    let what = format!("it is longer than {LONGEST_FIELD} bytes");
    Refusal::bad_parameter(known(name), what, "make it shorter; files have a `filename`")
}

fn unreadable(error: &multer::Error) -> Refusal {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let broken_off = error.downcast_ref::<std::io::Error>();
        if let Some(error) = broken_off.filter(|error| error.kind() != std::io::ErrorKind::InvalidData) {
            return broken(error);
        }
        cause = error.source();
    }
    let sentence = format!("the form cannot be read: {}", shown(&error.to_string()));
    Refusal::new(StatusCode::BAD_REQUEST, "body_unreadable", sentence, "send it as `curl -F` does; nothing was changed")
}

fn trouble(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "an upload cannot be kept for the time that it takes");
    Refusal::unavailable(doorward_rules::OwnFault::Git)
}

/// Fields that are no files.
const META: &[&str] = &["message", "author", "parents", "files", "branch"];
/// Bytes of one of those.
const LONGEST_FIELD: usize = 64 * 1024;
/// Bytes of a form that is read as a whole.
const LONGEST_PAIRS: u64 = 16 * 1024 * 1024;
/// Bytes of a path.
const LONGEST_PATH: usize = 4096;
/// Directories in directories.
const DEEPEST: usize = 256;
/// Bytes of files that are held in memory.
const IN_MEMORY: usize = 256 * 1024;
/// Bytes before a part and at its head.
const LONGEST_HEAD: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_leads_out_of_a_repository_or_into_gits_own_directory() {
        for good in ["a", "docs/index.md", "ä b/#%?.txt", ".github/x", ".gitignore", "a.git", "...", "git~2"] {
            assert_eq!(check_path(good), Ok(()), "{good}");
        }
        let bad = [
            "",
            "/",
            "a//b",
            "a/",
            "../a",
            "a/..",
            "./a",
            ".git",
            ".git/config",
            "a/.GIT/hooks/x",
            "git~1",
            "GIT~1/x",
            ".g\u{200c}it/x",
            ".git .",
            ".git::$INDEX_ALLOCATION/x",
            "a\\.git\\config",
            "a\0b",
        ];
        for path in bad {
            assert!(check_path(path).is_err(), "{path}");
        }
        assert!(check_path(&"a/".repeat(300)).is_err() && check_path(&"a".repeat(5000)).is_err());
    }

    #[test]
    fn what_sort_of_file_it_is_may_be_written_with_a_colon() {
        let of = |text: &str| mode(text).map_err(|refusal| refusal.code);
        assert_eq!(of("form-data; name=\"a\"; filename=\"a\""), Ok(FileMode::Plain));
        assert_eq!(of("form-data; name=\"a\"; x-attributes:\"executable\""), Ok(FileMode::Executable));
        assert_eq!(of("form-data; name=\"a\"; x-attributes=link; filename=b"), Ok(FileMode::Link));
        assert_eq!(of("form-data; name=\"a\"; x-attributes:\"subrepository\""), Err("bad_parameter"));
        assert_eq!(of("form-data; name=\"a\"; x-attributes:\"magic\""), Err("bad_parameter"));
        let named = "form-data; name=\"x-attributes:link\"; filename=\"a; x-attributes=executable\"";
        assert_eq!(of(named), Ok(FileMode::Plain));
        assert_eq!(of("form-data; name=\"a\\\"; x-attributes=link; \""), Ok(FileMode::Plain));
    }
}
