//! One request of a browser: a call, what its form has sent, and what the page around the answer needs.

use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{CONTENT_TYPE, HOST, LOCATION, SET_COOKIE};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Response, StatusCode};
use doorward_pages::{Frame, Notice, Template, Viewer};
use doorward_rules::{OwnFault, Presented, Surface};
use doorward_store::{Finding, Named};

use super::cookie;
use super::dress::{HTML, Seal, Sent};
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::rest::call::{Call, Granted, Reply};
use crate::rest::page::Query;

/// One request of a browser.
#[derive(Clone)]
pub(crate) struct Visit {
    pub(crate) call: Call,
    pub(crate) seal: Seal,
    /// What the form has sent; nothing if it was none.
    pub(crate) form: Query,
}

impl FromRequestParts<App> for Visit {
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let call = Call { surface: Surface::Web, ..Call::from_request_parts(parts, app).await? };
        let missing = || Refusal::unavailable(OwnFault::Bug).on(Surface::Web).respond(call.context.id);
        let seal = parts.extensions.get::<Seal>().cloned().ok_or_else(missing)?;
        let form = parts.extensions.remove::<Sent>().map(|sent| sent.0).unwrap_or_default();
        Ok(Self { call, seal, form })
    }
}

impl Visit {
    /// What is around a page for whoever was let in.
    pub(crate) fn frame(&self, granted: &Granted, title: impl Into<String>, at: &'static str) -> Frame {
        let viewer = granted.credential.as_ref().zip(granted.decision.account.as_ref());
        let viewer =
            viewer.map(|(credential, name)| Viewer { name: name.clone(), administrator: credential.administrator });
        Frame { viewer, ..bare(&self.call.context, &self.seal, title, at) }
    }

    /// What is around a page for whoever is there.
    pub(crate) async fn frame_for_anybody(&self, title: &str) -> Frame {
        let found =
            self.call.app.store.find(&cookie::session(&self.call.headers, self.is_secure()), Named::Nothing).await.ok();
        frame(&self.call.context, &self.seal, found.as_deref(), title, "")
    }

    /// Whether the browser is spoken to by TLS.
    pub(crate) fn is_secure(&self) -> bool {
        self.call.app.is_secure()
    }

    /// Whether the browser is at the address that people use: what is bound to that is of no use elsewhere.
    pub(crate) fn is_at_home(&self) -> bool {
        let host = self.call.headers.get(HOST).and_then(|host| host.to_str().ok());
        let authority = self.call.base().split_once("://").map(|(_, authority)| authority.to_owned());
        // Of HTTP/2 the authority is not in a header, and TLS has made sure of it.
        host.is_none_or(|host| authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host)))
    }

    /// A text of the form, without white space around it.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.form.last(name).unwrap_or_default().trim()
    }
}

/// A page as an answer.
pub(crate) fn html(page: &impl Template) -> Reply {
    html_as(StatusCode::OK, page)
}

/// The same with another status.
pub(crate) fn html_as(status: StatusCode, page: &impl Template) -> Reply {
    let text = page.render().map_err(|error| {
        tracing::error!(%error, "a page cannot be rendered");
        Refusal::unavailable(OwnFault::Bug)
    })?;
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    Ok(response)
}

/// Leads to another page, after a form was carried out.
pub(crate) fn lead_to(path: &str) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    let path = HeaderValue::from_str(path).unwrap_or(HeaderValue::from_static("/"));
    response.headers_mut().insert(LOCATION, path);
    response
}

/// Sets a cookie with an answer.
pub(crate) fn with_cookie(mut response: Response<Body>, cookie: HeaderValue) -> Response<Body> {
    response.headers_mut().append(SET_COOKIE, cookie);
    response
}

/// What keeps a form from being carried out, to be told on the page that it is on. Trouble of our own is none of the form's.
pub(crate) fn notice(refusal: Refusal) -> Result<Notice, Refusal> {
    let server = refusal.status.is_server_error() || refusal.withdrawn_by.is_some();
    if server {
        return Err(refusal);
    }
    let sentence = match &refusal.field {
        Some(field) => field.1.clone(),
        None => refusal.sentence.clone(),
    };
    Ok(Notice::refused(super::dress::capital(&sentence), super::dress::capital(&refusal.remedy)))
}

/// What is around a page for whoever was found.
pub(super) fn frame(
    context: &Context,
    seal: &Seal,
    found: Option<&Finding>,
    title: impl Into<String>,
    at: &'static str,
) -> Frame {
    let valid = |credential: &doorward_rules::Credential| {
        let ended = credential.expires_at.is_some_and(|end| end <= context.at);
        !ended && credential.revoked_at.is_none() && !credential.owner_disabled
    };
    let viewer = found.and_then(|found| match &found.facts.presented {
        Presented::Proven(credential) if valid(credential) => {
            Some(Viewer { name: found.account.clone()?, administrator: credential.administrator })
        }
        _ => None,
    });
    Frame { viewer, ..bare(context, seal, title, at) }
}

fn bare(context: &Context, seal: &Seal, title: impl Into<String>, at: &'static str) -> Frame {
    Frame {
        title: title.into(),
        at,
        viewer: None,
        form_token: cookie::masked(&seal.0),
        notice: None,
        request: context.id.to_string(),
    }
}
