//! `/account/credentials`: the tokens of whoever has signed in, and the applications that act for it.

use std::time::Duration;

use axum::body::Body;
use axum::http::Response;
use doorward_admin::{
    CreateToken, ListTokens, NewTokenRow, Operation, ReviewTokens, RevokeToken, RotateToken, ShowToken, ShownToken,
    TokenHolder, Whose,
};
use doorward_pages::{
    ChosenToken, CredentialPage, CredentialsPage, Frame, GrantLine, NewCredentialPage, NewSecretPage, Vocabulary,
    in_words, usages,
};
use doorward_rules::{Action, Kind, OwnFault};
use doorward_store::{Grant, StoreError, Viewer};
use doorward_wire::AccountName;

use super::cookie;
use super::visit::{Visit, html, html_as, lead_to, notice};
use crate::refusal::Refusal;
use crate::rest::admin::named;
use crate::rest::admin::token::of_one;
use crate::rest::call::{Granted, Place, Reply};
use crate::rest::parts::Parts;

/// `GET /account/credentials`.
pub(super) async fn list(visit: Visit) -> Response<Body> {
    of_own(&visit, Action::ReadTokens, async |granted, name| {
        let desk = granted.desk(&visit.call);
        let mut tokens = ListTokens { whose: Whose::Account(name.clone()) }.carry_out(&desk).await?;
        tokens.reverse();
        let all = visit.call.query.last("all").is_some();
        let lives = |state: &str| !matches!(state, "revoked" | "expired");
        let ended = tokens.iter().filter(|token| !lives(&token.state)).count();
        tokens.retain(|token| all || lives(&token.state));
        let whose = Whose::Account(name.clone());
        let findings = ReviewTokens { whose, unused: 90 * DAY, expiring: 30 * DAY }.carry_out(&desk).await?;
        let account = granted.store.account(&name).await?;
        let grants = granted.store.grants(account.id).await?.into_iter().map(grant_line).collect();
        let frame = visit.frame(&granted, "Credentials", "credentials");
        html(&CredentialsPage { frame, tokens, ended, all, findings, grants })
    })
    .await
}

/// `GET /account/credentials/new`.
pub(super) async fn new(visit: Visit) -> Response<Body> {
    of_own(&visit, Action::WriteTokens, async |granted, name| {
        let tasks = visit.call.query.all("task").map(str::to_owned).collect();
        let chosen = ChosenToken { tasks, expires: "1y".into(), ..ChosenToken::default() };
        html(&new_page(&visit, &granted, &name, chosen).await?)
    })
    .await
}

/// `POST /account/credentials/new`.
pub(super) async fn create(visit: Visit) -> Response<Body> {
    of_own(&visit, Action::WriteTokens, async |granted, name| match make(&visit, &granted, &name).await {
        Ok(made) => {
            let repository = first_repository(&visit, &granted, &name).await?;
            made_page(&visit, &granted, "Your new token", made, &repository)
        }
        Err(refusal) => {
            let (status, notice) = (refusal.status, notice(refusal)?);
            let chosen = visit.chosen_token();
            let page = new_page(&visit, &granted, &name, chosen).await?;
            html_as(status, &page.with_notice(notice))
        }
    })
    .await
}

/// `GET /account/credentials/{id}`.
pub(super) async fn show(visit: Visit, Parts(id): Parts<String>) -> Response<Body> {
    of_one(&visit.call, Action::ReadTokens, &id, async |granted, id| {
        let shown = ShowToken { id }.carry_out(&granted.desk(&visit.call)).await?;
        html(&credential_page(&visit, &granted, shown, "credentials", back()))
    })
    .await
}

/// `POST /account/credentials/{id}/rotate`.
pub(super) async fn rotate(visit: Visit, Parts(id): Parts<String>) -> Response<Body> {
    of_one(&visit.call, Action::WriteTokens, &id, async |granted, id| {
        let made = RotateToken { id, overlap: visit.overlap()? }.carry_out(&granted.desk(&visit.call)).await?;
        let repository = match made.token.account.as_deref().map(str::parse) {
            Some(Ok(name)) => first_repository(&visit, &granted, &name).await?,
            _ => EXAMPLE.to_owned(),
        };
        made_page(&visit, &granted, "The new secret", made, &repository)
    })
    .await
}

/// `POST /account/credentials/{id}/revoke`.
pub(super) async fn revoke(visit: Visit, Parts(id): Parts<String>) -> Response<Body> {
    of_one(&visit.call, Action::WriteTokens, &id, async |granted, id| {
        let with_made = visit.ticked("with_made");
        RevokeToken { id, with_made }.carry_out(&granted.desk(&visit.call)).await?;
        Ok(lead_to("/account/credentials"))
    })
    .await
}

/// `POST /account/grants/{id}/revoke`.
pub(super) async fn revoke_grant(visit: Visit, Parts(id): Parts<String>) -> Response<Body> {
    of_own(&visit, Action::WriteTokens, async |granted, name| {
        let account = granted.store.account(&name).await?;
        match granted.store.revoke_grants(&account, &id, visit.call.app.clock.now()).await {
            // It was ended in another window.
            Ok(()) | Err(StoreError::Missing { .. }) => Ok(lead_to("/account/credentials")),
            Err(error) => Err(error.into()),
        }
    })
    .await
}

