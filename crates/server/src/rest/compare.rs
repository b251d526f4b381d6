//! `…/diff/{spec}`, `…/patch/{spec}`, `…/merge-base/{spec}`: what is between two commits.
//!
//! A spec is one commit, or two with `..` between them: the one with the changes first, as in Bitbucket Cloud, which is the
//! other way round than with git.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Response};
use doorward_git::{Comparison, Output};
use doorward_wire::ObjectId;

use super::contents::{Opened, commit_object, json_response, open};
use super::page::{Query, is_path};
use super::parts::Parts;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;

type Three = Parts<(String, String, String)>;

/// `GET …/diff/{spec}`: as text.
pub(crate) async fn diff(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository, spec)): Three,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let asked = async {
        let (to, mut from) = two(&opened, &spec).await?;
        let query = Query::read(query.as_deref());
        if let Some(other) = from.as_ref().filter(|_| matches!(query.last("topic"), None | Some("true" | "True" | "1")))
        {
            from = Some(opened.contents.merge_base(&to, other).await?.ok_or_else(nothing_in_common)?);
        }
        comparison(to, from, &query)
    };
    let asked = asked.await;
    let Opened { name, admitted, contents, .. } = opened;
    let found = match asked {
        Ok(comparison) => contents.diff(&comparison).await.map(text).map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    Opened::respond(&app, &context, &name, admitted, found).await
}

/// `GET …/patch/{spec}`: as mails, one for each commit.
pub(crate) async fn patch(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository, spec)): Three,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let asked = two(&opened, &spec).await;
    let Opened { name, admitted, contents, .. } = opened;
    let found = match asked {
        Ok((to, from)) => contents.patch(&to, from.as_ref()).await.map(text).map_err(Refusal::from),
        Err(refusal) => Err(refusal),
    };
    Opened::respond(&app, &context, &name, admitted, found).await
}

/// `GET …/merge-base/{spec}`: the commit at which two part.
pub(crate) async fn merge_base(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository, spec)): Three,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let found = async {
        let (one, other) = two(&opened, &spec).await?;
        let other =
            other.ok_or_else(|| Refusal::bad_parameter("revspec", "it names one commit", "name two, as in a..b"))?;
        let id = opened.contents.merge_base(&one, &other).await?.ok_or_else(nothing_in_common)?;
        let commit = opened.contents.commits_of(&[id]).await?.into_iter().next().ok_or_else(nothing_in_common)?;
        Ok::<_, Refusal>(json_response(&commit_object(&commit, &opened.name, &opened.api)))
    };
    let found = found.await;
    Opened::respond(&app, &context, &opened.name, opened.admitted, found).await
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

fn comparison(to: ObjectId, from: Option<ObjectId>, query: &Query) -> Result<Comparison, Refusal> {
    let context = match query.last("context") {
        None => 3,
        Some(text) => text.parse().ok().filter(|lines| *lines <= MOST_CONTEXT).ok_or_else(|| {
            Refusal::bad_parameter("context", format!("it is not a number from 0 to {MOST_CONTEXT}"), "change it")
        })?,
    };
    let switch = |name: &'static str, usual: bool| match query.last(name) {
        None => Ok(usual),
        Some("true" | "True" | "1" | "") => Ok(true),
        Some("false" | "False" | "0") => Ok(false),
        Some(_) => Err(Refusal::bad_parameter(name, "it is neither true nor false", "change it")),
    };
    switch("topic", true)?;
    let paths: Vec<&str> =
        query.all("path").map(|path| path.trim_matches('/')).filter(|path| !path.is_empty()).collect();
    if !paths.iter().all(|path| is_path(path)) || paths.len() > MOST_PATHS {
        return Err(Refusal::bad_parameter(
            "path",
            "it is no path within a repository, or one too many",
            "begin at its top",
        ));
    }
    Ok(Comparison {
        to,
        from,
        context,
        paths: paths.into_iter().map(str::to_owned).collect(),
        ignore_whitespace: switch("ignore_whitespace", false)?,
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
