//! `/2.0/repositories/{workspace}[/{repository}]`: the repositories of a workspace, what one is, making, changing, ending one.

use std::sync::atomic::{AtomicBool, Ordering};

use axum::body::Body;
use axum::http::header::LOCATION;
use axum::http::{HeaderValue, Response, StatusCode};
use doorward_git::ObjectFormat;
use doorward_rules::{Action, Privilege};
use doorward_store::{Repository, RepositoryChange, StoreError, Workspace};
use doorward_wire::{ProjectKey, RefName, RepositoryName, RepositorySlug};
use serde_json::Value;

use super::body::Object;
use super::call::{Call, Granted, Place, Reply};
use super::listing::Listing;
use super::object;
use super::parts::Parts;
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;

/// `GET /2.0/repositories/{workspace}`: those that the caller may see.
pub(super) async fn repositories(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ListRepositories, Place::Workspace(&workspace), async |granted| {
        let listing = Listing::read(&call, FIELDS)?;
        let least = match call.query.last("role") {
            None | Some("" | "member") => Privilege::Read,
            Some("contributor") => Privilege::Write,
            Some("admin" | "owner") => Privilege::Admin,
            Some(_) => {
                let what = "it is none of member, contributor, admin, owner";
                return Err(Refusal::bad_parameter("role", what, "change it, or leave it out"));
            }
        };
        let named = call.query.last("role").is_some_and(|role| !role.is_empty());
        let workspace = granted.workspace(&call).await?;
        let projects = granted.store.projects(&workspace.slug).await?;
        let mut found = granted.store.repositories_seen(workspace.id, granted.viewer()).await?;
        // What is only public is nobody's role.
        found.retain(|(_, privilege)| !named || *privilege >= least);
        let base = call.base();
        let address = format!("{base}/2.0/repositories/{}", workspace.slug);
        let value = async |repository: &Repository| {
            let project = projects.iter().find(|project| project.name.key == repository.project);
            let branch = call.app.repositories.main_branch_of(repository.id).await.unwrap_or_default();
            let size = call.app.repositories.size_of(repository.id).await;
            object::repository(repository, &workspace, project, (branch.as_deref(), size), &base)
        };
        let mut values = Vec::with_capacity(found.len());
        if listing.is_plain() {
            let part = listing.page().of(found);
            for (repository, _) in &part.values {
                values.push(value(repository).await);
            }
            return call.json(listing.page().answer(part.with(values), &address, &call.query));
        }
        for (repository, _) in &found {
            values.push(value(repository).await);
        }
        listing.answer(&call, values, &address)
    })
    .await
}

/// `GET /2.0/repositories/{workspace}/{repository}`.
pub(super) async fn repository(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ReadRepository, Place::Repository(&workspace, &repository), async |granted| {
        let (repository, workspace) = granted.repository(&call).await?;
        call.json(repository_object(&call, &granted, &repository, &workspace).await?)
    })
    .await
}

/// `POST /2.0/repositories/{workspace}/{repository}`: makes one, private unless it is said otherwise.
pub(super) async fn create(call: Call, Parts((workspace, repository)): Two, wanted: Object) -> Response<Body> {
    call.carry_out(Action::CreateRepository, Place::Workspace(&workspace), async |granted| {
        make(&call, &granted, &repository, &wanted, StatusCode::OK).await
    })
    .await
}

/// `PUT /2.0/repositories/{workspace}/{repository}`: changes one, or makes it.
pub(super) async fn update(call: Call, Parts((workspace, repository)): Two, wanted: Object) -> Response<Body> {
    let let_in = AtomicBool::new(false);
    let changed =
        call.carry_out(Action::ChangeRepository, Place::Repository(&workspace, &repository), async |granted| {
            let_in.store(true, Ordering::Relaxed);
            change(&call, &granted, &wanted).await
        });
    let changed = changed.await;
    // One that was there is not made anew, should it be gone by now.
    if changed.status() != StatusCode::NOT_FOUND || let_in.load(Ordering::Relaxed) {
        return changed;
    }
    // Whoever may make one in the workspace sees all that are there; whoever may not is told the same of one that is hidden and
    // of none.
    call.carry_out(Action::CreateRepository, Place::Workspace(&workspace), async |granted| {
        make(&call, &granted, &repository, &wanted, StatusCode::CREATED).await
    })
    .await
}

