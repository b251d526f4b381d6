//! `/2.0/user` and below: who the caller is, where it belongs, and what it may do.

use std::collections::HashSet;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_rules::bitbucket_cloud::{CROSS_WORKSPACE_LISTS_END, USER_WORKSPACES_APPEAR};
use doorward_rules::{Action, Limit, RuleSet, Surface};
use doorward_store::{OwnPermission, Workspace};
use doorward_wire::bitbucket_cloud;
use serde_json::{Value, json};

use super::call::{Call, Granted, Place};
use super::listing::Listing;
use super::object::{self, link};
use super::parts::Parts;
use super::permission::account as account_meant;
use super::workspace::membership;
use super::{braced, no_such_operation};
use crate::refusal::{Refusal, shown};

/// `GET /2.0/user`.
pub(super) async fn user(call: Call) -> Response<Body> {
    call.carry_out(Action::ReadAccount, Place::Account, async |granted| {
        call.json(object::own_account(&granted.account().await?, &call.base()))
    })
    .await
}

/// `GET /2.0/users/{id}`: oneself, or somebody in a workspace that one belongs to.
pub(super) async fn another(call: Call, Parts(id): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadAccount, Place::Account, async |granted| {
        let own = granted.account().await?;
        let missing = || {
            let sentence = format!("there is no account `{}`, or none that you know of", shown(&id));
            Refusal::not_there(
                "account_not_found",
                sentence,
                "GET /2.0/workspaces/{workspace}/members names those there",
            )
        };
        let found = account_meant(&granted, &id).await?.ok_or_else(missing)?;
        let mut known = found.id == own.id;
        for (workspace, _) in own_workspaces(&granted).await? {
            if granted.against(&call, &workspace.slug).await?.is_some() {
                continue;
            }
            known |= workspace.owner == found.name || workspace.members.iter().any(|m| m.account == found.name);
        }
        if known { call.json(object::account(&found, &call.base())) } else { Err(missing()) }
    })
    .await
}

/// `GET /2.0/user/emails`.
pub(super) async fn emails(call: Call) -> Response<Body> {
    call.carry_out(Action::ReadEmail, Place::Account, async |granted| {
        let listing = Listing::read(&call, &[])?;
        let value = email_object(&granted, &call).await?;
        listing.answer(&call, vec![value], &format!("{}/2.0/user/emails", call.base()))
    })
    .await
}

/// `GET /2.0/user/emails/{email}`.
pub(super) async fn email(call: Call, Parts(email): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadEmail, Place::Account, async |granted| {
        let value = email_object(&granted, &call).await?;
        if value["email"].as_str().is_some_and(|own| own.eq_ignore_ascii_case(&email)) {
            return call.json(value);
        }
        let sentence = "this is not the e-mail address of your account";
        Err(Refusal::not_there("email_not_found", sentence, "GET /2.0/user/emails names it"))
    })
    .await
}

async fn email_object(granted: &Granted, call: &Call) -> Result<Value, Refusal> {
    let account = granted.account().await?;
    let email = account.email.as_str();
    let at = format!("{}/2.0/user/emails/{}", call.base(), doorward_wire::percent_encoded(email));
    Ok(json!({
        "type": "email",
        "email": email,
        "is_primary": true,
        "is_confirmed": true,
        "links": { "self": link(at) },
    }))
}

/// `GET /2.0/user/workspaces`.
pub(super) async fn workspaces(call: Call) -> Response<Body> {
    let not_yet = call.context.at < USER_WORKSPACES_APPEAR;
    if call.app.settings.rules == RuleSet::BitbucketCloud && not_yet {
        return no_such_operation(&call.app, &call.context, &call.method, &call.uri);
    }
    call.carry_out(Action::ReadWorkspaces, Place::Account, async |granted| {
        let listing = Listing::read(&call, &["workspace.slug", "workspace.uuid", "administrator"])?;
        let only = call.query.last("administrator").is_some().then(|| call.query.switch("administrator", true));
        let (only, base) = (only.transpose()?, call.base());
        let mut values = Vec::new();
        for (workspace, administrator) in own_workspaces(&granted).await? {
            if only.is_none_or(|only| only == administrator) {
                let slug = workspace.slug.as_str();
                values.push(json!({
                    "type": "workspace_access",
                    "administrator": administrator,
                    "workspace": {
                        "type": "workspace_base",
                        "uuid": braced(workspace.id),
                        "slug": slug,
                        "links": { "self": link(format!("{base}/2.0/workspaces/{slug}")) },
                    },
                }));
            }
        }
        listing.answer(&call, values, &format!("{base}/2.0/user/workspaces"))
    })
    .await
}

/// `GET /2.0/user/workspaces/{workspace}/permission`.
pub(super) async fn permission(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadWorkspaces, Place::Account, async |granted| {
        let account = granted.account().await?;
        let (found, owner) = find(&call, &granted, &workspace).await?;
        call.json(membership(&account, owner, &found, &call.base()))
    })
    .await
}

/// `GET /2.0/user/workspaces/{workspace}/permissions/repositories`.
pub(super) async fn permissions_in(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadOwnPermissions, Place::Account, async |granted| {
        let listing = Listing::read(&call, PERMISSION_FIELDS)?;
        let (found, _) = find(&call, &granted, &workspace).await?;
        let address = format!("{}/2.0/user/workspaces/{}/permissions/repositories", call.base(), found.slug);
        let values = own_permissions(&call, &granted, Some(&found)).await?;
        listing.answer(&call, values, &address)
    })
    .await
}

