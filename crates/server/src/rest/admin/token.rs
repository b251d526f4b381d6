//! `/2.0/doorward/tokens[/{id}]`: tokens of every kind. An account's own are its own to make and end, a workspace's are its
//! administrators', and all are the server's administrators'. Nobody makes one that may do more than the one that makes it.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{
    CreateToken, Lifetime, ListTokens, ReviewTokens, RevokeToken, RotateToken, ShowToken, TokenHolder, Whose, token_id,
};
use doorward_rules::{Action, CredentialId, Kind, Scope, Scopes};
use doorward_store::StoreError;
use doorward_wire::{AccountName, nearest};

use super::super::body::Object;
use super::super::call::{Call, Granted, Held, Place, Reply};
use super::super::parts::Parts;
use super::{LONGEST, answer, answer_as, length, length_of, list, named};
use crate::refusal::{Refusal, shown};

/// `GET …/tokens`: those of `account`, or of `workspace`, or all.
pub(super) async fn tokens(call: Call) -> Response<Body> {
    of_whom(&call, async |granted, whose| {
        let fields = &["kind", "account", "name", "for", "state", "created_at", "expires_at", "made_by"];
        list(&call, &granted, fields, ListTokens { whose }).await
    })
    .await
}

/// `GET …/tokens/review`: those that nobody needs, that may do more than they are used for, or that end soon.
pub(super) async fn review(call: Call) -> Response<Body> {
    of_whom(&call, async |granted, whose| {
        let within = |name, usual| call.query.last(name).map_or(Ok(usual), |text| length_of(name, text));
        let (unused, expiring) = (within("unused", 90 * DAY)?, within("expiring", 30 * DAY)?);
        let fields = &["kind", "owner", "name", "finding"];
        list(&call, &granted, fields, ReviewTokens { whose, unused, expiring }).await
    })
    .await
}

/// `POST …/tokens`: `{"account": "…", "name": "…", "scopes": ["…"]}`, or in place of the account `kind` and `for`.
pub(super) async fn create(call: Call, wanted: Object) -> Response<Body> {
    let holder = match holder(&wanted) {
        Ok(holder) => holder,
        Err(refusal) => return call.refuse(&refusal),
    };
    let workspace = match &holder.1 {
        TokenHolder::Account(..) => String::new(),
        TokenHolder::Workspace(slug) => slug.to_string(),
        TokenHolder::Project(name) => name.workspace.to_string(),
        TokenHolder::Repository(name) => name.workspace.to_string(),
    };
    let place = match &holder.1 {
        TokenHolder::Account(name, _) => Place::Holder(name),
        _ => Place::Workspace(&workspace),
    };
    call.carry_out(Action::WriteTokens, place, async |granted| {
        let (kind, holder) = holder.clone();
        if let TokenHolder::Account(_, Some(slug)) = &holder
            && !call.may_know_of(slug).await?
        {
            let sentence = format!("there is no workspace `{slug}`, or you may not see anything in it");
            return Err(Refusal::not_there("workspace_not_found", sentence, "check its spelling"));
        }
        let name = label(&wanted, "name")?;
        let lifetime = match wanted.text("expires", LONGEST)?.as_deref() {
            None => Lifetime::Usual,
            Some("never") => Lifetime::Endless,
            Some(text) => Lifetime::For(length_of("expires", text)?),
        };
        let operation = CreateToken { kind, holder, name, scopes: scopes(&wanted)?, lifetime };
        answer_as(StatusCode::CREATED, &call, &granted, operation).await
    })
    .await
}

/// `GET …/tokens/{id}`: what it is, and what it was used for.
pub(super) async fn token(call: Call, Parts(id): Parts<String>) -> Response<Body> {
    of_one(&call, Action::ReadTokens, &id, async |granted, id| answer(&call, &granted, ShowToken { id }).await).await
}

/// `DELETE …/tokens/{id}`: ends it now; with `with_made=true` also those that were made with it.
pub(super) async fn revoke(call: Call, Parts(id): Parts<String>) -> Response<Body> {
    of_one(&call, Action::WriteTokens, &id, async |granted, id| {
        let with_made = call.query.switch("with_made", false)?;
        answer(&call, &granted, RevokeToken { id, with_made }).await
    })
    .await
}

/// `POST …/tokens/{id}/rotate`: makes one like it, and lets the old one end after `overlap`.
pub(super) async fn rotate(call: Call, Parts(id): Parts<String>, wanted: Object) -> Response<Body> {
    of_one(&call, Action::WriteTokens, &id, async |granted, id| {
        let overlap = length(&wanted, "overlap")?.unwrap_or(OVERLAP);
        answer_as(StatusCode::CREATED, &call, &granted, RotateToken { id, overlap }).await
    })
    .await
}

