//! `/2.0/workspaces/{workspace}`, its members, and who may do what in it.

use axum::body::Body;
use axum::http::Response;
use doorward_rules::{Action, Privilege};
use doorward_store::{Account, Repository, Workspace};
use serde_json::{Value, json};

use super::call::{Call, Place};
use super::listing::Listing;
use super::object::{self, link};
use super::parts::Parts;
use super::permission::person;
use crate::refusal::{Refusal, shown};

/// `GET /2.0/workspaces/{workspace}`.
pub(super) async fn workspace(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadWorkspace, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?;
        call.json(object::workspace(&workspace, &call.base()))
    })
    .await
}

/// `GET …/members`.
pub(super) async fn members(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    people(call, workspace, "members").await
}

/// `GET …/permissions`: the members, with what each is to the workspace.
pub(super) async fn permissions(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    people(call, workspace, "permissions").await
}

async fn people(call: Call, workspace: String, below: &'static str) -> Response<Body> {
    call.carry_out(Action::ReadMembers, Place::Workspace(&workspace), async |granted| {
        let fields: &[&str] = &["permission", "user.nickname", "user.uuid", "user.account_id", "user.display_name"];
        let listing = Listing::read(&call, fields)?;
        let workspace = granted.workspace(&call).await?;
        let (people, base) = (granted.store.people_of(workspace.id).await?, call.base());
        let values = people.iter().map(|(account, owner)| membership(account, *owner, &workspace, &base)).collect();
        listing.answer(&call, values, &format!("{base}/2.0/workspaces/{}/{below}", workspace.slug))
    })
    .await
}

/// `GET …/members/{member}`: by id or user name.
pub(super) async fn member(call: Call, Parts((workspace, member)): Parts<(String, String)>) -> Response<Body> {
    call.carry_out(Action::ReadMembers, Place::Workspace(&workspace), async |granted| {
        let workspace = granted.workspace(&call).await?;
        let people = granted.store.people_of(workspace.id).await?;
        let found = people.iter().find(|(account, _)| person(account, &member));
        let (account, owner) = found.ok_or_else(|| {
            let sentence = format!("`{}` is no member of this workspace", shown(&member));
            Refusal::not_there("member_not_found", sentence, "GET …/members names them")
        })?;
        call.json(membership(account, *owner, &workspace, &call.base()))
    })
    .await
}

/// `GET …/permissions/repositories`: who may do what to each repository.
pub(super) async fn all_permissions(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    repository_permissions(call, workspace, None).await
}

/// `GET …/permissions/repositories/{repository}`: who may do what to one.
pub(super) async fn permissions_of(
    call: Call,
    Parts((workspace, repository)): Parts<(String, String)>,
) -> Response<Body> {
    repository_permissions(call, workspace, Some(repository)).await
}

async fn repository_permissions(call: Call, workspace: String, only: Option<String>) -> Response<Body> {
    call.carry_out(Action::ReadAllPermissions, Place::Workspace(&workspace), async |granted| {
        let fields: &[&str] =
            &["permission", "user.nickname", "user.uuid", "user.account_id", "repository.name", "repository.uuid"];
        let listing = Listing::read(&call, fields)?;
        let workspace = granted.workspace(&call).await?;
        let all = granted.store.repositories(Some(&workspace.slug)).await?;
        let id = |repository: &Repository| format!("{{{}}}", repository.id);
        let named = |repository: &Repository| match &only {
            Some(only) => repository.name.slug.as_str() == only || id(repository) == *only,
            None => true,
        };
        let wanted: Vec<&Repository> = all.iter().filter(|repository| named(repository)).collect();
        if wanted.is_empty() && only.is_some() {
            return Err(call.absent(Action::ReadRepository));
        }
        let (base, mut values) = (call.base(), Vec::new());
        for repository in wanted {
            for (account, privilege) in granted.store.people_with(repository.id).await? {
                values.push(permission_object(&account, privilege, repository, &base));
            }
        }
        let below = only.as_deref().map_or(String::new(), |name| format!("/{}", doorward_wire::percent_encoded(name)));
        let address = format!("{base}/2.0/workspaces/{}/permissions/repositories{below}", workspace.slug);
        listing.answer(&call, values, &address)
    })
    .await
}

fn permission_object(account: &Account, privilege: Privilege, repository: &Repository, base: &str) -> Value {
    json!({
        "type": "repository_permission",
        "permission": privilege.word(),
        "user": object::account(account, base),
        "repository": object::repository_link(&repository.name, Some(repository.id), base),
    })
}

pub(super) fn membership(account: &Account, owner: bool, workspace: &Workspace, base: &str) -> Value {
    let at = format!("{base}/2.0/workspaces/{}/members/{}", workspace.slug, object::encoded_id(account.id));
    json!({
        "type": "workspace_membership",
        "permission": if owner { "owner" } else { "member" },
        "user": object::account(account, base),
        "workspace": object::workspace_link(workspace, base),
        "links": { "self": link(at) },
    })
}
