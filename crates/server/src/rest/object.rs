//! What is answered of each thing, as an object of JSON in the shape that Bitbucket Cloud documents.

use doorward_git::Commit;
use doorward_rules::Timestamp;
use doorward_store::{Account, Project, Repository, Workspace};
use doorward_wire::{ObjectId, RepositoryName};
use serde_json::{Value, json};

use super::{braced, git_base};

/// An account, as others see it.
pub(crate) fn account(account: &Account, base: &str) -> Value {
    let name = account.name.as_str();
    json!({
        "type": "user",
        "uuid": braced(account.id),
        "account_id": account.id.to_string(),
        "nickname": name,
        "username": name,
        "display_name": name,
        "created_on": moment(account.created_at),
        "links": {
            "self": link(format!("{base}/2.0/users/{}", encoded_id(account.id))),
            "html": link(format!("{}/{}/", git_base(base), encoded_id(account.id))),
            "avatar": avatar(base),
        },
    })
}

/// An account, as it sees itself.
pub(super) fn own_account(own: &Account, base: &str) -> Value {
    let mut value = account(own, base);
    value["account_status"] = json!("active");
    value["has_2fa_enabled"] = json!(own.two_step);
    value["is_staff"] = json!(false);
    value["location"] = Value::Null;
    value
}

/// A workspace.
pub(super) fn workspace(workspace: &Workspace, base: &str) -> Value {
    let (slug, at) = (workspace.slug.as_str(), moment(workspace.created_at));
    let api = format!("{base}/2.0/workspaces/{slug}");
    json!({
        "type": "workspace",
        "uuid": braced(workspace.id),
        "slug": slug,
        "name": slug,
        "is_private": true,
        "is_privacy_enforced": false,
        "forking_mode": "internal_only",
        "created_on": at,
        "updated_on": at,
        "links": {
            "self": link(api.clone()),
            "html": link(format!("{}/{slug}/", git_base(base))),
            "avatar": avatar(base),
            "members": link(format!("{api}/members")),
            "projects": link(format!("{api}/projects")),
            "repositories": link(format!("{base}/2.0/repositories/{slug}")),
        },
    })
}

/// A workspace where another thing is meant.
pub(super) fn workspace_link(workspace: &Workspace, base: &str) -> Value {
    let slug = workspace.slug.as_str();
    json!({
        "type": "workspace",
        "uuid": braced(workspace.id),
        "slug": slug,
        "name": slug,
        "links": {
            "self": link(format!("{base}/2.0/workspaces/{slug}")),
            "html": link(format!("{}/{slug}/", git_base(base))),
            "avatar": avatar(base),
        },
    })
}

/// A project.
pub(super) fn project(project: &Project, workspace: &Workspace, base: &str) -> Value {
    let mut value = project_link(project, base);
    value["description"] = json!(project.description);
    value["is_private"] = json!(project.private);
    value["owner"] = owner(workspace);
    value["workspace"] = workspace_link(workspace, base);
    value["has_publicly_visible_repos"] = json!(false);
    value["created_on"] = json!(moment(project.created_at));
    value["updated_on"] = json!(moment(project.updated_at));
    value
}

/// A project where another thing is meant.
pub(super) fn project_link(project: &Project, base: &str) -> Value {
    let key = project.name.key.as_str();
    let (workspace, id) = (&project.name.workspace, project.id);
    let repositories = format!("{base}/2.0/repositories/{workspace}?q=project.key%3D%22{key}%22");
    json!({
        "type": "project",
        "uuid": braced(id),
        "key": key,
        "name": project.title,
        "links": {
            "self": link(format!("{base}/2.0/workspaces/{workspace}/projects/{key}")),
            "html": link(format!("{}/{workspace}/workspace/projects/{key}", git_base(base))),
            "avatar": avatar(base),
            "repositories": link(repositories),
        },
    })
}

fn owner(workspace: &Workspace) -> Value {
    let slug = workspace.slug.as_str();
    json!({ "type": "team", "uuid": braced(workspace.id), "username": slug, "display_name": slug })
}