/// Asks about the tokens of whoever has signed in.
pub(super) async fn of_own(
    visit: &Visit,
    action: Action,
    work: impl AsyncFnOnce(Granted, AccountName) -> Reply,
) -> Response<Body> {
    match own_name(visit).await {
        Ok(Some(name)) => {
            visit.call.carry_out(action, Place::Holder(&name), async |granted| work(granted, name.clone()).await).await
        }
        // Nobody has signed in, and so it is answered.
        Ok(None) => {
            let none = async |_| Err(Refusal::unavailable(OwnFault::Bug));
            visit.call.carry_out(Action::ReadAccount, Place::Account, none).await
        }
        Err(refusal) => visit.call.refuse(&refusal),
    }
}

/// The name of whoever has signed in.
async fn own_name(visit: &Visit) -> Result<Option<AccountName>, Refusal> {
    let session = cookie::session(&visit.call.headers, visit.is_secure());
    let found = visit.call.app.store.find(&session, doorward_store::Named::Nothing).await?;
    Ok(found.account.as_ref().and_then(|name| name.parse().ok()))
}

async fn make(visit: &Visit, granted: &Granted, name: &AccountName) -> Result<NewTokenRow, Refusal> {
    let workspace = match visit.text("workspace") {
        "" => None,
        slug => Some(named("workspace", slug)?),
    };
    if let Some(slug) = &workspace
        && !visit.call.may_know_of(slug).await?
    {
        let what = format!("there is no workspace `{slug}`, or you may not see anything in it");
        return Err(Refusal::bad_parameter("workspace", what, "choose another"));
    }
    let wanted = CreateToken {
        kind: Kind::ApiToken,
        holder: TokenHolder::Account(name.clone(), workspace),
        name: visit.label("name", 100)?,
        scopes: visit.scopes(Vocabulary::New)?,
        lifetime: visit.lifetime()?,
    };
    Ok(wanted.carry_out(&granted.desk(&visit.call)).await?)
}

async fn new_page(
    visit: &Visit,
    granted: &Granted,
    name: &AccountName,
    chosen: ChosenToken,
) -> Result<NewCredentialPage, Refusal> {
    let account = granted.store.account(name).await?;
    let workspaces = granted.store.workspaces_of(account.id).await?;
    let slugs = workspaces.iter().map(|(workspace, _)| workspace.slug.to_string()).collect();
    let frame = visit.frame(granted, "Create a token", "credentials");
    // A workspace's owner may administer it by tokens, too.
    let administers = account.administrator || workspaces.iter().any(|(_, owner)| *owner);
    Ok(NewCredentialPage::of_account(frame, slugs, administers, chosen))
}

/// A repository to show how a token is used with: one that may be seen.
async fn first_repository(visit: &Visit, granted: &Granted, name: &AccountName) -> Result<String, Refusal> {
    let account = granted.store.account(name).await?;
    for (workspace, _) in granted.store.workspaces_of(account.id).await? {
        if granted.against(&visit.call, &workspace.slug).await?.is_some() {
            continue;
        }
        let seen = granted.store.repositories_seen(workspace.id, Viewer::Account(account.id)).await?;
        if let Some((repository, _)) = seen.first() {
            return Ok(repository.name.to_string());
        }
    }
    Ok(EXAMPLE.into())
}

/// The page of a token; `back` is where one goes from there, and what that is called.
pub(super) fn credential_page(
    visit: &Visit,
    granted: &Granted,
    shown: ShownToken,
    at: &'static str,
    (back, back_name): (String, String),
) -> CredentialPage {
    let ShownToken { token, uses, made } = shown;
    let live = !matches!(token.state.as_str(), "revoked" | "expired");
    CredentialPage { frame: visit.frame(granted, token.name.clone(), at), token, uses, made, live, back, back_name }
}

/// The page with the secret of a token, and how it is used: with the user name that its kind has with git.
pub(super) fn new_secret(
    visit: &Visit,
    frame: Frame,
    heading: &'static str,
    made: NewTokenRow,
    repository: &str,
    (back, back_name): (String, String),
) -> NewSecretPage {
    let account = made.token.account.as_deref();
    let user = if account.is_some() { "x-bitbucket-api-token-auth" } else { "x-token-auth" };
    let usages = usages(&visit.call.base(), user, account, &made.secret, repository);
    let (name, old_ends) = (made.token.name, made.old_expires_at);
    NewSecretPage { frame, heading, name, secret: made.secret, key: None, old_ends, usages, back, back_name }
}

/// The page with the secret of one's own token.
fn made_page(visit: &Visit, granted: &Granted, heading: &'static str, made: NewTokenRow, repository: &str) -> Reply {
    html(&new_secret(visit, visit.frame(granted, heading, "credentials"), heading, made, repository, back()))
}

fn back() -> (String, String) {
    ("/account/credentials".into(), "Your credentials".into())
}

fn grant_line(grant: Grant) -> GrantLine {
    GrantLine {
        id: grant.consumer,
        name: grant.name,
        since: grant.created_at.to_string(),
        last_used: grant.last_used_at.map(|at| at.to_string()),
        may: in_words(grant.scopes),
    }
}

const DAY: Duration = Duration::from_secs(86_400);
const EXAMPLE: &str = "WORKSPACE/REPOSITORY";
