//! The parts of an address that are names.

use axum::extract::{FromRequestParts, Path};
use axum::http::StatusCode;
use axum::http::request::Parts as RequestParts;
use axum::response::Response;
use doorward_rules::Surface;
use serde::de::DeserializeOwned;

use crate::context::Context;
use crate::refusal::Refusal;

/// The parts of an address that the route leaves open, decoded. What is not UTF-8 then is refused as everything else is.
pub(crate) struct Parts<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Parts<T> {
    type Rejection = Response;

    async fn from_request_parts(request: &mut RequestParts, state: &S) -> Result<Self, Response> {
        let found = Path::<T>::from_request_parts(request, state).await;
        found.map(|Path(parts)| Self(parts)).map_err(|_| {
            let sentence = "the address has a part that is not UTF-8";
            let remedy = "encode names as UTF-8, each byte of it as % and two digits";
            let refusal =
                Refusal::new(StatusCode::BAD_REQUEST, "address_unreadable", sentence, remedy).on(Surface::Rest);
            match request.extensions.get::<Context>() {
                Some(context) => refusal.respond(context.id),
                None => Response::default(),
            }
        })
    }
}
