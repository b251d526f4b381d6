//! A repository: files with what is written about them, history, branches and tags. Enough to find one's way.

use axum::body::Body;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response, StatusCode};
use doorward_git::{Commit, Comparison, Entry, EntryKind, Output, RefKind};
use doorward_pages::{
    CommitLine, CommitPage, CommitsPage, EntryLine, FilePage, RefLine, RefsPage, RepositoryHead, SourcePage,
    StatusLine, render_markdown,
};
use doorward_rules::{Action, OwnFault, Principal};
use doorward_wire::{ObjectId, percent_encoded};
use futures_util::StreamExt;

use super::server::size;
use super::visit::{Visit, html};
use crate::refusal::{Refusal, shown};
use crate::rest::call::{Opened, Reply};
use crate::rest::page::is_path;
use crate::rest::parts::Parts;

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;
type Four = Parts<(String, String, String, String)>;

/// `GET /{workspace}/{repository}`: the top of the main branch.
pub(super) async fn top(visit: Visit, Parts((workspace, repository)): Two) -> Response<Body> {
    open(&visit, (&workspace, &repository), async |opened| {
        let branch = visit.call.app.repositories.main_branch(&opened.granted.permit).await?;
        match branch {
            Some(branch) if opened.contents.commit_id(&branch).await?.is_some() => {
                show_path(&visit, opened, &branch, "").await
            }
            // The main branch may not be there yet while others are.
            _ => match opened.contents.refs(&[RefKind::Branch]).await?.into_iter().next() {
                Some(other) => show_path(&visit, opened, &other.name, "").await,
                None => show_empty(&visit, &opened).await,
            },
        }
    })
    .await
}

/// `GET …/src/{revision}/`.
pub(super) async fn root(visit: Visit, Parts((workspace, repository, revision)): Three) -> Response<Body> {
    open(&visit, (&workspace, &repository), async |opened| show_path(&visit, opened, &revision, "").await).await
}

/// `GET …/src/{revision}/{path}`: a directory or a file.
pub(super) async fn path(visit: Visit, Parts((workspace, repository, revision, path)): Four) -> Response<Body> {
    open(&visit, (&workspace, &repository), async |opened| show_path(&visit, opened, &revision, &path).await).await
}

/// `GET …/raw/{revision}/{path}`: a file's bytes. Somebody else wrote them: a browser is to show them as text, or keep them.
pub(super) async fn raw(visit: Visit, Parts((workspace, repository, revision, path)): Four) -> Response<Body> {
    open(&visit, (&workspace, &repository), async |opened| {
        let commit = opened.commit(&revision).await?;
        let path = path.trim_matches('/');
        let entry = opened.contents.entry(&commit, path).await?.ok_or_else(|| missing(path))?;
        if matches!(entry.kind, EntryKind::Directory | EntryKind::Submodule) {
            return Err(missing(path));
        }
        let (first, output) = beginning(opened.contents.file(&entry.id).await?).await?;
        let is_text = is_text(&first);
        let mut response =
            Response::new(Body::from_stream(futures_util::stream::iter([Ok(bytes::Bytes::from(first))]).chain(output)));
        let headers = response.headers_mut();
        let media_type = if is_text { "text/plain; charset=utf-8" } else { "application/octet-stream" };
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
        headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static("default-src 'none'; sandbox"));
        if !is_text {
            headers.insert(CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
        }
        Ok(response)
    })
    .await
}

