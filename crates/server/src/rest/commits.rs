//! `…/commits[/{revision}]`, `…/commit/{revision}` and `…/filehistory/{revision}/{path}`: the history of a repository.

use axum::body::Body;
use axum::http::Response;
use doorward_rules::Action;
use serde_json::{Value, json};

use super::body::Form;
use super::call::{Call, Opened, Reply};
use super::listing::Listing;
use super::object;
use super::page::{Part, is_path};
use super::parts::Parts;
use crate::refusal::{Refusal, shown};

/// `GET …/commits`: from all branches and tags, or from `include`, without what `exclude` leads to; with `path` those that
/// change it.
pub(super) async fn commits(call: Call, Parts((workspace, repository)): Parts<(String, String)>) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| list(&call, &opened, None).await).await
}

/// `GET …/commits/{revision}`: from one branch, tag or commit.
pub(super) async fn commits_from(
    call: Call,
    Parts((workspace, repository, revision)): Parts<(String, String, String)>,
) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| list(&call, &opened, Some(&revision)).await)
        .await
}

/// `POST …/commits`: the same with the parameters in the body, which may be longer than an address.
pub(super) async fn commits_of_form(
    call: Call,
    Parts((workspace, repository)): Parts<(String, String)>,
    Form(form): Form,
) -> Response<Body> {
    let call = call.with(form);
    call.open(Action::Fetch, (&workspace, &repository), async |opened| list(&call, &opened, None).await).await
}

/// `POST …/commits/{revision}`.
pub(super) async fn commits_from_of_form(
    call: Call,
    Parts((workspace, repository, revision)): Parts<(String, String, String)>,
    Form(form): Form,
) -> Response<Body> {
    let call = call.with(form);
    call.open(Action::Fetch, (&workspace, &repository), async |opened| list(&call, &opened, Some(&revision)).await)
        .await
}

async fn list(call: &Call, opened: &Opened, revision: Option<&str>) -> Reply {
    let page = Listing::read(call, &[])?.page();
    for name in ["include", "exclude"] {
        if call.query.all(name).count() > MOST {
            return Err(Refusal::bad_parameter(name, format!("it is there more than {MOST} times"), "name fewer"));
        }
    }
    let mut include = Vec::new();
    for name in revision.into_iter().chain(call.query.all("include")) {
        include.push(opened.commit(name).await?);
    }
    let mut exclude = Vec::new();
    for name in call.query.all("exclude") {
        exclude.push(opened.commit(name).await?);
    }
    let path = call.query.last("path").map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
    if path.is_some_and(|path| !is_path(path)) {
        return Err(Refusal::bad_parameter("path", "it is no path within a repository", "begin at its top"));
    }
    // One more than asked for tells whether there is a next page.
    let commits = opened.contents.commits(&include, &exclude, path, page.skip(), page.length() + 1).await?;
    let values = commits.iter().take(page.length()).map(|commit| object::commit(commit, &opened.name, &opened.api));
    let part = Part { values: values.collect(), more: commits.len() > page.length(), size: None };
    let below = revision.map_or(String::new(), |name| format!("/{}", doorward_wire::percent_encoded(name)));
    let answer = page.answer(part, &format!("{}/commits{below}", opened.api), &call.query);
    call.json(opened.with_people(call, answer).await?)
}

/// `GET …/commit/{revision}`.
pub(super) async fn commit(
    call: Call,
    Parts((workspace, repository, revision)): Parts<(String, String, String)>,
) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let id = opened.commit(&revision).await?;
        let commit = opened.contents.commits_of(&[id]).await?.into_iter().next();
        let commit =
            commit.ok_or_else(|| Refusal::not_there("commit_not_found", "commit not found", "ask for another"))?;
        let answer = object::commit(&commit, &opened.name, &opened.api);
        call.json(opened.with_people(&call, answer).await?)
    })
    .await
}

/// `GET …/filehistory/{revision}/{path}`: the commits that changed a file, and where it was in each.
pub(super) async fn file_history(
    call: Call,
    Parts((workspace, repository, revision, path)): Parts<(String, String, String, String)>,
) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let page = Listing::read(&call, &[])?.page();
        let path = path.trim_matches('/');
        let commit = opened.commit(&revision).await?;
        if opened.contents.entry(&commit, path).await?.is_none() {
            let sentence = format!("no such file or directory: {}", shown(path));
            return Err(Refusal::not_there("path_not_found", sentence, "GET …/src/{revision}/ lists what there is"));
        }
        let renames = call.query.switch("renames", true)?;
        let found = opened.contents.history_of(&commit, path, renames, page.skip(), page.length() + 1).await?;
        let ids: Vec<_> = found.iter().map(|version| version.commit.clone()).collect();
        let commits = opened.contents.commits_of(&ids).await?;
        let value = |(version, commit): (&doorward_git::Version, &doorward_git::Commit)| -> Value {
            let href = format!("{}/src/{}/{}", opened.api, version.commit, object::below(&version.path, false));
            json!({
                "type": "commit_file",
                "path": version.path,
                "escaped_path": object::below(&version.path, false),
                "commit": object::commit(commit, &opened.name, &opened.api),
                "links": { "self": { "href": href }, "meta": { "href": format!("{href}?format=meta") } },
            })
        };
        let values = found.iter().zip(&commits).take(page.length()).map(value).collect();
        let part = Part { values, more: found.len() > page.length(), size: None };
        let address = format!("{}/filehistory/{commit}/{}", opened.api, object::below(path, false));
        call.json(opened.with_people(&call, page.answer(part, &address, &call.query)).await?)
    })
    .await
}

/// How many revisions one request may name.
const MOST: usize = 20;
