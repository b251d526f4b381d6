//! `…/refs`, `…/refs/branches[/{name}]`, `…/refs/tags[/{name}]`: where branches and tags stand; and making and ending them.

use std::collections::HashMap;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_git::{Commit, Ref, RefKind};
use doorward_rules::Action;
use doorward_wire::{ObjectId, RefName};
use serde_json::{Value, json};

use super::body::Object;
use super::call::{Call, Opened, Reply, commit};
use super::change::{Change, Means};
use super::listing::Listing;
use super::object;
use super::parts::Parts;
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;

/// `GET …/refs`.
pub(super) async fn refs(call: Call, path: Two) -> Response<Body> {
    list(call, path, &[RefKind::Branch, RefKind::Tag], "refs").await
}

/// `GET …/refs/branches`.
pub(super) async fn branches(call: Call, path: Two) -> Response<Body> {
    list(call, path, &[RefKind::Branch], "refs/branches").await
}

/// `GET …/refs/tags`.
pub(super) async fn tags(call: Call, path: Two) -> Response<Body> {
    list(call, path, &[RefKind::Tag], "refs/tags").await
}

/// `GET …/refs/branches/{name}`.
pub(super) async fn branch(call: Call, path: Three) -> Response<Body> {
    one(call, path, RefKind::Branch).await
}

/// `GET …/refs/tags/{name}`.
pub(super) async fn tag(call: Call, path: Three) -> Response<Body> {
    one(call, path, RefKind::Tag).await
}

/// `POST …/refs/branches`: `{"name": "…", "target": {"hash": "…"}}`.
pub(super) async fn create_branch(call: Call, path: Two, wanted: Object) -> Response<Body> {
    create(call, path, wanted, RefKind::Branch).await
}

/// `POST …/refs/tags`: the same; an annotated tag, with a `message` of its own or the usual one.
pub(super) async fn create_tag(call: Call, path: Two, wanted: Object) -> Response<Body> {
    create(call, path, wanted, RefKind::Tag).await
}

/// `DELETE …/refs/branches/{name}`.
pub(super) async fn delete_branch(call: Call, path: Three) -> Response<Body> {
    delete(call, path, RefKind::Branch).await
}

/// `DELETE …/refs/tags/{name}`.
pub(super) async fn delete_tag(call: Call, path: Three) -> Response<Body> {
    delete(call, path, RefKind::Tag).await
}

async fn list(
    call: Call,
    Parts((workspace, repository)): Two,
    kinds: &'static [RefKind],
    below: &'static str,
) -> Response<Body> {
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let listing = Listing::read(&call, FIELDS)?;
        let all = opened.contents.refs(kinds).await?;
        let address = format!("{}/{below}", opened.api);
        if !listing.is_plain() {
            let values = objects(&opened, &all).await?;
            return listing.answer(&call, values, &address);
        }
        let page = listing.page();
        let part = page.of(all);
        let values = objects(&opened, &part.values).await?;
        call.json(opened.with_people(&call, page.answer(part.with(values), &address, &call.query)).await?)
    })
    .await
}

async fn objects(opened: &Opened, refs: &[Ref]) -> Result<Vec<Value>, Refusal> {
    let mut commits: HashMap<ObjectId, Commit> = HashMap::new();
    let ids: Vec<ObjectId> = refs.iter().filter_map(|found| found.commit.clone()).collect();
    // They are arguments of a command, of which there is a bound.
    for some in ids.chunks(1000) {
        commits.extend(opened.contents.commits_of(some).await?.into_iter().map(|commit| (commit.id.clone(), commit)));
    }
    let tags: Vec<&str> =
        refs.iter().filter(|found| found.kind == RefKind::Tag).map(|found| found.name.as_str()).collect();
    let mut annotations = HashMap::new();
    for some in tags.chunks(1000) {
        annotations.extend(opened.contents.annotations(some).await?);
    }
    let value = |found: &Ref| {
        let commit = found.commit.as_ref().and_then(|id| commits.get(id));
        let mut value = ref_object(found, commit, opened);
        if let Some(annotation) = annotations.get(&found.name).filter(|_| found.kind == RefKind::Tag) {
            let present = |text: &str| (!text.is_empty()).then(|| text.to_owned());
            value["message"] = json!(annotation.message);
            value["date"] = json!(present(&annotation.date));
            value["tagger"] = json!({ "type": "author", "raw": object::signature(&annotation.tagger) });
        }
        value
    };
    Ok(refs.iter().map(value).collect())
}

async fn one(call: Call, Parts((workspace, repository, name)): Three, kind: RefKind) -> Response<Body> {
    let name = name.trim_end_matches('/');
    call.open(Action::Fetch, (&workspace, &repository), async |opened| {
        let found = opened.contents.one_ref(kind, name).await?.ok_or_else(|| missing(kind, name))?;
        shown_ref(&call, &opened, &found, StatusCode::OK).await
    })
    .await
}

async fn shown_ref(call: &Call, opened: &Opened, found: &Ref, status: StatusCode) -> Reply {
    let value = objects(opened, std::slice::from_ref(found)).await?;
    call.json_as(status, opened.with_people(call, value.into_iter().next().unwrap_or_default()).await?)
}

