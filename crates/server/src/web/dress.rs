//! What is around all pages: forms are looked at before anybody acts on them, refusals become pages, and browsers are told to run
//! nothing and ask nobody else.

use axum::Extension;
use axum::body::Body;
use axum::extract::{OriginalUri, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, REFERRER_POLICY, SET_COOKIE, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use doorward_pages::{MessagePage, Template, asset as find_asset};
use doorward_rules::{Kind, Reason, Surface};
use doorward_store::Named;
use doorward_wire::percent_encoded;
use secrecy::{ExposeSecret, SecretString};
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::cookie;
use super::visit::frame;
use crate::app::App;
use crate::context::Context;
use crate::refusal::{Refusal, Refused};
use crate::rest::body::{is_form, not_a_form, read_bytes};
use crate::rest::page::Query;
use crate::router::nothing_here;

/// What a form has sent. Travels with the request, once it is known to be one of ours.
#[derive(Clone)]
pub(crate) struct Sent(pub(crate) Query);

/// By what the forms of a page are known again. Travels with the request.
#[derive(Clone)]
pub(crate) struct Seal(pub(crate) SecretString);

pub(super) async fn dress(State(app): State<App>, mut request: Request, next: Next) -> Response<Body> {
    let Some(context) = request.extensions().get::<Context>().cloned() else { return Response::default() };
    let headers = request.headers().clone();
    let secure = app.is_secure();
    let known = cookie::session_secret(&headers, secure).or_else(|| cookie::visit(&headers, secure));
    let (visit, is_new) = known.map_or_else(|| (cookie::new_visit(), true), |known| (known, false));
    let seal = Seal(cookie::form_token(&visit));
    request.extensions_mut().insert(seal.clone());
    let uri = request.extensions().get::<OriginalUri>().map_or_else(|| request.uri().clone(), |uri| uri.0.clone());
    let method = request.method().clone();
    let mut response = match take_form(&app, request, &seal).await {
        Ok(request) if request.method().is_safe() => next.run(request).await,
        Ok(request) => app.to_the_end(next.run(request), Surface::Web, context.id).await,
        Err(refusal) => refusal.on(Surface::Web).respond(context.id),
    };
    let refused = response.extensions_mut().remove::<Refused>();
    if let Some(Refused(refusal)) = refused {
        let back = (method == Method::GET).then(|| uri.path_and_query().map_or("/", |path| path.as_str()));
        response = tell(&app, &context, &headers, &seal, refusal, back, response).await;
        // A session that has ended is of no more use to anybody.
        if response.status() == StatusCode::SEE_OTHER && cookie::session_secret(&headers, secure).is_some() {
            response.headers_mut().append(SET_COOKIE, cookie::end_session(secure));
        }
    }
    let signing_in = uri.path().starts_with("/account/") || uri.path().starts_with("/site/");
    if is_new && signing_in && response.status() == StatusCode::OK {
        response.headers_mut().append(SET_COOKIE, cookie::set_visit(&visit, secure));
    }
    let signs_in =
        ["/account/signin", "/account/sso", "/site/oauth2/authorize"].iter().any(|path| uri.path().starts_with(path));
    guard(&mut response, secure, signs_in);
    response
}

/// Reads what a form has sent, and makes sure that it is one of ours and was sent from here.
async fn take_form(app: &App, request: Request, seal: &Seal) -> Result<Request, Refusal> {
    if request.method().is_safe() {
        return Ok(request);
    }
    let (mut parts, body) = request.into_parts();
    let elsewhere = parts.headers.get("sec-fetch-site").is_some_and(|site| site != "same-origin" && site != "none");
    if elsewhere {
        return Err(forged());
    }
    if !is_form(&parts.headers) {
        return Err(not_a_form());
    }
    let late = |_| {
        let sentence = "the form did not come to its end in time";
        Refusal::new(StatusCode::REQUEST_TIMEOUT, "request_broken_off", sentence, "send it again; nothing was changed")
    };
    let bytes = timeout(FORM_TIME, read_bytes(&parts.headers, body, app)).await.map_err(late)??;
    let sent = Query::read(Some(&String::from_utf8_lossy(&bytes)));
    let token = cookie::unmasked(sent.last("form_token").unwrap_or_default());
    if !token.is_some_and(|token| bool::from(token.as_bytes().ct_eq(seal.0.expose_secret().as_bytes()))) {
        return Err(forged());
    }
    parts.extensions.insert(Sent(sent));
    Ok(Request::from_parts(parts, Body::empty()))
}

fn forged() -> Refusal {
    let sentence = "this form is not from the page that you see now: you may have signed in or out in the meantime";
    let remedy = "go back, load the page again, and send it once more; nothing was changed";
    Refusal::new(StatusCode::FORBIDDEN, "form_forged", sentence, remedy)
}

/// A refusal as a page; or the way to sign in, if that is all that is missing.
async fn tell(
    app: &App,
    context: &Context,
    headers: &HeaderMap,
    seal: &Seal,
    refusal: Refusal,
    back: Option<&str>,
    mut response: Response<Body>,
) -> Response<Body> {
    let at = doorward_rules::Timestamp(0);
    let signed_out = [Reason::NothingPresented, Reason::Unknown, Reason::Revoked { at }, Reason::Expired { at }];
    if signed_out.iter().any(|reason| reason.code() == refusal.code) {
        let next = back.filter(|back| *back != "/").map(|back| format!("?next={}", percent_encoded(back)));
        let to = format!("/account/signin{}", next.unwrap_or_default());
        *response.status_mut() = StatusCode::SEE_OTHER;
        *response.body_mut() = Body::empty();
        response.headers_mut().insert(LOCATION, HeaderValue::from_str(&to).unwrap_or(HeaderValue::from_static("/")));
        return response;
    }
    let found = app.store.find(&cookie::session(headers, app.is_secure()), Named::Nothing).await.ok();
    let heading = heading(refusal.status);
    let link = match &app.sso {
        // What is missing is a sign-in of another kind.
        Some(sso) if refusal.code == (Reason::SsoRequired { kind: Kind::WebSession }).code() => {
            let next = percent_encoded(back.unwrap_or("/"));
            Some((format!("/account/sso?next={next}"), format!("Sign in with {}", sso.name())))
        }
        _ => refusal.retry_after.is_none().then(|| ("/".to_owned(), "Repositories".to_owned())),
    };
    let page = MessagePage {
        frame: frame(context, seal, found.as_deref(), heading, ""),
        heading: heading.to_owned(),
        sentence: capital(&refusal.sentence),
        remedy: capital(&refusal.remedy),
        code: refusal.code.to_owned(),
        link,
    };
    let text = page.render().unwrap_or_else(|_| refusal.sentence.clone());
    *response.body_mut() = Body::from(text);
    response.headers_mut().insert(CONTENT_TYPE, HTML);
    response
}

fn heading(status: StatusCode) -> &'static str {
    match status.as_u16() {
        404 => "There is nothing here that you may see",
        401 | 403 => "You may not do this",
        429 => "Not so fast",
        500.. => "Not now",
        _ => "This cannot be done",
    }
}

