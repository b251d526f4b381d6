//! `/2.0/doorward/accounts[/{account}]`: people and bots.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_admin::{ChangeAccount, CreateAccount, CreateSignInLink, ListAccounts, ShowAccount};
use doorward_rules::Action;
use doorward_store::AccountChange;

use super::super::body::Object;
use super::super::call::{Call, Place};
use super::super::parts::Parts;
use super::{LONGEST, answer, answer_as, length, list, named};

/// `GET …/accounts`.
pub(super) async fn accounts(call: Call) -> Response<Body> {
    let fields = &["name", "email", "disabled", "administrator", "managed", "two_step", "created_at"];
    call.carry_out(Action::ReadServer, Place::Server, async |granted| list(&call, &granted, fields, ListAccounts).await)
        .await
}

/// `POST …/accounts`: `{"name": "…", "email": "…"}`.
pub(super) async fn create(call: Call, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        let name = named("name", &wanted.needed_text("name", LONGEST)?)?;
        let email = named("email", &wanted.needed_text("email", LONGEST)?)?;
        answer_as(StatusCode::CREATED, &call, &granted, CreateAccount { name, email }).await
    })
    .await
}

/// `GET …/accounts/{account}`.
pub(super) async fn account(call: Call, Parts(account): Parts<String>) -> Response<Body> {
    call.carry_out(Action::ReadServer, Place::Server, async |granted| {
        answer(&call, &granted, ShowAccount { name: named("account", &account)? }).await
    })
    .await
}

/// `PUT …/accounts/{account}`: what is said replaces what was, and the rest stays.
pub(super) async fn update(call: Call, Parts(account): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        let change = AccountChange {
            disabled: wanted.truth("disabled")?,
            administrator: wanted.truth("administrator")?,
            managed: wanted.truth("managed")?,
            two_step: wanted.truth("two_step")?,
        };
        answer(&call, &granted, ChangeAccount { name: named("account", &account)?, change }).await
    })
    .await
}

/// `POST …/accounts/{account}/link`: a link to choose the password by, good for `lifetime`.
pub(super) async fn link(call: Call, Parts(account): Parts<String>, wanted: Object) -> Response<Body> {
    call.carry_out(Action::ChangeServer, Place::Server, async |granted| {
        let (name, lifetime) = (named("account", &account)?, length(&wanted, "lifetime")?.unwrap_or(DAY));
        answer_as(StatusCode::CREATED, &call, &granted, CreateSignInLink { name, lifetime }).await
    })
    .await
}

const DAY: std::time::Duration = std::time::Duration::from_secs(86_400);
