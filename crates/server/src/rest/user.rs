//! `/2.0/user` and `/2.0/user/workspaces`: who the caller is, and where it belongs.

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Response, Uri};
use doorward_rules::{Action, Limit, RuleSet, Surface, Target, bitbucket_cloud};
use doorward_store::{Account, StoreError, Workspace};
use serde_json::{Value, json};

use super::{answer, base, braced, no_such_operation};
use crate::admit::Wish;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;

/// `GET /2.0/user`.
pub(crate) async fn user(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
) -> Response<Body> {
    let wish = Wish::rest(Action::ReadAccount, None);
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    match account(&app, admitted.permit.target()).await {
        Ok(account) => {
            let value = account_object(&account, &base(&app, &headers));
            answer(&app, &context, wish, admitted, &value).await
        }
        Err(error) => Refusal::from(error).on(Surface::Rest).respond(context.id),
    }
}

/// `GET /2.0/user/workspaces`.
pub(crate) async fn workspaces(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    headers: HeaderMap,
    uri: Uri,
) -> Response<Body> {
    let not_yet = context.at < bitbucket_cloud::USER_WORKSPACES_APPEAR;
    if app.settings.rules == RuleSet::BitbucketCloud && not_yet {
        return no_such_operation(&app, &context, &uri);
    }
    let wish = Wish::rest(Action::ReadWorkspaces, None);
    let admitted = match app.admit(&context, &headers, wish).await {
        Ok(admitted) => admitted,
        Err(away) => return away.respond(),
    };
    let found = async {
        let account = account(&app, admitted.permit.target()).await?;
        app.store.workspaces_of(account.id).await
    };
    match found.await {
        Ok(found) => {
            let base = base(&app, &headers);
            let within = |workspace: &Workspace| match admitted.limit {
                Limit::Workspace(id) => workspace.id == id,
                _ => true,
            };
            let values: Vec<Value> = found
                .iter()
                .filter(|(workspace, _)| within(workspace))
                .map(|(workspace, administrator)| {
                    let slug = &workspace.slug;
                    json!({
                        "type": "workspace_access",
                        "administrator": administrator,
                        "workspace": {
                            "type": "workspace_base",
                            "uuid": braced(workspace.id),
                            "slug": slug.as_str(),
                            "links": { "self": { "href": format!("{base}/2.0/workspaces/{slug}") } },
                        },
                    })
                })
                .collect();
            let page = json!({ "values": values, "page": 1, "pagelen": PAGE, "size": values.len() });
            answer(&app, &context, wish, admitted, &page).await
        }
        Err(error) => Refusal::from(error).on(Surface::Rest).respond(context.id),
    }
}

/// The account that a permit is for.
async fn account(app: &App, target: Target) -> Result<Account, StoreError> {
    match target {
        Target::Account(id) => app.store.account_by_id(id).await,
        Target::Repository(_) => Err(StoreError::State("a permit for a repository was brought to an account".into())),
    }
}

fn account_object(account: &Account, base: &str) -> Value {
    let uuid = braced(account.id);
    json!({
        "type": "user",
        "uuid": uuid,
        "account_id": account.id.to_string(),
        "username": account.name.as_str(),
        "nickname": account.name.as_str(),
        "display_name": account.name.as_str(),
        "account_status": "active",
        "has_2fa_enabled": account.two_step,
        "is_staff": false,
        "location": null,
        "created_on": account.created_at.to_string(),
        "links": { "self": { "href": format!("{base}/2.0/users/{}", uuid.replace('{', "%7B").replace('}', "%7D")) } },
    })
}

/// The length of a page, which is longer than the list of anybody's workspaces.
const PAGE: usize = 100;