/// `DELETE /2.0/repositories/{workspace}/{repository}`.
pub(super) async fn delete(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::DeleteRepository, Place::Repository(&workspace, &repository), async |granted| {
        if call.query.last("redirect_to").is_some() {
            let what = "nobody is redirected from a repository that is deleted";
            return Err(Refusal::bad_parameter("redirect_to", what, "leave it out"));
        }
        let (repository, _) = granted.repository(&call).await?;
        granted.store.delete_repository_with_id(repository.id, call.app.clock.now()).await?;
        call.app.repositories.delete(repository.id)?;
        call.nothing()
    })
    .await
}

async fn make(call: &Call, granted: &Granted, slug: &str, wanted: &Object, status: StatusCode) -> Reply {
    let workspace = granted.workspace(call).await?;
    let slug: RepositorySlug = slug.parse().map_err(|error: doorward_wire::NameError| {
        Refusal::bad_parameter("repo_slug", error.to_string(), "use small letters, digits, `-`, `_` and `.`")
    })?;
    let name = RepositoryName { workspace: workspace.slug.clone(), slug };
    let settings = settings(granted, wanted, &workspace).await?;
    let branch = main_branch(call, wanted)?;
    let public = settings.public.unwrap_or(false);
    let now = call.app.clock.now();
    if granted.store.repository(&name).await.is_ok() {
        return Err(taken(&name));
    }
    // The files come first: a repository that can be named is there.
    let id = granted.store.new_repository_id(now);
    call.app.repositories.create(id, ObjectFormat::Sha1).await?;
    let made = granted.store.create_repository(id, &name, settings.project.as_ref(), public, now).await;
    if let Err(error) = made {
        call.app.repositories.delete(id)?;
        return Err(match error {
            StoreError::Exists { .. } => taken(&name),
            error => error.into(),
        });
    }
    if let Some(branch) = &branch {
        call.app.repositories.set_head(id, branch).await?;
    }
    let rest = RepositoryChange { slug: None, public: None, project: None, ..settings };
    let made = match rest == RepositoryChange::default() {
        true => granted.store.repository_by_id(id).await?,
        false => granted.store.change_repository(id, &rest, now).await?,
    };
    located(call, granted, &made, &workspace, status).await
}

async fn change(call: &Call, granted: &Granted, wanted: &Object) -> Reply {
    let (repository, workspace) = granted.repository(call).await?;
    let mut settings = settings(granted, wanted, &workspace).await?;
    let branch = main_branch(call, wanted)?;
    if let Some(title) = settings.title.as_ref().filter(|title| **title != repository.title) {
        // As with Bitbucket Cloud, what people call it names it in addresses too.
        let slug = slug_of(title).parse().map_err(|error: doorward_wire::NameError| {
            Refusal::bad_parameter("name", error.to_string(), "choose one with letters or digits")
        })?;
        settings.slug = Some(slug);
    }
    if let Some(branch) = &branch {
        if !call.app.repositories.has_ref(repository.id, branch).await? && !is_empty(call, &repository).await? {
            let what = format!("there is no branch `{}`", shown(branch.to_string().trim_start_matches("refs/heads/")));
            return Err(Refusal::bad_parameter("mainbranch", what, "name one that there is"));
        }
        settings.main_branch = Some(branch.to_string());
    }
    let renamed = settings.slug.as_ref().is_some_and(|slug| *slug != repository.name.slug);
    let changed = granted.store.change_repository(repository.id, &settings, call.app.clock.now()).await;
    let changed = changed.map_err(|error| match error {
        StoreError::Exists { .. } => {
            Refusal::bad_parameter("name", "there is a repository of this name already", "choose another")
        }
        error => error.into(),
    })?;
    if let Some(branch) = &branch {
        call.app.repositories.set_head(repository.id, branch).await?;
    }
    if renamed {
        return located(call, granted, &changed, &workspace, StatusCode::OK).await;
    }
    call.json(repository_object(call, granted, &changed, &workspace).await?)
}

/// The branch that is to be the main one, if one is named.
fn main_branch(call: &Call, wanted: &Object) -> Result<Option<RefName>, Refusal> {
    let branch = wanted.inner_text("mainbranch", "name")?;
    branch.map(|branch| super::refs::full_name(call, doorward_git::RefKind::Branch, &branch)).transpose()
}

/// Whether a repository's main branch is still to come: then it may be any.
async fn is_empty(call: &Call, repository: &Repository) -> Result<bool, Refusal> {
    let main = call.app.repositories.main_branch_of(repository.id).await?.unwrap_or_default();
    let main = super::refs::full_name(call, doorward_git::RefKind::Branch, &main)?;
    Ok(!call.app.repositories.has_ref(repository.id, &main).await?)
}

