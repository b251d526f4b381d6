//! `/2.0/doorward/workspaces/{workspace}/consumers[/{key}]`: the OAuth consumers of a workspace, which are its tokens to make and end.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{CreateConsumer, ListConsumers, RevokeConsumer, RotateConsumer};
use doorward_rules::Action;

use super::super::body::Object;
use super::super::call::{Call, Granted, Place, Reply};
use super::super::parts::Parts;
use super::token::{OVERLAP, label, scopes};
use super::{LONGEST, answer, answer_as, length, list};
use crate::refusal::Refusal;

type Two = Parts<(String, String)>;

/// `GET …/consumers`.
pub(super) async fn consumers(call: Call, Parts(workspace): Parts<String>) -> Response<Body> {
    of(&call, Action::ReadTokens, &workspace, async |granted| {
        let workspace = granted.workspace(&call).await?.slug;
        list(&call, &granted, &["key", "name", "created_at"], ListConsumers { workspace }).await
    })
    .await
}

/// `POST …/consumers`: `{"name": "…", "callback": "https://…", "scopes": ["…"]}`.
pub(super) async fn create(call: Call, Parts(workspace): Parts<String>, wanted: Object) -> Response<Body> {
    of(&call, Action::WriteTokens, &workspace, async |granted| {
        let operation = CreateConsumer {
            workspace: granted.workspace(&call).await?.slug,
            name: label(&wanted, "name")?,
            description: wanted.text("description", LONGEST)?.unwrap_or_default(),
            callback: wanted.text("callback", LONGEST_CALLBACK)?,
            private: wanted.truth("private")?.unwrap_or(true),
            scopes: scopes(&wanted)?,
        };
        if operation.description.contains(char::is_control) {
            return Err(Refusal::bad_parameter("description", "it has a control character", "change it"));
        }
        answer_as(StatusCode::CREATED, &call, &granted, operation).await
    })
    .await
}

/// `POST …/consumers/{key}/rotate`: gives it a new secret, and lets the old one end after `overlap`.
pub(super) async fn rotate(call: Call, Parts((workspace, key)): Two, wanted: Object) -> Response<Body> {
    of(&call, Action::WriteTokens, &workspace, async |granted| {
        let overlap = length(&wanted, "overlap")?.unwrap_or(OVERLAP);
        let workspace = granted.workspace(&call).await?.slug;
        answer_as(StatusCode::CREATED, &call, &granted, RotateConsumer { workspace, key, overlap }).await
    })
    .await
}

/// `DELETE …/consumers/{key}`: ends it, with all that it was let do.
pub(super) async fn revoke(call: Call, Parts((workspace, key)): Two) -> Response<Body> {
    of(&call, Action::WriteTokens, &workspace, async |granted| {
        let workspace = granted.workspace(&call).await?.slug;
        answer(&call, &granted, RevokeConsumer { workspace, key }).await
    })
    .await
}

async fn of(call: &Call, action: Action, workspace: &str, work: impl AsyncFnOnce(Granted) -> Reply) -> Response<Body> {
    call.carry_out(action, Place::Workspace(workspace), work).await
}

/// Bytes of an address.
const LONGEST_CALLBACK: usize = 2000;
