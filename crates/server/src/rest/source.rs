//! `…/src/{revision}/{path}`: files as they are, and what is in directories.

use axum::body::Body;
use axum::http::header::{
    ACCEPT_RANGES, CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use doorward_git::{Entry, EntryKind};
use doorward_rules::Action;
use doorward_wire::ObjectId;
use serde_json::{Value, json};

use super::call::{Call, Opened};
use super::listing::Listing;
use super::object::{below, commit_link};
use super::parts::Parts;
use super::range::{Wanted, Window, beyond, content_range};
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;
type Four = Parts<(String, String, String, String)>;

/// `GET …/src`: leads to the top of the main branch.
pub(super) async fn main_branch(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let branch = call.app.repositories.main_branch(&opened.granted.permit).await?.unwrap_or_default();
        let id = opened.commit(&branch).await?;
        let query = call.uri.query().map_or(String::new(), |query| format!("?{query}"));
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        if let Ok(location) = HeaderValue::from_str(&format!("{}/src/{id}/{query}", opened.api)) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok(response)
    })
    .await
}

/// `GET …/src/{revision}/`: what is at the top.
pub(super) async fn root(call: Call, Parts((workspace, repository, revision)): Three) -> Response<Body> {
    path(call, Parts((workspace, repository, revision, String::new()))).await
}

/// `GET …/src/{revision}/{path}`: a file's bytes, a directory's entries, or with `format=meta` what either is.
pub(super) async fn path(call: Call, Parts((workspace, repository, revision, path)): Four) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let wanted = Question { call: &call, revision: &revision, path: path.trim_matches('/') };
        match wanted.look(&opened).await? {
            Look::Meta(value) => call.json(value),
            Look::Entries(listing, entries, commit) => {
                let address = format!("{}/src/{commit}/{}", opened.api, below(wanted.path, true));
                let object = |entry: &Entry| entry_object(entry, &commit, &opened.api);
                if !listing.is_plain() {
                    return listing.answer(&call, entries.iter().map(object).collect(), &address);
                }
                let (page, part) = (listing.page(), listing.page().of(entries));
                let values = part.values.iter().map(object).collect();
                call.json(page.answer(part.with(values), &address, &call.query))
            }
            Look::File(entry) if is_known(&call.headers, &entry) => Ok(unchanged(&entry)),
            // What is not asked for is not read.
            Look::File(entry) if call.method == Method::HEAD => Ok(file_response(&entry, Body::empty())),
            Look::File(entry) => {
                let size = entry.size.unwrap_or_default();
                match Wanted::read(&call.headers, size, &etag(&entry)) {
                    Wanted::Whole => {
                        let output = opened.contents.file(&entry.id).await?;
                        Ok(file_response(&entry, Body::from_stream(output)))
                    }
                    Wanted::Part { first, length } => {
                        let output = opened.contents.file(&entry.id).await?;
                        let body = Body::from_stream(Window::new(output, first, length));
                        Ok(part_response(&entry, body, (first, length, size)))
                    }
                    Wanted::Nothing => Err(beyond("file", size)),
                }
            }
        }
    })
    .await
}

/// What is asked about.
struct Question<'a> {
    call: &'a Call,
    revision: &'a str,
    path: &'a str,
}

/// What is there.
enum Look {
    Meta(Value),
    Entries(Listing, Vec<Entry>, ObjectId),
    File(Entry),
}

impl Question<'_> {
    async fn look(&self, opened: &Opened) -> Result<Look, Refusal> {
        let (query, api) = (&self.call.query, opened.api.as_str());
        let listing = Listing::read(self.call, FIELDS)?;
        let depth = match query.last("max_depth") {
            None => 1,
            Some(text) => text.parse().ok().filter(|depth| (1..=DEEPEST).contains(depth)).ok_or_else(|| {
                Refusal::bad_parameter("max_depth", format!("it is not a number from 1 to {DEEPEST}"), "change it")
            })?,
        };
        let commit = opened.commit(self.revision).await?;
        let meta = match query.last("format") {
            None => false,
            Some("meta") => true,
            Some(_) => {
                return Err(Refusal::bad_parameter("format", "it is not `meta`", "leave it out for the content"));
            }
        };
        if !self.path.is_empty() {
            let entry = opened.contents.entry(&commit, self.path).await?.ok_or_else(|| self.missing())?;
            let readable = !matches!(entry.kind, EntryKind::Directory | EntryKind::Submodule);
            if meta || entry.kind == EntryKind::Submodule {
                return Ok(Look::Meta(entry_object(&entry, &commit, api)));
            }
            if readable {
                return Ok(Look::File(entry));
            }
        } else if meta {
            return Ok(Look::Meta(directory_object("", &commit, api)));
        }
        let mut entries = opened.contents.entries(&commit, self.path, depth).await?;
        // Breadth first, as documented.
        entries.sort_by_key(|entry| entry.path.matches('/').count());
        Ok(Look::Entries(listing, entries, commit))
    }

    fn missing(&self) -> Refusal {
        let shown = shown(self.path);
        let sentence = format!("no such file or directory: {shown}");
        Refusal::not_there("path_not_found", sentence, "GET …/src/{revision}/ lists what there is")
    }
}