/// A repository; `branch` is its main branch, if HEAD names one, and `size` in bytes.
pub(crate) fn repository(
    repository: &Repository,
    workspace: &Workspace,
    project: Option<&Project>,
    (branch, size): (Option<&str>, u64),
    base: &str,
) -> Value {
    let name = &repository.name;
    let api = format!("{base}/2.0/repositories/{name}");
    let project = match project {
        Some(project) => project_link(project, base),
        None => json!({ "type": "project", "key": repository.project.as_str() }),
    };
    let mainbranch = branch.map(|branch| json!({ "type": "branch", "name": branch }));
    json!({
        "type": "repository",
        "uuid": braced(repository.id),
        "full_name": name.to_string(),
        "name": repository.title,
        "slug": name.slug.as_str(),
        "description": repository.description,
        "scm": "git",
        "is_private": !repository.public,
        "workspace": workspace_link(workspace, base),
        "owner": owner(workspace),
        "project": project,
        "fork_policy": repository.fork_policy,
        "language": repository.language,
        "size": size,
        "website": repository.website,
        "parent": null,
        "created_on": moment(repository.created_at),
        "updated_on": moment(repository.updated_at),
        "has_issues": false,
        "has_wiki": false,
        "mainbranch": mainbranch,
        "links": {
            "self": link(api.clone()),
            "html": link(format!("{}/{name}", git_base(base))),
            "avatar": avatar(base),
            "clone": [{ "name": "https", "href": format!("{}/{name}.git", git_base(base)) }],
            "source": link(format!("{api}/src")),
            "commits": link(format!("{api}/commits")),
            "branches": link(format!("{api}/refs/branches")),
            "tags": link(format!("{api}/refs/tags")),
            "hooks": link(format!("{api}/hooks")),
        },
    })
}

/// A repository where another thing is meant.
pub(super) fn repository_link(name: &RepositoryName, id: Option<doorward_rules::RepositoryId>, base: &str) -> Value {
    let mut value = json!({
        "type": "repository",
        "full_name": name.to_string(),
        "name": name.slug.as_str(),
        "links": {
            "self": link(format!("{base}/2.0/repositories/{name}")),
            "html": link(format!("{}/{name}", git_base(base))),
            "avatar": avatar(base),
        },
    });
    if let Some(id) = id {
        value["uuid"] = json!(braced(id));
    }
    value
}

/// A commit.
pub(crate) fn commit(commit: &Commit, name: &RepositoryName, api: &str) -> Value {
    // A message may be as long as a file; nobody reads that here.
    let message: String = commit.message.chars().take(LONGEST_MESSAGE).collect();
    let base = api.split("/2.0/").next().unwrap_or_default();
    json!({
        "type": "commit",
        "hash": commit.id.as_str(),
        "date": commit.date.strip_suffix('Z').map_or_else(|| commit.date.clone(), |date| format!("{date}+00:00")),
        "message": message,
        "summary": {
            "type": "rendered",
            "raw": message,
            "markup": "markdown",
            "html": format!("<p>{}</p>", escaped(message.trim_end())),
        },
        "rendered": {},
        "author": { "type": "author", "raw": signature(&commit.author) },
        "committer": { "type": "committer", "raw": signature(&commit.committer) },
        "participants": [],
        "parents": commit.parents.iter().map(|id| commit_link(id, api)).collect::<Vec<_>>(),
        "repository": repository_link(name, None, base),
        "links": {
            "self": link(format!("{api}/commit/{}", commit.id)),
            "html": link(format!("{}/{name}/commits/{}", git_base(base), commit.id)),
            "statuses": link(format!("{api}/commit/{}/statuses", commit.id)),
            "diff": link(format!("{api}/diff/{}", commit.id)),
            "patch": link(format!("{api}/patch/{}", commit.id)),
        },
    })
}

/// Name and address as in a commit.
pub(super) fn signature((name, address): &(String, String)) -> String {
    match address.is_empty() {
        true => name.clone(),
        false => format!("{name} <{address}>"),
    }
}

/// What there is of a commit where another thing is meant.
pub(super) fn commit_link(id: &ObjectId, api: &str) -> Value {
    json!({ "type": "commit", "hash": id.as_str(), "links": { "self": link(format!("{api}/commit/{id}")) } })
}

/// A path within a repository as part of an address.
pub(super) fn below(path: &str, directory: bool) -> String {
    let parts: Vec<String> = path.split('/').map(doorward_wire::percent_encoded).collect();
    let path = parts.join("/");
    if directory && !path.is_empty() { format!("{path}/") } else { path }
}

/// The picture of everything that has none of its own.
fn avatar(base: &str) -> Value {
    link(format!("{base}/2.0/doorward/avatar.svg"))
}

/// An address, as `links` has it.
pub(crate) fn link(href: String) -> Value {
    json!({ "href": href })
}

/// A moment as Bitbucket Cloud writes it, with microseconds and an offset: there are clients that read no other form.
pub(crate) fn moment(at: Timestamp) -> String {
    let (seconds, millis) = (at.to_string(), at.0.rem_euclid(1000));
    format!("{}.{millis:03}000+00:00", seconds.trim_end_matches('Z'))
}

/// An id in braces, as part of an address.
pub(super) fn encoded_id(id: impl std::fmt::Display) -> String {
    format!("%7B{id}%7D")
}

pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As much of a commit's message as is shown, in letters.
const LONGEST_MESSAGE: usize = 16 * 1024;