/// `GET /2.0/user/permissions/repositories`: until it was removed there.
pub(super) async fn permissions(call: Call) -> Response<Body> {
    if let Some(removed) = removed(&call) {
        return removed;
    }
    call.carry_out(Action::ReadOwnPermissions, Place::Account, async |granted| {
        let listing = Listing::read(&call, PERMISSION_FIELDS)?;
        let values = own_permissions(&call, &granted, None).await?;
        listing.answer(&call, values, &format!("{}/2.0/user/permissions/repositories", call.base()))
    })
    .await
}

/// `GET /2.0/user/permissions/workspaces`: until it was removed there.
pub(super) async fn memberships(call: Call) -> Response<Body> {
    if let Some(removed) = removed(&call) {
        return removed;
    }
    call.carry_out(Action::ReadWorkspaces, Place::Account, async |granted| {
        let listing = Listing::read(&call, &["permission", "workspace.slug", "workspace.uuid"])?;
        let (account, base) = (granted.account().await?, call.base());
        let own = own_workspaces(&granted).await?;
        let values = own.iter().map(|(workspace, owner)| membership(&account, *owner, workspace, &base)).collect();
        listing.answer(&call, values, &format!("{base}/2.0/user/permissions/workspaces"))
    })
    .await
}

/// `GET /2.0/workspaces`: one's own, until it was removed there.
pub(super) async fn all_workspaces(call: Call) -> Response<Body> {
    if let Some(removed) = removed(&call) {
        return removed;
    }
    call.carry_out(Action::ReadWorkspaces, Place::Account, async |granted| {
        let listing = Listing::read(&call, &["slug", "name", "uuid", "created_on"])?;
        let (own, base) = (own_workspaces(&granted).await?, call.base());
        let values = own.iter().map(|(workspace, _)| object::workspace(workspace, &base)).collect();
        listing.answer(&call, values, &format!("{base}/2.0/workspaces"))
    })
    .await
}

/// `GET /2.0/repositories`: all public repositories of the host, which is not listed here, and no longer there.
pub(super) async fn all_repositories(call: Call) -> Response<Body> {
    removed(&call).unwrap_or_else(|| {
        let sentence = "the repositories of all workspaces are not listed together";
        let remedy = "ask for one workspace at a time; GET /2.0/user/workspaces names yours";
        let refusal = Refusal::new(StatusCode::GONE, "operation_removed", sentence, remedy);
        call.refuse(&refusal)
    })
}

/// What the sandbox answers of the lists across workspaces from the day of their removal on.
fn removed(call: &Call) -> Option<Response<Body>> {
    let gone = call.app.settings.rules == RuleSet::BitbucketCloud && call.context.at >= CROSS_WORKSPACE_LISTS_END;
    gone.then(|| {
        let sentence = "lists across all workspaces were removed (CHANGE-2770)";
        let remedy = "ask for one workspace at a time; GET /2.0/user/workspaces names yours";
        let refusal = Refusal::new(StatusCode::GONE, "operation_removed", sentence, remedy).on(Surface::Rest);
        call.refuse(&refusal.worded(bitbucket_cloud::removed("CHANGE-2770")))
    })
}

/// The workspaces that the caller belongs to, as far as its credential reaches, and whether it owns them.
async fn own_workspaces(granted: &Granted) -> Result<Vec<(Workspace, bool)>, Refusal> {
    let mut own = granted.store.workspaces_of(granted.account().await?.id).await?;
    own.retain(|(workspace, _)| within(granted.limit, workspace.id));
    Ok(own)
}

async fn find(call: &Call, granted: &Granted, meant: &str) -> Result<(Workspace, bool), Refusal> {
    let own = own_workspaces(granted).await?;
    let is_meant = |workspace: &Workspace| workspace.slug.as_str() == meant || braced(workspace.id) == meant;
    let found = own.into_iter().find(|(workspace, _)| is_meant(workspace));
    let found = found.ok_or_else(|| call.absent(Action::ReadWorkspace))?;
    match granted.against(call, &found.0.slug).await? {
        Some(reason) => Err(Refusal::of_reason(&reason, Surface::Rest)),
        None => Ok(found),
    }
}

async fn own_permissions(call: &Call, granted: &Granted, only: Option<&Workspace>) -> Result<Vec<Value>, Refusal> {
    let (account, base) = (granted.account().await?, call.base());
    let user = object::account(&account, &base);
    let all = granted.store.permissions_of(account.id).await?;
    // A workspace that does not let the caller in shows it nothing here either.
    let mut closed = HashSet::new();
    for slug in all.iter().map(|found| &found.name.workspace).collect::<HashSet<_>>() {
        if granted.against(call, slug).await?.is_some() {
            closed.insert(slug.clone());
        }
    }
    let wanted = |found: &&OwnPermission| {
        within(granted.limit, found.workspace)
            && only.is_none_or(|only| only.id == found.workspace)
            && !closed.contains(&found.name.workspace)
    };
    let value = |found: &OwnPermission| {
        json!({
            "type": "repository_permission",
            "permission": found.privilege.word(),
            "user": user,
            "repository": object::repository_link(&found.name, Some(found.repository), &base),
        })
    };
    Ok(all.iter().filter(wanted).map(value).collect())
}

fn within(limit: Limit, workspace: doorward_rules::WorkspaceId) -> bool {
    match limit {
        Limit::Workspace(id) => workspace == id,
        _ => true,
    }
}

const PERMISSION_FIELDS: &[&str] = &["permission", "repository.name", "repository.full_name", "repository.uuid"];