/// `GET …/commits?at=…&path=…`: the history of a branch, or of a path in it.
pub(super) async fn commits(visit: Visit, Parts((workspace, repository)): Two) -> Response<Body> {
    open(&visit, (&workspace, &repository), async |opened| {
        let main = visit.call.app.repositories.main_branch(&opened.granted.permit).await?.unwrap_or_default();
        let revision = visit.call.query.last("at").map_or(main, str::to_owned);
        let path = visit.call.query.last("path").unwrap_or_default().trim_matches('/').to_owned();
        if !is_path(&path) {
            return Err(Refusal::bad_parameter("path", "it is no path within a repository", "begin at its top"));
        }
        let page =
            visit.call.query.last("page").and_then(|page| page.parse::<usize>().ok()).unwrap_or(1).clamp(1, 100_000);
        // A repository with nothing in it has no history, which is nothing wrong.
        let found = match opened.contents.commit_id(&revision).await? {
            None if visit.call.query.last("at").is_none() => Vec::new(),
            None => vec![opened.commit(&revision).await?],
            Some(id) => vec![id],
        };
        let within = Some(path.as_str()).filter(|path| !path.is_empty());
        let commits = match found.is_empty() {
            true => Vec::new(),
            false => opened.contents.commits(&found, &[], within, (page - 1) * COMMITS, COMMITS + 1).await?,
        };
        let more = commits.len() > COMMITS;
        let older = more.then(|| {
            let (at, path) = (percent_encoded(&revision), percent_encoded(&path));
            format!("/{}/commits?at={at}&path={path}&page={}", opened.name, page + 1)
        });
        let head = head(&visit, &opened, "commits").await?;
        let page = CommitsPage {
            frame: visit.frame(&opened.granted, format!("Commits of {}", opened.name), "repositories"),
            head,
            revision,
            path,
            commits: commits.iter().take(COMMITS).map(commit_line).collect(),
            older,
        };
        html(&page)
    })
    .await
}

/// `GET …/commits/{revision}`: one commit, with its changes.
pub(super) async fn commit(visit: Visit, Parts((workspace, repository, revision)): Three) -> Response<Body> {
    open(&visit, (&workspace, &repository), async |opened| {
        let id = opened.commit(&revision).await?;
        let found = opened.contents.commits_of(std::slice::from_ref(&id)).await?.into_iter().next();
        let gone = || Refusal::not_there("commit_not_found", "there is no such commit", "look at the list of commits");
        let found = found.ok_or_else(gone)?;
        let head = head(&visit, &opened, "commits").await?;
        let frame = visit.frame(&opened.granted, title(&found.message), "repositories");
        let statuses = opened.granted.store.statuses(opened.granted.repository_id()?, id.as_str()).await?;
        let status = |status: doorward_store::CommitStatus| StatusLine {
            state: status.state,
            name: status.name,
            description: status.description,
            url: status.url,
        };
        let to_first_parent =
            Comparison { to: id, from: None, context: 3, paths: Vec::new(), ignore_whitespace: false };
        let (diff, cut) = bounded(opened.contents.diff(&to_first_parent).await?, DIFF).await?;
        let (diff, more) = text_lines(&diff, LINES);
        let message = found.message.split_once('\n').map_or("", |(_, rest)| rest.trim()).to_owned();
        html(&CommitPage {
            frame,
            head,
            commit: commit_line(&found),
            message,
            parents: found.parents.iter().map(ToString::to_string).collect(),
            statuses: statuses.into_iter().map(status).collect(),
            diff,
            cut: cut || more,
        })
    })
    .await
}

/// `GET …/branches`.
pub(super) async fn branches(visit: Visit, Parts((workspace, repository)): Two) -> Response<Body> {
    refs(&visit, (&workspace, &repository), RefKind::Branch, "branches").await
}

/// `GET …/tags`.
pub(super) async fn tags(visit: Visit, Parts((workspace, repository)): Two) -> Response<Body> {
    refs(&visit, (&workspace, &repository), RefKind::Tag, "tags").await
}

