//! What Bitbucket Cloud has removed from its API: lists across all workspaces (CHANGE-2770).

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri};
use doorward_rules::{RuleSet, Surface, bitbucket_cloud::CROSS_WORKSPACE_LISTS_END};
use doorward_wire::bitbucket_cloud;

use super::no_such_operation;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;

/// The lists across workspaces: 410 from the day of their removal on. What they answered before is not known here.
pub(crate) async fn cross_workspace_list(
    State(app): State<App>,
    Extension(context): Extension<Context>,
    uri: Uri,
) -> Response<Body> {
    if app.settings.rules == RuleSet::BitbucketCloud && context.at < CROSS_WORKSPACE_LISTS_END {
        return no_such_operation(&app, &context, &uri);
    }
    let sentence = "lists across all workspaces were removed (CHANGE-2770)";
    let remedy = "ask for one workspace at a time; GET /2.0/user/workspaces names yours";
    let refusal = Refusal::new(StatusCode::GONE, "operation_removed", sentence, remedy).on(Surface::Rest);
    let refusal = if app.sandbox.is_some() { refusal.worded(bitbucket_cloud::removed("CHANGE-2770")) } else { refusal };
    refusal.respond(context.id)
}
