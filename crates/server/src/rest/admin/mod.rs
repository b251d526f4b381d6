//! `/2.0/doorward/…`: administering by REST, which only this server has. What is done is the same as on the command line.

mod account;
pub(crate) mod audit;
mod calendar;
mod consumer;
mod policy;
mod repository;
mod shape;
mod table;
pub(crate) mod token;
mod workspace;

use std::str::FromStr;

use axum::body::Body;
use axum::http::header::{CACHE_CONTROL, HeaderValue};
use axum::http::{Response, StatusCode};
use doorward_admin::{AdminError, Operation};
use doorward_rules::{OwnFault, Timestamp};
use doorward_store::{Noun, StoreError};
use serde::Serialize;
use serde_json::Value;

use super::body::Object;
use super::call::{Call, Granted, Reply};
use super::listing::Listing;
use crate::refusal::{Refusal, shown};

pub(super) use shape::shapes;
pub(super) use table::operations;

/// Does something on behalf of the caller, and answers with what comes of it.
async fn answer<O: Operation>(call: &Call, granted: &Granted, operation: O) -> Reply {
    answer_as(StatusCode::OK, call, granted, operation).await
}

/// The same with another status.
async fn answer_as<O: Operation>(status: StatusCode, call: &Call, granted: &Granted, operation: O) -> Reply {
    let done = operation.carry_out(&granted.desk(call)).await?;
    Ok(unstored(call.json_as(status, value(&done)?)?))
}

/// Asks for a list on behalf of the caller, which can be filtered and sorted by these fields.
async fn list<T: Serialize, O: Operation<Answer = Vec<T>>>(
    call: &Call,
    granted: &Granted,
    fields: &[&'static str],
    operation: O,
) -> Reply {
    let listing = Listing::read(call, fields)?;
    let all = operation.carry_out(&granted.desk(call)).await?;
    let values = all.iter().map(value).collect::<Result<_, _>>()?;
    Ok(unstored(listing.answer(call, values, &address(call))?))
}

/// The same, to be kept nowhere: there may be a secret in it, or what is nobody else's business.
fn unstored(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Where the call itself went to.
fn address(call: &Call) -> String {
    let path = call.uri.path();
    let path = path.strip_prefix("/2.0").unwrap_or(path);
    format!("{}/2.0{}", call.base(), path)
}

fn value(row: &impl Serialize) -> Result<Value, Refusal> {
    serde_json::to_value(row).map_err(|error| {
        tracing::error!(%error, "an answer cannot be written");
        Refusal::unavailable(OwnFault::Bug)
    })
}

/// A name in an address or a body.
pub(crate) fn named<T: FromStr<Err: ToString>>(field: &'static str, text: &str) -> Result<T, Refusal> {
    text.parse().map_err(|error: T::Err| Refusal::bad_parameter(field, error.to_string(), "change it"))
}

/// A moment that is sent, if it is.
fn moment(body: &Object, field: &'static str) -> Result<Option<Timestamp>, Refusal> {
    body.text(field, LONGEST)?.map(|text| moment_of(field, &text)).transpose()
}

pub(crate) fn moment_of(field: &'static str, text: &str) -> Result<Timestamp, Refusal> {
    let at = text.parse::<Timestamp>().ok().filter(|at| *at <= Timestamp::LAST);
    let what = "it is no moment as 2027-03-01 or 2027-03-01T06:00:00Z";
    at.ok_or_else(|| Refusal::bad_parameter(field, what, "change it"))
}

/// A length of time that is sent, if it is.
fn length(body: &Object, field: &'static str) -> Result<Option<std::time::Duration>, Refusal> {
    body.text(field, LONGEST)?.map(|text| length_of(field, &text)).transpose()
}

pub(crate) fn length_of(field: &'static str, text: &str) -> Result<std::time::Duration, Refusal> {
    let wrong = |what: String| Refusal::bad_parameter(field, what, "write it as 30m, 12h or 90d");
    let length = doorward_wire::parse_duration(text).map_err(|error| wrong(error.to_string()))?;
    if length <= CENTURY { Ok(length) } else { Err(wrong("it is longer than a hundred years".into())) }
}

/// What is answered to what cannot be done.
impl From<AdminError> for Refusal {
    fn from(error: AdminError) -> Self {
        let sentence = error.to_string();
        match error {
            AdminError::Store(StoreError::Missing { noun, .. }) => {
                Self::not_there(missing(noun), shown(&sentence), "check what you named")
            }
            AdminError::Store(StoreError::Exists { .. }) => Self::conflict("taken", shown(&sentence), "choose another"),
            AdminError::Store(StoreError::State(why)) => Self::conflict("state", why, "nothing was changed"),
            AdminError::Store(error) => error.into(),
            AdminError::Git(error) | AdminError::Import(error) => error.into(),
            AdminError::Interrupted => Self::unavailable(OwnFault::Bug),
            AdminError::Wrong { field, sentence, remedy } => Self::bad_parameter(field, sentence, remedy),
            AdminError::Absent { sentence, remedy } => Self::not_there("not_there", sentence, remedy),
            AdminError::Beyond { sentence, remedy } => {
                Self::new(StatusCode::FORBIDDEN, "beyond_own_token", sentence, remedy)
            }
        }
    }
}

fn missing(noun: Noun) -> &'static str {
    match noun {
        Noun::Account | Noun::Email => "account_not_found",
        Noun::Workspace => "workspace_not_found",
        Noun::Member => "member_not_found",
        Noun::Project => "project_not_found",
        Noun::Repository => "repository_not_found",
        Noun::Permission => "permission_not_found",
        Noun::Webhook => "webhook_not_found",
        Noun::Token => "token_not_found",
        Noun::Request => "request_not_found",
        Noun::Consumer => "consumer_not_found",
        Noun::Grant => "grant_not_found",
        Noun::Passkey => "passkey_not_found",
        Noun::UpstreamCredential => "upstream_credential_not_found",
    }
}

/// Bytes of a name or a moment that is sent.
const LONGEST: usize = 256;
const CENTURY: std::time::Duration = std::time::Duration::from_secs(100 * 365 * 86_400);