async fn refs(visit: &Visit, place: (&str, &str), kind: RefKind, tab: &'static str) -> Response<Body> {
    open(visit, place, async |opened| {
        let query = visit.call.query.last("q").unwrap_or_default().trim().to_owned();
        let main = visit.call.app.repositories.main_branch(&opened.granted.permit).await?;
        let mut found = opened.contents.refs(&[kind]).await?;
        found.retain(|one| one.name.contains(&query));
        let cut = found.len() > REFS;
        let line = |one: doorward_git::Ref| RefLine {
            href: format!("/{}/src/{}/", opened.name, percent_encoded(&one.name)),
            short: one.commit.map(|id| short(&id)).unwrap_or_default(),
            main: kind == RefKind::Branch && main.as_deref() == Some(one.name.as_str()),
            name: one.name,
        };
        let refs = found.into_iter().take(REFS).map(line).collect();
        let frame = visit.frame(&opened.granted, format!("{tab} of {}", opened.name), "repositories");
        html(&RefsPage { frame, head: head(visit, &opened, tab).await?, query, refs, cut })
    })
    .await
}

async fn open(visit: &Visit, place: (&str, &str), work: impl AsyncFnOnce(Opened) -> Reply) -> Response<Body> {
    visit.call.open(Action::Fetch, place, work).await
}

async fn show_path(visit: &Visit, opened: Opened, revision: &str, path: &str) -> Reply {
    let (commit, path) = (opened.commit(revision).await?, path.trim_matches('/'));
    let revision = revision.trim_end_matches('/');
    if !is_path(path) {
        return Err(missing(path));
    }
    let links = Links { base: format!("/{}", opened.name), revision: percent_encoded(revision).to_string() };
    if path.is_empty() {
        return show_directory(visit, opened, &commit, (revision, path), &links).await;
    }
    let entry = opened.contents.entry(&commit, path).await?.ok_or_else(|| missing(path))?;
    match entry.kind {
        EntryKind::Directory => show_directory(visit, opened, &commit, (revision, path), &links).await,
        _ => show_file(visit, opened, entry, revision, &links).await,
    }
}

async fn show_directory(
    visit: &Visit,
    opened: Opened,
    commit: &ObjectId,
    (revision, path): (&str, &str),
    links: &Links,
) -> Reply {
    let mut entries = opened.contents.entries(commit, path, 1).await?;
    entries.sort_by_key(|entry| entry.kind != EntryKind::Directory);
    let cut = entries.len() > ENTRIES;
    let about = entries.iter().find(|entry| {
        let name = name_of(&entry.path).to_ascii_lowercase();
        matches!(entry.kind, EntryKind::File)
            && ["readme.md", "readme.markdown", "readme", "readme.txt"].contains(&name.as_str())
    });
    let about = about.cloned();
    let lines = entries.iter().take(ENTRIES).map(|entry| links.line(entry)).collect();
    let head = head(visit, &opened, "src").await?;
    let (clone_url, clone_hint) = clone(visit, &opened);
    let frame = visit.frame(&opened.granted, opened.name.to_string(), "repositories");
    let readme = match about.filter(|entry| entry.size.is_some_and(|size| size <= README)) {
        None => None,
        Some(entry) => {
            let (text, _) = bounded(opened.contents.file(&entry.id).await?, README).await?;
            let text = String::from_utf8_lossy(&text).into_owned();
            Some((name_of(&entry.path).to_owned(), links.prose(&entry.path, &text)))
        }
    };
    html(&SourcePage {
        frame,
        head,
        clone_url,
        clone_hint,
        revision: Some(revision.to_owned()),
        crumbs: links.crumbs(path),
        entries: lines,
        cut,
        readme,
    })
}