async fn create(call: Call, Parts((workspace, repository)): Two, wanted: Object, kind: RefKind) -> Response<Body> {
    call.open(Action::CreateRef, (&workspace, &repository), async |opened| {
        let name = wanted.needed_text("name", LONGEST_NAME)?;
        let full = full_name(&call, kind, &name)?;
        let hash = wanted.inner_text("target", "hash")?;
        let hash = hash.ok_or_else(|| Refusal::bad_parameter("target", "its `hash` is required", "add it"))?;
        let target = commit(&opened.contents, &hash).await?;
        if opened.contents.one_ref(kind, &name).await?.is_some() {
            return Err(exists(kind, &name));
        }
        let message = wanted.text("message", LONGEST_MESSAGE)?.filter(|message| !message.trim().is_empty());
        let new = match kind {
            RefKind::Tag => {
                let usual = || format!("Added tag {name} for changeset {}", &target.as_str()[..12]);
                let (message, tagger) =
                    (message.unwrap_or_else(usual), super::upload::signature(&opened.granted).await?);
                let at = call.app.clock.now();
                opened.contents.annotated_tag(&name, &target, &tagger, message.trim_end(), at).await?
            }
            RefKind::Branch => target.clone(),
        };
        let Opened { granted, name: repository, contents, .. } = opened;
        let change = Change { name: full, old: None, new: Some(new) };
        let granted = change.carry_out(Means::Set(Box::new(contents)), &call, granted).await?;
        let contents = async { call.app.repositories.open(&granted.permit)?.contents().await }.await?;
        let opened = call.opened(granted, repository, contents);
        shown_ref(&call, &opened, &Ref { kind, name, commit: Some(target) }, StatusCode::CREATED).await
    })
    .await
}

async fn delete(call: Call, Parts((workspace, repository, name)): Three, kind: RefKind) -> Response<Body> {
    call.open(Action::Push, (&workspace, &repository), async |opened| {
        let full = full_name(&call, kind, &name)?;
        let old = opened.contents.target_of(&full).await?.ok_or_else(|| missing(kind, &name))?;
        let main = call.app.repositories.main_branch(&opened.granted.permit).await?;
        if kind == RefKind::Branch && main.as_deref() == Some(&name) {
            let sentence = format!("`{}` is the main branch", shown(&name));
            let remedy = "make another branch the main one first: PUT …/{repository} with `mainbranch`";
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "main_branch", sentence, remedy));
        }
        let change = Change { name: full, old: Some(old), new: None };
        change.carry_out(Means::Set(Box::new(opened.contents)), &call, opened.granted).await?;
        call.nothing()
    })
    .await
}

/// The name with what git puts before it, checked as that of a push is.
pub(super) fn full_name(call: &Call, kind: RefKind, name: &str) -> Result<RefName, Refusal> {
    let prefix = if kind == RefKind::Branch { "refs/heads/" } else { "refs/tags/" };
    let deep = name.split('/').count() + 2 > call.app.settings.limits.push.ref_depth;
    RefName::parse(format!("{prefix}{name}").as_bytes()).ok().filter(|_| !deep).ok_or_else(|| {
        let what = format!("`{}` can be no name of a branch or tag", shown(name));
        Refusal::bad_parameter("name", what, "use letters, digits, `-`, `_`, `.` and `/`")
    })
}

fn missing(kind: RefKind, name: &str) -> Refusal {
    let sentence = format!("there is no {} `{}`", word(kind), shown(name));
    Refusal::not_there("ref_not_found", sentence, "GET …/refs names what there is")
}

fn exists(kind: RefKind, name: &str) -> Refusal {
    let sentence = format!("there is a {} `{}` already", word(kind), shown(name));
    Refusal::new(StatusCode::BAD_REQUEST, "ref_exists", sentence, "choose another name, or move it with a push")
}

fn word(kind: RefKind) -> &'static str {
    if kind == RefKind::Branch { "branch" } else { "tag" }
}

fn ref_object(found: &Ref, commit: Option<&Commit>, opened: &Opened) -> Value {
    let below = if found.kind == RefKind::Branch { "branches" } else { "tags" };
    let target = match (commit, &found.commit) {
        (Some(commit), _) => object::commit(commit, &opened.name, &opened.api),
        (None, Some(id)) => object::commit_link(id, &opened.api),
        (None, None) => Value::Null,
    };
    let name = doorward_wire::percent_encoded(&found.name);
    json!({
        "type": word(found.kind),
        "name": found.name,
        "target": target,
        "links": {
            "self": { "href": format!("{}/refs/{below}/{name}", opened.api) },
            "commits": { "href": format!("{}/commits/{name}", opened.api) },
        },
    })
}

/// What a list of refs can be filtered and sorted by.
const FIELDS: &[&str] = &["name", "type", "target.hash", "target.date", "target.message", "target.author.raw"];
/// Bytes of a name.
const LONGEST_NAME: usize = 255;
/// Bytes of a tag's message.
const LONGEST_MESSAGE: usize = 64 * 1024;