fn entry_object(entry: &Entry, commit: &ObjectId, api: &str) -> Value {
    if entry.kind == EntryKind::Directory {
        return directory_object(&entry.path, commit, api);
    }
    let href = format!("{api}/src/{commit}/{}", below(&entry.path, false));
    let attributes: &[&str] = match entry.kind {
        EntryKind::Executable => &["executable"],
        EntryKind::Link => &["link"],
        EntryKind::Submodule => &["subrepository"],
        EntryKind::File | EntryKind::Directory => &[],
    };
    json!({
        "type": "commit_file",
        "path": entry.path,
        "escaped_path": below(&entry.path, false),
        "size": entry.size,
        "attributes": attributes,
        "commit": commit_link(commit, api),
        "links": { "self": { "href": href }, "meta": { "href": format!("{href}?format=meta") } },
    })
}

fn directory_object(path: &str, commit: &ObjectId, api: &str) -> Value {
    let href = format!("{api}/src/{commit}/{}", below(path, true));
    json!({
        "type": "commit_directory",
        "path": path,
        "commit": commit_link(commit, api),
        "links": { "self": { "href": href }, "meta": { "href": format!("{href}?format=meta") } },
    })
}

/// The same as long as content and attributes are.
fn etag(entry: &Entry) -> String {
    let kind = match entry.kind {
        EntryKind::Executable => "x",
        EntryKind::Link => "l",
        _ => "f",
    };
    format!("\"{kind}{}\"", entry.id)
}

fn is_known(headers: &HeaderMap, entry: &Entry) -> bool {
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let etag = etag(entry);
    known.split(',').map(|one| one.trim().trim_start_matches("W/")).any(|one| one == "*" || one == etag)
}

fn unchanged(entry: &Entry) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    if let Ok(etag) = HeaderValue::from_str(&etag(entry)) {
        response.headers_mut().insert(ETAG, etag);
    }
    response
}

/// A file's bytes. Somebody else wrote them: no browser is to show them, run them, or guess what they are.
fn file_response(entry: &Entry, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    let name = entry.path.rsplit('/').next().unwrap_or_default();
    let disposition = format!("attachment; filename*=UTF-8''{}", doorward_wire::percent_encoded(name));
    let mut set = |header: HeaderName, value: &str| {
        if let Ok(value) = HeaderValue::from_str(value) {
            response.headers_mut().insert(header, value);
        }
    };
    set(CONTENT_TYPE, media_type(name));
    set(CONTENT_DISPOSITION, &disposition);
    set(ETAG, &etag(entry));
    set(HeaderName::from_static("x-content-type-options"), "nosniff");
    set(ACCEPT_RANGES, "bytes");
    if let Some(size) = entry.size {
        set(CONTENT_LENGTH, &size.to_string());
    }
    response
}

/// Some of a file's bytes.
fn part_response(entry: &Entry, body: Body, (first, length, size): (u64, u64, u64)) -> Response<Body> {
    let mut response = file_response(entry, body);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
    if let Some(range) = content_range(first, length, size) {
        headers.insert(CONTENT_RANGE, range);
    }
    response
}

/// What a file is, by the end of its name.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = MEDIA_TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

/// What a listing can be filtered and sorted by.
const FIELDS: &[&str] = &["path", "type", "size", "escaped_path"];
/// How deep a listing may go.
const DEEPEST: usize = 20;
const MEDIA_TYPES: &[(&str, &str)] = &[
    ("txt", "text/plain; charset=utf-8"),
    ("md", "text/plain; charset=utf-8"),
    ("json", "application/json"),
    ("xml", "application/xml"),
    ("yml", "text/plain; charset=utf-8"),
    ("yaml", "text/plain; charset=utf-8"),
    ("toml", "text/plain; charset=utf-8"),
    ("csv", "text/csv; charset=utf-8"),
    ("html", "text/plain; charset=utf-8"),
    ("css", "text/plain; charset=utf-8"),
    ("js", "text/plain; charset=utf-8"),
    ("py", "text/plain; charset=utf-8"),
    ("rs", "text/plain; charset=utf-8"),
    ("sh", "text/plain; charset=utf-8"),
    ("tf", "text/plain; charset=utf-8"),
    ("png", "image/png"),
    ("jpg", "image/jpeg"),
    ("jpeg", "image/jpeg"),
    ("gif", "image/gif"),
    ("pdf", "application/pdf"),
    ("zip", "application/zip"),
    ("gz", "application/gzip"),
];