async fn show_file(visit: &Visit, opened: Opened, entry: Entry, revision: &str, links: &Links) -> Reply {
    let head = head(visit, &opened, "src").await?;
    let frame = visit.frame(&opened.granted, name_of(&entry.path).to_owned(), "repositories");
    let bytes = entry.size.unwrap_or_default();
    let (mut prose, mut lines, mut instead) = (None, None, String::new());
    if entry.kind == EntryKind::Submodule {
        instead = format!("It is the commit {} of another repository.", entry.id);
    } else if bytes > FILE {
        instead = format!("It has {}, which is too much to be shown here.", size(bytes));
    } else {
        let (content, _) = bounded(opened.contents.file(&entry.id).await?, FILE).await?;
        let plain = visit.call.query.last("plain").is_some();
        if !is_text(&content) {
            instead = "It is no text.".into();
        } else if is_markdown(&entry.path) && !plain {
            prose = Some(links.prose(&entry.path, &String::from_utf8_lossy(&content)));
        } else {
            let (text, more) = text_lines(&content, LINES);
            lines = Some(text);
            if more {
                lines = None;
                instead = "It has too many lines to be shown here.".into();
            }
        }
    }
    html(&FilePage {
        frame,
        head,
        revision: revision.to_owned(),
        crumbs: links.crumbs(&entry.path),
        size: size(bytes),
        raw: links.to("raw", &entry.path),
        history: format!("{}/commits?at={}&path={}", links.base, links.revision, percent_encoded(&entry.path)),
        prose,
        lines,
        instead,
    })
}

async fn show_empty(visit: &Visit, opened: &Opened) -> Reply {
    let (clone_url, clone_hint) = clone(visit, opened);
    html(&SourcePage {
        frame: visit.frame(&opened.granted, opened.name.to_string(), "repositories"),
        head: head(visit, opened, "src").await?,
        clone_url,
        clone_hint,
        revision: None,
        crumbs: Vec::new(),
        entries: Vec::new(),
        cut: false,
        readme: None,
    })
}

async fn head(visit: &Visit, opened: &Opened, tab: &'static str) -> Result<RepositoryHead, Refusal> {
    let (repository, workspace) = opened.granted.repository(&visit.call).await?;
    Ok(RepositoryHead {
        workspace: workspace.slug.to_string(),
        slug: repository.name.slug.to_string(),
        description: repository.description,
        public: repository.public,
        tab,
    })
}

/// The address to clone from, with the user name that goes with the viewer's tokens, and what to do about the password.
fn clone(visit: &Visit, opened: &Opened) -> (String, String) {
    let base = visit.call.base();
    let (scheme, host) = base.split_once("://").unwrap_or(("https", &base));
    match opened.granted.permit.principal() {
        Principal::Anyone => {
            (format!("{base}/{}.git", opened.name), "Anybody may clone it, without a password.".into())
        }
        _ => (
            format!("{scheme}://x-bitbucket-api-token-auth@{host}/{}.git", opened.name),
            "Where git asks for a password, paste an API token: not the password of these pages.".into(),
        ),
    }
}

/// Addresses of what is in a revision.
struct Links {
    base: String,
    revision: String,
}

impl Links {
    fn to(&self, what: &str, path: &str) -> String {
        format!("{}/{what}/{}/{}", self.base, self.revision, encoded_path(path))
    }

    fn line(&self, entry: &Entry) -> EntryLine {
        let note = match entry.kind {
            EntryKind::Directory | EntryKind::Executable => String::new(),
            EntryKind::File => entry.size.map(size).unwrap_or_default(),
            EntryKind::Link => "symbolic link".into(),
            EntryKind::Submodule => format!("commit {} of another repository", short(&entry.id)),
        };
        EntryLine {
            name: name_of(&entry.path).to_owned(),
            href: (entry.kind != EntryKind::Submodule).then(|| self.to("src", &entry.path)),
            directory: entry.kind == EntryKind::Directory,
            note,
        }
    }

    fn crumbs(&self, path: &str) -> Vec<(String, String)> {
        let mut crumbs = vec![("top".to_owned(), self.to("src", ""))];
        let mut end = 0;
        for part in path.split('/').filter(|part| !part.is_empty()) {
            end += part.len();
            crumbs.push((part.to_owned(), self.to("src", &path[..end])));
            end += 1;
        }
        crumbs
    }

