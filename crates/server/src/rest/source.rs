//! `…/src/{revision}/{path}`: files as they are, and what is in directories.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_LENGTH, CONTENT_TYPE, ETAG, IF_NONE_MATCH, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use doorward_git::{Entry, EntryKind};
use doorward_wire::ObjectId;
use serde_json::{Value, json};

use super::contents::{Opened, commit_link, json_response, open};
use super::page::{Page, Query};
use super::parts::Parts;
use crate::app::App;
use crate::context::Context;
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;
type Four = Parts<(String, String, String, String)>;

/// `GET …/src`: leads to the top of the main branch.
pub(crate) async fn main_branch(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository)): Two,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let found = async {
        let branch = app.repositories.main_branch(&opened.admitted.permit).await?.unwrap_or_default();
        let id = opened.commit(&branch).await?;
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::FOUND;
        if let Ok(location) = HeaderValue::from_str(&format!("{}/src/{id}/", opened.api)) {
            response.headers_mut().insert(LOCATION, location);
        }
        Ok::<_, Refusal>(response)
    };
    let found = found.await;
    Opened::respond(&app, &context, &opened.name, opened.admitted, found).await
}

/// `GET …/src/{revision}/`: what is at the top.
pub(crate) async fn root(
    state: State<App>,
    context: Extension<Context>,
    Parts((workspace, repository, revision)): Three,
    query: RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    path(state, context, Parts((workspace, repository, revision, String::new())), query, headers).await
}

/// `GET …/src/{revision}/{path}`: a file's bytes, a directory's entries, or with `format=meta` what either is.
pub(crate) async fn path(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository, revision, path)): Four,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let wanted = Wanted { revision: &revision, path: path.trim_matches('/'), query: Query::read(query.as_deref()) };
    let (name, api) = (opened.name.clone(), opened.api.clone());
    let found = wanted.look(&opened, &api).await;
    let Opened { admitted, contents, .. } = opened;
    let found = match found {
        Ok(Look::Answer(value)) => Ok(json_response(&value)),
        Ok(Look::File(entry)) if is_known(&headers, &entry) => Ok(unchanged(&entry)),
        Ok(Look::File(entry)) => match contents.file(&entry.id).await {
            Ok(output) => Ok(file_response(&entry, Body::from_stream(output))),
            Err(error) => Err(error.into()),
        },
        Err(refusal) => Err(refusal),
    };
    Opened::respond(&app, &context, &name, admitted, found).await
}

/// What is asked about.
struct Wanted<'a> {
    revision: &'a str,
    path: &'a str,
    query: Query,
}

/// What is there.
enum Look {
    Answer(Value),
    File(Entry),
}

impl Wanted<'_> {
    async fn look(&self, opened: &Opened, api: &str) -> Result<Look, Refusal> {
        self.query.takes(&[])?;
        let commit = opened.commit(self.revision).await?;
        let meta = match self.query.last("format") {
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
                return Ok(Look::Answer(entry_object(&entry, &commit, api)));
            }
            if readable {
                return Ok(Look::File(entry));
            }
        } else if meta {
            return Ok(Look::Answer(directory_object("", &commit, api)));
        }
        let depth = match self.query.last("max_depth") {
            None => 1,
            Some(text) => text.parse().ok().filter(|depth| (1..=DEEPEST).contains(depth)).ok_or_else(|| {
                Refusal::bad_parameter("max_depth", format!("it is not a number from 1 to {DEEPEST}"), "change it")
            })?,
        };
        let page = Page::read(&self.query)?;
        let mut entries = opened.contents.entries(&commit, self.path, depth).await?;
        // Breadth first, as documented.
        entries.sort_by_key(|entry| entry.path.matches('/').count());
        let part = page.of(entries);
        let values = part.values.iter().map(|entry| entry_object(entry, &commit, api)).collect();
        let address = format!("{api}/src/{commit}/{}", below(self.path, true));
        Ok(Look::Answer(page.answer(part.with(values), &address, &self.query)))
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

/// A path as part of an address.
fn below(path: &str, directory: bool) -> String {
    let parts: Vec<String> = path.split('/').map(doorward_wire::percent_encoded).collect();
    let path = parts.join("/");
    if directory && !path.is_empty() { format!("{path}/") } else { path }
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
    if let Some(size) = entry.size {
        set(CONTENT_LENGTH, &size.to_string());
    }
    response
}

/// What a file is, by the end of its name.
fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    let known = MEDIA_TYPES.iter().find(|(known, _)| known.eq_ignore_ascii_case(extension));
    known.map_or("application/octet-stream", |(_, media_type)| media_type)
}

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