/// Asks whether the caller may read the tokens that it names by `account` or `workspace`, and does so.
async fn of_whom(call: &Call, work: impl AsyncFnOnce(Granted, Whose) -> Reply) -> Response<Body> {
    let account: Option<AccountName> = match call.query.last("account").map(|name| named("account", name)).transpose() {
        Ok(account) => account,
        Err(refusal) => return call.refuse(&refusal),
    };
    match (call.query.last("workspace"), account) {
        (Some(_), Some(_)) => {
            let what = "it goes not with `workspace`: access tokens act for nobody";
            call.refuse(&Refusal::bad_parameter("account", what, "leave one of them out"))
        }
        (Some(workspace), None) => {
            call.carry_out(Action::ReadTokens, Place::Workspace(workspace), async |granted| {
                let slug = granted.holding_workspace(call).await?.slug;
                work(granted, Whose::Workspace(slug)).await
            })
            .await
        }
        (None, Some(name)) => {
            let place = Place::Holder(&name);
            call.carry_out(Action::ReadTokens, place, async |granted| work(granted, Whose::Account(name.clone())).await)
                .await
        }
        (None, None) => {
            call.carry_out(Action::ReadAllTokens, Place::Server, async |granted| work(granted, Whose::Everybodys).await)
                .await
        }
    }
}

/// Asks whether the caller may do something to a token, and does it. One that is not there is asked about as one that is
/// somebody else's.
pub(crate) async fn of_one(
    call: &Call,
    action: Action,
    id: &str,
    work: impl AsyncFnOnce(Granted, CredentialId) -> Reply,
) -> Response<Body> {
    let found = async {
        let id = token_id(id)?;
        match call.app.store.credential(id).await {
            Ok(credential) => Ok((id, credential.account, credential.place)),
            Err(StoreError::Missing { .. }) => Ok((id, None, None)),
            Err(error) => Err(Refusal::from(error)),
        }
    };
    let (id, account, place) = match found.await {
        Ok(found) => found,
        Err(refusal) => return call.refuse(&refusal),
    };
    let workspace = place.as_deref().and_then(|place| place.split('/').next()?.parse().ok());
    let held = match (account, workspace) {
        (Some(name), _) => Held::Account(name),
        (None, Some(slug)) => Held::Workspace(slug),
        (None, None) => Held::Nobody,
    };
    call.carry_out(action, Place::Held(id.as_str(), &held), async |granted| work(granted, id).await).await
}

/// What a new token is to be, and what it is to belong to.
fn holder(wanted: &Object) -> Result<(Kind, TokenHolder), Refusal> {
    let word = wanted.text("kind", LONGEST)?.unwrap_or_else(|| Kind::ApiToken.word().into());
    let kind = Kind::from_word(&word).filter(|kind| MADE.contains(kind)).ok_or_else(|| {
        let words = MADE.map(Kind::word).join(", ");
        Refusal::bad_parameter("kind", format!("it is none of {words}"), "change it")
    })?;
    let (account, place) = (wanted.text("account", LONGEST)?, wanted.text("for", LONGEST)?);
    match (kind.is_access_token(), account, place) {
        (false, Some(name), None) => {
            let workspace = wanted.text("workspace", LONGEST)?.map(|slug| named("workspace", &slug)).transpose()?;
            Ok((kind, TokenHolder::Account(named("account", &name)?, workspace)))
        }
        (true, None, Some(place)) => Ok((kind, TokenHolder::place(kind, &place)?)),
        (false, ..) => {
            let what = format!("an {} acts for an account, and for no place", kind.phrase());
            Err(Refusal::bad_parameter("account", what, "name the account, and leave `for` out"))
        }
        (true, ..) => {
            let what = format!("a {} belongs to a place, and acts for no account", kind.phrase());
            Err(Refusal::bad_parameter("for", what, "name the place, and leave `account` out"))
        }
    }
}

/// What somebody calls what it makes.
pub(super) fn label(wanted: &Object, field: &'static str) -> Result<String, Refusal> {
    let name = wanted.needed_text(field, LONGEST)?;
    if name.chars().count() > LONGEST_LABEL || name.contains(char::is_control) {
        let what = "it has more than 100 characters, or a control character";
        return Err(Refusal::bad_parameter(field, what, "change it"));
    }
    Ok(name)
}

pub(super) fn scopes(wanted: &Object) -> Result<Scopes, Refusal> {
    let names = wanted.texts("scopes")?.ok_or_else(|| {
        Refusal::bad_parameter("scopes", "it is required", "name scopes; [] is for what anybody may do")
    })?;
    names.iter().try_fold(Scopes::NONE, |scopes, name| Ok(scopes.with(scope(name)?)))
}

/// The scope of a name.
///
/// # Errors
/// A refusal that names those that are nearest.
pub(crate) fn scope(name: &str) -> Result<Scope, Refusal> {
    Scope::parse(name).map_err(|_| {
        let near = nearest(name, Scope::ALL.iter().map(|scope| scope.name()));
        let near = if near.is_empty() { String::new() } else { format!("; did you mean {}?", near.join(" or ")) };
        Refusal::bad_parameter("scopes", format!("there is no scope `{}`{near}", shown(name)), "change it")
    })
}

/// The kinds that can be made.
pub(super) const MADE: [Kind; 5] =
    [Kind::ApiToken, Kind::AppPassword, Kind::RepositoryToken, Kind::ProjectToken, Kind::WorkspaceToken];
const DAY: Duration = Duration::from_secs(86_400);
pub(crate) const OVERLAP: Duration = Duration::from_secs(30 * 60);
const LONGEST_LABEL: usize = 100;
