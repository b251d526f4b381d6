//! `…/commits[/{revision}]` and `…/commit/{revision}`: the history of a repository.

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response};

use super::contents::{Opened, commit_object, json_response, open};
use super::page::{Page, Part, Query, is_path};
use super::parts::Parts;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;

/// `GET …/commits`: from all branches and tags, or from `include`, without what `exclude` leads to; with `path` those that
/// change it.
pub(crate) async fn commits(
    state: State<App>,
    context: Extension<Context>,
    Parts((workspace, repository)): Parts<(String, String)>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    list(state, context, (workspace, repository, None), query, headers).await
}

/// `GET …/commits/{revision}`: from one branch, tag or commit.
pub(crate) async fn commits_from(
    state: State<App>,
    context: Extension<Context>,
    Parts((workspace, repository, revision)): Parts<(String, String, String)>,
    query: RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    list(state, context, (workspace, repository, Some(revision)), query, headers).await
}

async fn list(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    (workspace, repository, revision): (String, String, Option<String>),
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let found = async {
        let query = Query::read(query.as_deref());
        query.takes(&[])?;
        let page = Page::read(&query)?;
        for name in ["include", "exclude"] {
            if query.all(name).count() > MOST {
                return Err(Refusal::bad_parameter(name, format!("it is there more than {MOST} times"), "name fewer"));
            }
        }
        let mut include = Vec::new();
        for name in revision.as_deref().into_iter().chain(query.all("include")) {
            include.push(opened.commit(name).await?);
        }
        let mut exclude = Vec::new();
        for name in query.all("exclude") {
            exclude.push(opened.commit(name).await?);
        }
        let path = query.last("path").map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
        if path.is_some_and(|path| !is_path(path)) {
            return Err(Refusal::bad_parameter("path", "it is no path within a repository", "begin at its top"));
        }
        // One more than asked for tells whether there is a next page.
        let commits = opened.contents.commits(&include, &exclude, path, page.skip(), page.length() + 1).await?;
        let values = commits.iter().take(page.length()).map(|commit| commit_object(commit, &opened.name, &opened.api));
        let part = Part { values: values.collect(), more: commits.len() > page.length(), size: None };
        let below =
            revision.as_deref().map_or(String::new(), |name| format!("/{}", doorward_wire::percent_encoded(name)));
        Ok::<_, Refusal>(json_response(&page.answer(part, &format!("{}/commits{below}", opened.api), &query)))
    };
    let found = found.await;
    Opened::respond(&app, &context, &opened.name, opened.admitted, found).await
}

/// `GET …/commit/{revision}`.
pub(crate) async fn commit(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository, revision)): Parts<(String, String, String)>,
    headers: HeaderMap,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let found = async {
        let id = opened.commit(&revision).await?;
        let commit = opened.contents.commits_of(&[id]).await?.into_iter().next();
        let commit =
            commit.ok_or_else(|| Refusal::not_there("commit_not_found", "commit not found", "ask for another"))?;
        Ok::<_, Refusal>(json_response(&commit_object(&commit, &opened.name, &opened.api)))
    };
    let found = found.await;
    Opened::respond(&app, &context, &opened.name, opened.admitted, found).await
}

/// How many revisions one request may name.
const MOST: usize = 20;