/// What is said of a repository's settings.
async fn settings(granted: &Granted, wanted: &Object, workspace: &Workspace) -> Result<RepositoryChange, Refusal> {
    let wrong =
        |what: &str| Refusal::bad_parameter("project", what, "name one of GET …/workspaces/{workspace}/projects");
    let key = wanted.inner_text("project", "key")?;
    let uuid = wanted.inner_text("project", "uuid")?;
    let project = match (key, uuid) {
        (None, None) => None,
        (key, uuid) => {
            let key =
                key.map(|key| key.parse::<ProjectKey>()).transpose().map_err(|error| wrong(&error.to_string()))?;
            let projects = granted.store.projects(&workspace.slug).await?;
            let found = projects.into_iter().find(|project| match (&key, &uuid) {
                (Some(key), _) => project.name.key == *key,
                (None, Some(uuid)) => uuid.trim_matches(['{', '}']) == project.id.to_string(),
                (None, None) => false,
            });
            Some(found.ok_or_else(|| wrong("there is no such project in this workspace"))?.name.key)
        }
    };
    if wanted.text("scm", 16)?.is_some_and(|scm| scm != "git") {
        return Err(Refusal::bad_parameter("scm", "it is not git", "leave it out"));
    }
    let fork_policy = wanted.text("fork_policy", 32)?;
    if fork_policy.as_ref().is_some_and(|policy| !FORK_POLICIES.contains(&policy.as_str())) {
        let what = format!("it is none of {}", FORK_POLICIES.join(", "));
        return Err(Refusal::bad_parameter("fork_policy", what, "change it"));
    }
    let website = wanted.text("website", LONGEST_TEXT)?;
    let is_web = |url: &str| url.is_empty() || ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
    if website.as_ref().is_some_and(|url| !is_web(&url.to_ascii_lowercase())) {
        let what = "it is no address that begins with http:// or https://";
        return Err(Refusal::bad_parameter("website", what, "change it"));
    }
    for name in ["has_issues", "has_wiki"] {
        if wanted.truth(name)? == Some(true) {
            return Err(Refusal::bad_parameter(name, "there are none on this server", "leave it out, or say false"));
        }
    }
    Ok(RepositoryChange {
        slug: None,
        title: wanted.text("name", LONGEST_NAME)?.filter(|name| !name.trim().is_empty()),
        description: wanted.text("description", LONGEST_TEXT)?,
        language: wanted.text("language", LONGEST_NAME)?,
        website,
        fork_policy,
        public: wanted.truth("is_private")?.map(|private| !private),
        project,
        main_branch: None,
    })
}

async fn repository_object(
    call: &Call,
    granted: &Granted,
    repository: &Repository,
    workspace: &Workspace,
) -> Result<Value, Refusal> {
    let projects = granted.store.projects(&workspace.slug).await?;
    let project = projects.iter().find(|project| project.name.key == repository.project);
    let branch = call.app.repositories.main_branch_of(repository.id).await?;
    let size = call.app.repositories.size_of(repository.id).await;
    Ok(object::repository(repository, workspace, project, (branch.as_deref(), size), &call.base()))
}

/// The answer with the address that it has from now on.
async fn located(
    call: &Call,
    granted: &Granted,
    repository: &Repository,
    workspace: &Workspace,
    status: StatusCode,
) -> Reply {
    let mut response = call.json_as(status, repository_object(call, granted, repository, workspace).await?)?;
    if let Ok(location) = HeaderValue::from_str(&call.api(&repository.name)) {
        response.headers_mut().insert(LOCATION, location);
    }
    Ok(response)
}

fn taken(name: &RepositoryName) -> Refusal {
    let sentence = format!("there is a repository `{name}` already");
    Refusal::new(StatusCode::BAD_REQUEST, "repository_exists", sentence, "choose another name, or change it with PUT")
}

/// What people call a repository, as part of an address.
fn slug_of(title: &str) -> String {
    let plain = |letter: char| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '-' };
    let slug: String = title.trim().to_ascii_lowercase().chars().map(plain).collect();
    slug.split('-').filter(|part| !part.is_empty()).collect::<Vec<_>>().join("-")
}

/// What a list of repositories can be filtered and sorted by.
const FIELDS: &[&str] = &[
    "name",
    "slug",
    "full_name",
    "uuid",
    "description",
    "is_private",
    "scm",
    "language",
    "created_on",
    "updated_on",
    "size",
    "project.key",
    "project.name",
    "project.uuid",
    "mainbranch.name",
    "workspace.slug",
    "owner.username",
];
const FORK_POLICIES: &[&str] = &["allow_forks", "no_public_forks", "no_forks"];
/// Letters of a name.
const LONGEST_NAME: usize = 62;
/// Bytes of a description.
const LONGEST_TEXT: usize = 16 * 1024;
