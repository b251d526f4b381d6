//! `POST …/src`: files become a commit.
//!
//! A field of the form whose name is a path is a file; `message`, `author`, `parents`, `files` and `branch` say what the commit
//! is to be. A path that is named in `files` and has no content is removed. The commit goes on top of its branch if that has not
//! moved meanwhile, and else nothing happens.

use std::collections::HashSet;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use doorward_git::{Contents, NewCommit, RefKind};
use doorward_rules::{Action, Principal};
use doorward_wire::ObjectId;
use tokio::time::timeout;

use super::call::{Call, Granted, Opened, Place, Reply, commit};
use super::change::{Change, Means, moved};
use super::form::{Changes, Form};
use super::parts::Parts;
use super::refs::full_name;
use super::repeat::{Repeat, turn};
use crate::refusal::{Refusal, shown};
use crate::request_body;

/// `POST …/src`. The form is read as a whole before a place for git is taken, which slow callers would hold, and the caller is
/// asked about before and after, which may be a long time.
pub(super) async fn upload(
    call: Call,
    Parts((workspace, repository)): Parts<(String, String)>,
    request: Request,
) -> Response<Body> {
    let who = match call.may(Action::Push, Place::Repository(&workspace, &repository)).await {
        Ok(who) => who,
        Err(away) => return *away,
    };
    let form = match timeout(LONGEST_TIME, read(&call, request)).await {
        Ok(Ok(form)) => form,
        Ok(Err(refusal)) => return call.refuse(&refusal),
        Err(_) => return call.refuse(&too_slow()),
    };
    let _turn = turn(&call, &who).await;
    call.open_again(Action::Push, (&workspace, &repository), async |opened| put(&call, opened, form).await).await
}

async fn read(call: &Call, request: Request) -> Result<Form, Refusal> {
    let limits = &call.app.settings.limits;
    let media_type = media_type(&call.headers)?;
    let body = request_body::open(request.into_body(), &call.headers, limits.upload_bytes, limits.idle_time)?;
    let mut form = Form::read(media_type, body, limits.upload_files, call.app.repositories.root()).await?;
    form.or_from(&call.query)?;
    Ok(form)
}

async fn put(call: &Call, opened: Opened, form: Form) -> Reply {
    let Opened { granted, contents, api, .. } = opened;
    let repeat = Repeat::read(call, &granted, form.digest)?;
    if let Some(repeat) = &repeat
        && let Some(known) = repeat.known(call, &contents).await?
    {
        return created(&api, &known);
    }
    let at = call.app.clock.now();
    let base = Base::find(call, &granted, &contents, &form.changes).await?;
    let name = full_name(call, RefKind::Branch, &base.branch)?;
    let signature = signature(&granted).await?;
    let new = NewCommit {
        parent: base.parent.clone(),
        author: form.changes.author()?.unwrap_or_else(|| signature.clone()),
        committer: signature,
        message: form.changes.message(),
        at,
    };
    let mut upload = contents.upload().await?;
    form.send(&mut upload).await?;
    let made = upload.commit(&new).await?;
    let id = made.commit.clone();
    if let Some(repeat) = &repeat {
        repeat.begin(&id, &base.branch, at).await?;
    }
    let change = Change { name, old: base.tip.clone(), new: Some(id.clone()) };
    change.carry_out(Means::Bring(Box::new(made)), call, granted).await?;
    if let Some(repeat) = &repeat {
        repeat.end(&id, &base.branch, at).await;
    }
    created(&api, &id)
}

fn too_slow() -> Refusal {
    let sentence = format!("the upload was not at its end after {} minutes", LONGEST_TIME.as_secs() / 60);
    let remedy = "upload it in several parts, or push it with git; nothing was changed";
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_too_slow", sentence, remedy)
}

