//! `…/permissions-config/users|groups[/{id}]`: what accounts were given on a repository.

use axum::body::Body;
use axum::http::Response;
use doorward_rules::{Action, Privilege};
use doorward_store::{Account, PermissionSource, Repository, StoreError};
use serde_json::{Value, json};

use super::body::Object;
use super::call::{Call, Granted, Place};
use super::listing::Listing;
use super::object::{self, link};
use super::parts::Parts;
use crate::refusal::{Refusal, shown};

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;

/// `GET …/permissions-config/users`: what was given on this repository, and to whom.
pub(super) async fn users(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ReadPermissions, Place::Repository(&workspace, &repository), async |granted| {
        let listing = Listing::read(&call, &["permission", "user.nickname", "user.uuid", "user.account_id"])?;
        let (repository, _) = granted.repository(&call).await?;
        let api = call.api(&repository.name);
        let given = given(&granted, &repository).await?;
        let values = given.iter().map(|(account, given)| given_object(&call, account, *given, &repository)).collect();
        listing.answer(&call, values, &format!("{api}/permissions-config/users"))
    })
    .await
}

/// `GET …/permissions-config/users/{id}`.
pub(super) async fn user(call: Call, Parts((workspace, repository, id)): Three) -> Response<Body> {
    call.carry_out(Action::ReadPermissions, Place::Repository(&workspace, &repository), async |granted| {
        let (repository, _) = granted.repository(&call).await?;
        let given = given(&granted, &repository).await?;
        let found = given.iter().find(|(account, _)| person(account, &id)).ok_or_else(|| missing(&id))?;
        call.json(given_object(&call, &found.0, found.1, &repository))
    })
    .await
}

/// `PUT …/permissions-config/users/{id}`: `{"permission": "read"}`, `write` or `admin`; and `none`, which takes away what
/// membership gives.
pub(super) async fn give(call: Call, Parts((workspace, repository, id)): Three, wanted: Object) -> Response<Body> {
    call.carry_out(Action::GivePermission, Place::Repository(&workspace, &repository), async |granted| {
        let word = wanted.needed_text("permission", 16)?;
        let privilege = Privilege::from_word(&word).ok_or_else(|| {
            Refusal::bad_parameter("permission", "it is none of read, write, admin, none", "change it")
        })?;
        let (repository, _) = granted.repository(&call).await?;
        let account = account(&granted, &id).await?.filter(|account| account.name.as_str() != id);
        let account = match account {
            Some(account) => account,
            // A user name does for those who belong here; of others it would tell whether there is such an account.
            None => known(&granted, &repository, &id).await?.ok_or_else(|| {
                let sentence = format!("there is no `{}` in this workspace", shown(&id));
                Refusal::not_there(
                    "account_not_found",
                    sentence,
                    "name somebody of the workspace, or another by the account's id",
                )
            })?,
        };
        let now = call.app.clock.now();
        match granted.store.set_permission_on(repository.id, &account.name, privilege, now).await {
            Err(StoreError::State(why)) => return Err(Refusal::bad_parameter("permission", why, "leave it")),
            done => done?,
        }
        call.json(given_object(&call, &account, privilege, &repository))
    })
    .await
}

/// `DELETE …/permissions-config/users/{id}`.
pub(super) async fn take(call: Call, Parts((workspace, repository, id)): Three) -> Response<Body> {
    call.carry_out(Action::TakePermission, Place::Repository(&workspace, &repository), async |granted| {
        let (repository, _) = granted.repository(&call).await?;
        let account = account(&granted, &id).await?.ok_or_else(|| missing(&id))?;
        match granted.store.take_permission(repository.id, &account.name, call.app.clock.now()).await {
            Err(StoreError::Missing { .. }) => return Err(missing(&id)),
            done => done?,
        }
        call.nothing()
    })
    .await
}

/// `GET …/permissions-config/groups`: there are no groups here, so nothing was given to any.
pub(super) async fn groups(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ReadPermissions, Place::Repository(&workspace, &repository), async |granted| {
        let listing = Listing::read(&call, &[])?;
        let (repository, _) = granted.repository(&call).await?;
        let address = format!("{}/permissions-config/groups", call.api(&repository.name));
        listing.answer(&call, Vec::new(), &address)
    })
    .await
}

/// Whether an account is meant: by its id, with or without braces, or its user name.
pub(super) fn person(account: &Account, meant: &str) -> bool {
    let id = meant.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(meant);
    account.id.to_string() == id || account.name.as_str() == meant
}

/// The account that is meant.
pub(super) async fn account(granted: &Granted, meant: &str) -> Result<Option<Account>, Refusal> {
    let id = meant.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(meant);
    let found = match (id.parse(), meant.parse()) {
        (Ok(id), _) => granted.store.account_by_id(id).await,
        (Err(_), Ok(name)) => granted.store.account(&name).await,
        (Err(_), Err(_)) => return Ok(None),
    };
    match found {
        Err(StoreError::Missing { .. }) => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// Somebody who belongs to the workspace, or was given something on the repository.
async fn known(granted: &Granted, repository: &Repository, meant: &str) -> Result<Option<Account>, Refusal> {
    let workspace = granted.store.workspace(&repository.name.workspace).await?;
    let mut people: Vec<Account> =
        granted.store.people_of(workspace.id).await?.into_iter().map(|(account, _)| account).collect();
    people.extend(given(granted, repository).await?.into_iter().map(|(account, _)| account));
    Ok(people.into_iter().find(|account| person(account, meant)))
}

async fn given(granted: &Granted, repository: &Repository) -> Result<Vec<(Account, Privilege)>, Refusal> {
    let mut found = Vec::new();
    for permission in granted.store.permissions(&repository.name).await? {
        if permission.source == PermissionSource::Given {
            found.push((granted.store.account(&permission.account).await?, permission.privilege));
        }
    }
    Ok(found)
}

fn missing(id: &str) -> Refusal {
    let sentence = format!("there is no account `{}` here, or nothing was given to it", shown(id));
    Refusal::not_there(
        "account_not_found",
        sentence,
        "GET …/permissions-config/users names those that were given something",
    )
}

fn given_object(call: &Call, account: &Account, privilege: Privilege, repository: &Repository) -> Value {
    let base = call.base();
    let at = format!("{}/permissions-config/users/{}", call.api(&repository.name), object::encoded_id(account.id));
    json!({
        "type": "repository_user_permission",
        "permission": privilege.word(),
        "user": object::account(account, &base),
        "repository": object::repository_link(&repository.name, Some(repository.id), &base),
        "links": { "self": link(at) },
    })
}