/// A sentence that stands by itself.
pub(super) fn capital(sentence: &str) -> String {
    let mut letters = sentence.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// Tells browsers what a page may do: nothing but what is on it, and from here.
fn guard(response: &mut Response<Body>, secure: bool, signs_in: bool) {
    let headers = response.headers_mut();
    headers.entry(CONTENT_SECURITY_POLICY).or_insert(HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    // An application may open what signs its people in as a window of its own, which tells it when it is done.
    let opener = if signs_in { "unsafe-none" } else { "same-origin" };
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), HeaderValue::from_static(opener));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    if secure {
        let year = HeaderValue::from_static("max-age=31536000");
        headers.insert(HeaderName::from_static("strict-transport-security"), year);
    }
}

/// Style sheet, script and picture, which a browser may keep for ever.
pub(super) async fn asset(Extension(context): Extension<Context>, OriginalUri(uri): OriginalUri) -> Response<Body> {
    let Some(asset) = find_asset(uri.path()) else { return nothing_here(&context, &uri) };
    let mut response = Response::new(Body::from(asset.content));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(asset.media_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=31536000, immutable"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// How long a form may take to come.
const FORM_TIME: std::time::Duration = std::time::Duration::from_secs(15);
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
pub(super) const HTML: HeaderValue = HeaderValue::from_static("text/html; charset=utf-8");