/// 201 without a body; where the commit is, which some clients take from there.
fn created(api: &str, id: &ObjectId) -> Reply {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::CREATED;
    // There are clients that fail on an answer without a type, be it empty.
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    if let Ok(location) = HeaderValue::from_str(&format!("{api}/commit/{id}")) {
        response.headers_mut().insert(LOCATION, location);
    }
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        response.headers_mut().insert(HeaderName::from_static("x-commit"), id);
    }
    Ok(response)
}

/// What an upload is put on top of.
struct Base {
    /// The branch that it goes to.
    branch: String,
    /// Where that leads to now; `None` if there is none of the name.
    tip: Option<ObjectId>,
    /// What the commit is on top of; `None` for the first of a repository.
    parent: Option<ObjectId>,
}

impl Base {
    async fn find(call: &Call, granted: &Granted, contents: &Contents, changes: &Changes) -> Result<Self, Refusal> {
        let main = call.app.repositories.main_branch(&granted.permit).await?.unwrap_or_else(|| "main".into());
        let branch = changes.branch.clone().unwrap_or_else(|| main.clone());
        full_name(call, RefKind::Branch, &branch).map_err(|refusal| named("branch", refusal))?;
        let tip = contents.one_ref(RefKind::Branch, &branch).await?.and_then(|found| found.commit);
        let wanted = match &changes.parent {
            Some(parent) => Some(commit(contents, parent).await?),
            None => None,
        };
        if tip.is_some() && wanted.is_some() && wanted != tip {
            return Err(moved(&branch, tip.as_ref()));
        }
        let parent = match (&tip, wanted) {
            (Some(tip), _) => Some(tip.clone()),
            (None, Some(wanted)) => Some(wanted),
            (None, None) => contents.one_ref(RefKind::Branch, &main).await?.and_then(|found| found.commit),
        };
        // A new branch from a commit that was named may be all that is wanted.
        if changes.is_empty() && (tip.is_some() || changes.parent.is_none()) {
            let remedy = "send at least one file, or name one that is to go in `files`";
            return Err(Refusal::bad_parameter("files", "nothing would be changed", remedy));
        }
        let gone: Vec<&str> = changes.deleted().collect();
        let there = match &parent {
            Some(parent) if !gone.is_empty() => contents.existing(parent, &gone).await?,
            _ => HashSet::new(),
        };
        if let Some(missing) = gone.into_iter().find(|path| !there.contains(*path)) {
            let what = format!("there is no `{}` to remove, and none came", shown(missing));
            return Err(Refusal::bad_parameter("files", what, "send it, or name what is there"));
        }
        Ok(Self { branch, tip, parent })
    }
}

fn named(name: &'static str, refusal: Refusal) -> Refusal {
    let what = refusal.field.as_ref().map_or_else(|| refusal.sentence.clone(), |field| field.1.clone());
    Refusal::bad_parameter(name, what, "use letters, digits, `-`, `_`, `.` and `/`")
}

/// Name and address of the caller, for what it commits. An access token has none, and is named by its id.
pub(super) async fn signature(granted: &Granted) -> Result<(String, String), Refusal> {
    Ok(match granted.permit.principal() {
        Principal::Account { account, .. } => {
            let account = granted.store.account_by_id(account).await?;
            (account.name.to_string(), account.email.to_string())
        }
        Principal::Synthetic { credential } => {
            (format!("access token {credential}"), format!("{credential}@tokens.invalid"))
        }
        Principal::Anyone => ("nobody".into(), "nobody@tokens.invalid".into()),
    })
}

/// The form's media type.
fn media_type(headers: &HeaderMap) -> Result<&str, Refusal> {
    let found = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let known = ["multipart/form-data", "application/x-www-form-urlencoded"];
    if known.iter().any(|known| found.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known))) {
        return Ok(found);
    }
    let sentence = "files are uploaded as a form";
    let remedy = "send multipart/form-data or application/x-www-form-urlencoded, as `curl -F` and `curl -d` do";
    Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_unsupported", sentence, remedy))
}

/// How long the form of an upload may take.
const LONGEST_TIME: Duration = Duration::from_secs(30 * 60);