    /// Markdown as HTML, anything else as it is.
    fn prose(&self, path: &str, text: &str) -> String {
        let directory = path.rsplit_once('/').map_or("", |(directory, _)| directory);
        let below = |what: &str| self.to(what, directory).trim_end_matches('/').to_owned();
        if is_markdown(path) {
            return render_markdown(text, &below("src"), &below("raw"));
        }
        // As a block of code, which it cannot get out of: there is a longer fence around it than any in it.
        let longest = text.split(|letter| letter != '`').map(str::len).max().unwrap_or(0).max(2) + 1;
        let fence = "`".repeat(longest);
        render_markdown(&format!("{fence}\n{text}\n{fence}\n"), "", "")
    }
}

fn encoded_path(path: &str) -> String {
    path.split('/').map(|part| percent_encoded(part).to_string()).collect::<Vec<_>>().join("/")
}

fn commit_line(commit: &Commit) -> CommitLine {
    CommitLine {
        short: short(&commit.id),
        id: commit.id.to_string(),
        title: title(&commit.message),
        author: commit.author.0.clone(),
        at: commit.date.clone(),
    }
}

fn title(message: &str) -> String {
    let first = message.lines().next().unwrap_or_default().trim();
    if first.is_empty() { "(no message)".into() } else { first.chars().take(200).collect() }
}

fn short(id: &ObjectId) -> String {
    id.to_string().chars().take(12).collect()
}

fn name_of(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn is_markdown(path: &str) -> bool {
    let name = name_of(path).to_ascii_lowercase();
    [".md", ".markdown"].iter().any(|ending| name.ends_with(ending))
}

/// Whether bytes are text: those of no other sort of file are without a NUL for long.
fn is_text(bytes: &[u8]) -> bool {
    !bytes.iter().take(8000).any(|byte| *byte == 0)
}

/// The lines of a text, as many as may be shown; whether there are more.
fn text_lines(bytes: &[u8], most: usize) -> (Vec<String>, bool) {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = text.lines().map(|line| line.chars().take(LONGEST_LINE).collect());
    let shown: Vec<String> = lines.by_ref().take(most).collect();
    (shown, lines.next().is_some())
}

/// What git writes, up to a bound; whether there was more.
async fn bounded(mut output: Output, most: u64) -> Result<(Vec<u8>, bool), Refusal> {
    let mut bytes = Vec::new();
    while let Some(piece) = output.next().await {
        let piece = piece.map_err(|error| broken_off(&error))?;
        bytes.extend_from_slice(&piece);
        if bytes.len() as u64 > most {
            bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
            return Ok((bytes, true));
        }
    }
    Ok((bytes, false))
}

/// The first piece of what git writes, and the rest.
async fn beginning(mut output: Output) -> Result<(Vec<u8>, Output), Refusal> {
    match output.next().await {
        None => Ok((Vec::new(), output)),
        Some(Ok(piece)) => Ok((piece.to_vec(), output)),
        Some(Err(error)) => Err(broken_off(&error)),
    }
}

fn broken_off(error: &std::io::Error) -> Refusal {
    tracing::error!(%error, "git cannot answer");
    Refusal::unavailable(OwnFault::Git)
}

fn missing(path: &str) -> Refusal {
    let sentence = format!("there is no file or directory `{}` in this revision", shown(path));
    Refusal::new(StatusCode::NOT_FOUND, "path_not_found", sentence, "look at the top, or at another branch")
}

/// How many are on a page.
const COMMITS: usize = 50;
const REFS: usize = 500;
const ENTRIES: usize = 1000;
/// Bytes that are shown of a file, a README and a diff; and lines.
const FILE: u64 = 512 * 1024;
const README: u64 = 128 * 1024;
const DIFF: u64 = 512 * 1024;
const LINES: usize = 5000;
const LONGEST_LINE: usize = 2000;
