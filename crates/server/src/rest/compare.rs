//! `…/diff/{spec}`, `…/diffstat/{spec}`, `…/patch/{spec}`, `…/merge-base/{spec}`: what is between two commits.
//!
//! A spec is one commit, or two with `..` between them: the one with the changes first, as in Bitbucket Cloud, which is the
//! other way round than with git.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, Response};
use doorward_git::{Comparison, DifferenceStatus, FileDifference, Output};
use doorward_rules::Action;
use doorward_wire::ObjectId;
use serde_json::{Value, json};

use super::call::{Call, Opened};
use super::listing::Listing;
use super::object;
use super::page::{Query, is_path};
use super::parts::Parts;
use crate::refusal::Refusal;

type Three = Parts<(String, String, String)>;

/// `GET …/diff/{spec}`: as text.
pub(super) async fn diff(call: Call, Parts((workspace, repository, spec)): Three) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let comparison = comparison(&opened, &spec, &call.query).await?;
        Ok(text(opened.contents.diff(&comparison).await?))
    })
    .await
}

/// `GET …/diffstat/{spec}`: file by file.
pub(super) async fn diffstat(call: Call, Parts((workspace, repository, spec)): Three) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let listing = Listing::read(&call, &[])?;
        let comparison = comparison(&opened, &spec, &call.query).await?;
        let renames = call.query.switch("renames", true)?;
        let found = opened.contents.differences(&comparison, renames).await?;
        let old = match &comparison.from {
            Some(from) => Some(from.clone()),
            None => {
                let commit = opened.contents.commits_of(std::slice::from_ref(&comparison.to)).await?;
                commit.first().and_then(|commit| commit.parents.first().cloned())
            }
        };
        let values = found.iter().map(|found| difference(found, old.as_ref(), &comparison.to, &opened.api)).collect();
        let spec = doorward_wire::percent_encoded(&spec);
        listing.answer(&call, values, &format!("{}/diffstat/{spec}", opened.api))
    })
    .await
}

/// `GET …/patch/{spec}`: as mails, one for each commit.
pub(super) async fn patch(call: Call, Parts((workspace, repository, spec)): Three) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let (to, from) = two(&opened, &spec).await?;
        Ok(text(opened.contents.patch(&to, from.as_ref()).await?))
    })
    .await
}

/// `GET …/merge-base/{spec}`: the commit at which two part.
pub(super) async fn merge_base(call: Call, Parts((workspace, repository, spec)): Three) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let (one, other) = two(&opened, &spec).await?;
        let other =
            other.ok_or_else(|| Refusal::bad_parameter("revspec", "it names one commit", "name two, as in a..b"))?;
        let id = opened.contents.merge_base(&one, &other).await?.ok_or_else(nothing_in_common)?;
        let commit = opened.contents.commits_of(&[id]).await?.into_iter().next().ok_or_else(nothing_in_common)?;
        let answer = object::commit(&commit, &opened.name, &opened.api);
        call.json(opened.with_people(&call, answer).await?)
    })
    .await
}

fn nothing_in_common() -> Refusal {
    let sentence = "these commits have nothing in common";
    Refusal::not_there("merge_base_not_found", sentence, "name two others, or compare all of both with topic=false")
}

/// The commits that a spec names.
async fn two(opened: &Opened, spec: &str) -> Result<(ObjectId, Option<ObjectId>), Refusal> {
    match spec.split_once("..") {
        Some((to, from)) => Ok((opened.commit(to).await?, Some(opened.commit(from).await?))),
        None => Ok((opened.commit(spec).await?, None)),
    }
}

/// What is to be compared: with `topic`, which is usual, the one commit with where it parted from the other.
async fn comparison(opened: &Opened, spec: &str, query: &Query) -> Result<Comparison, Refusal> {
    let (to, mut from) = two(opened, spec).await?;
    let topic = query.switch("topic", true)?;
    if let Some(other) = from.as_ref().filter(|_| topic) {
        from = Some(opened.contents.merge_base(&to, other).await?.ok_or_else(nothing_in_common)?);
    }
    let context = match query.last("context") {
        None => 3,
        Some(text) => text.parse().ok().filter(|lines| *lines <= MOST_CONTEXT).ok_or_else(|| {
            Refusal::bad_parameter("context", format!("it is not a number from 0 to {MOST_CONTEXT}"), "change it")
        })?,
    };
    let paths: Vec<&str> =
        query.all("path").map(|path| path.trim_matches('/')).filter(|path| !path.is_empty()).collect();
    if !paths.iter().all(|path| is_path(path)) || paths.len() > MOST_PATHS {
        let what = "it is no path within a repository, or one too many";
        return Err(Refusal::bad_parameter("path", what, "begin at its top"));
    }
    Ok(Comparison {
        to,
        from,
        context,
        paths: paths.into_iter().map(str::to_owned).collect(),
        ignore_whitespace: query.switch("ignore_whitespace", false)?,
    })
}

fn difference(found: &FileDifference, old: Option<&ObjectId>, new: &ObjectId, api: &str) -> Value {
    let file = |path: &Option<String>, commit: Option<&ObjectId>| {
        path.as_ref().zip(commit).map_or(Value::Null, |(path, commit)| {
            let escaped = object::below(path, false);
            let href = format!("{api}/src/{commit}/{escaped}");
            json!({
                "type": "commit_file",
                "path": path,
                "escaped_path": escaped,
                "attributes": [],
                "commit": object::commit_link(commit, api),
                "links": { "self": { "href": href } },
            })
        })
    };
    let status = match found.status {
        DifferenceStatus::Added => "added",
        DifferenceStatus::Removed => "removed",
        DifferenceStatus::Modified => "modified",
        DifferenceStatus::Renamed => "renamed",
    };
    json!({
        "type": "diffstat",
        "status": status,
        "lines_added": found.added.unwrap_or(0),
        "lines_removed": found.removed.unwrap_or(0),
        "old": file(&found.old, old),
        "new": file(&found.new, Some(new)),
    })
}

fn text(output: Output) -> Response<Body> {
    let mut response = Response::new(Body::from_stream(output));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// How many lines may be shown around a change.
const MOST_CONTEXT: u16 = 10_000;
/// How many paths one request may name.
const MOST_PATHS: usize = 100;
