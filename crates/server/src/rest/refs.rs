//! `…/refs`, `…/refs/branches[/{name}]`, `…/refs/tags[/{name}]`: where branches and tags stand.

use std::collections::HashMap;

use axum::Extension;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderMap, Response};
use doorward_git::{Commit, Ref, RefKind};
use doorward_wire::ObjectId;
use serde_json::{Value, json};

use super::contents::{Opened, commit_link, commit_object, json_response, open};
use super::page::{Page, Query};
use super::parts::Parts;
use crate::app::App;
use crate::context::Context;
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;

/// `GET …/refs`.
pub(crate) async fn refs(
    state: State<App>,
    context: Extension<Context>,
    path: Two,
    query: RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    list(state, context, path, query, headers, (&[RefKind::Branch, RefKind::Tag], "refs")).await
}

/// `GET …/refs/branches`.
pub(crate) async fn branches(
    state: State<App>,
    context: Extension<Context>,
    path: Two,
    query: RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    list(state, context, path, query, headers, (&[RefKind::Branch], "refs/branches")).await
}

/// `GET …/refs/tags`.
pub(crate) async fn tags(
    state: State<App>,
    context: Extension<Context>,
    path: Two,
    query: RawQuery,
    headers: HeaderMap,
) -> Response<Body> {
    list(state, context, path, query, headers, (&[RefKind::Tag], "refs/tags")).await
}

/// `GET …/refs/branches/{name}`.
pub(crate) async fn branch(
    state: State<App>,
    context: Extension<Context>,
    path: Three,
    headers: HeaderMap,
) -> Response<Body> {
    one(state, context, path, headers, RefKind::Branch).await
}

/// `GET …/refs/tags/{name}`.
pub(crate) async fn tag(
    state: State<App>,
    context: Extension<Context>,
    path: Three,
    headers: HeaderMap,
) -> Response<Body> {
    one(state, context, path, headers, RefKind::Tag).await
}

async fn list(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository)): Two,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    (kinds, below): (&[RefKind], &str),
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let found = async {
        let query = Query::read(query.as_deref());
        query.takes(&[])?;
        let page = Page::read(&query)?;
        let part = page.of(opened.contents.refs(kinds).await?);
        let ids: Vec<ObjectId> = part.values.iter().filter_map(|found| found.commit.clone()).collect();
        let commits = opened.contents.commits_of(&ids).await?;
        let commits: HashMap<&str, &Commit> = commits.iter().map(|commit| (commit.id.as_str(), commit)).collect();
        let value = |found: &Ref| {
            let commit = found.commit.as_ref().and_then(|id| commits.get(id.as_str()).copied());
            ref_object(found, commit, &opened)
        };
        let values = part.values.iter().map(value).collect();
        Ok::<_, Refusal>(json_response(&page.answer(part.with(values), &format!("{}/{below}", opened.api), &query)))
    };
    let found = found.await;
    Opened::respond(&app, &context, &opened.name, opened.admitted, found).await
}

async fn one(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    Parts((workspace, repository, name)): Three,
    headers: HeaderMap,
    kind: RefKind,
) -> Response<Body> {
    let opened = match open(&app, &context, &headers, &workspace, &repository).await {
        Ok(opened) => opened,
        Err(response) => return *response,
    };
    let found = async {
        let found = opened.contents.one_ref(kind, &name).await?.ok_or_else(|| {
            let shown = shown(&name);
            let word = if kind == RefKind::Branch { "branch" } else { "tag" };
            Refusal::not_there(
                "ref_not_found",
                format!("there is no {word} `{shown}`"),
                "GET …/refs names what there is",
            )
        })?;
        let ids: Vec<ObjectId> = found.commit.iter().cloned().collect();
        let commits = opened.contents.commits_of(&ids).await?;
        Ok::<_, Refusal>(json_response(&ref_object(&found, commits.first(), &opened)))
    };
    let found = found.await;
    Opened::respond(&app, &context, &opened.name, opened.admitted, found).await
}

fn ref_object(found: &Ref, commit: Option<&Commit>, opened: &Opened) -> Value {
    let (word, below) = match found.kind {
        RefKind::Branch => ("branch", "branches"),
        RefKind::Tag => ("tag", "tags"),
    };
    let target = match (commit, &found.commit) {
        (Some(commit), _) => commit_object(commit, &opened.name, &opened.api),
        (None, Some(id)) => commit_link(id, &opened.api),
        (None, None) => Value::Null,
    };
    let name = doorward_wire::percent_encoded(&found.name);
    json!({
        "type": word,
        "name": found.name,
        "target": target,
        "links": {
            "self": { "href": format!("{}/refs/{below}/{name}", opened.api) },
            "commits": { "href": format!("{}/commits/{name}", opened.api) },
        },
    })
}
