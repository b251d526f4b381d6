//! The body of a call, as an object of JSON or the fields of a form.

use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Response, StatusCode};
use doorward_rules::Surface;
use serde_json::{Map, Value};
use tokio::io::AsyncReadExt;

use super::page::Query;
use crate::app::App;
use crate::context::Context;
use crate::refusal::Refusal;
use crate::request_body;

/// An object that was sent. What is read of it is checked; what nobody asks for is passed over, as Bitbucket Cloud does.
#[derive(Debug, Default)]
pub(super) struct Object(Map<String, Value>);

impl FromRequest<App> for Object {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let read = read(&parts.headers, body, app).await;
        read.map_err(|refusal| answered(&parts, refusal))
    }
}

async fn read(headers: &HeaderMap, body: Body, app: &App) -> Result<Object, Refusal> {
    let bytes = read_bytes(headers, body, app).await?;
    if bytes.iter().all(u8::is_ascii_whitespace) {
        return Ok(Object::default());
    }
    // What `curl -d` sends says that it is a form, also if it is JSON, which no form begins like.
    let begins_as_json = bytes.trim_ascii_start().first() == Some(&b'{');
    if is_form(headers) && !begins_as_json {
        let pairs = Query::read(Some(&String::from_utf8_lossy(&bytes)));
        return Ok(Object(pairs.into_pairs().map(|(name, value)| (name, Value::String(value))).collect()));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(fields)) => Ok(Object(fields)),
        Ok(_) => Err(unreadable("the body is JSON, but no object")),
        Err(error) => Err(unreadable(format!("the body is not JSON: {error}"))),
    }
}

/// A body that ended before its end, or is longer than it may be.
pub(super) fn broken(error: &std::io::Error) -> Refusal {
    if error.kind() == std::io::ErrorKind::FileTooLarge {
        let remedy = "send less, or ask an administrator to raise the limit";
        return Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, "request_too_long", error.to_string(), remedy);
    }
    let sentence = format!("the body broke off: {error}");
    Refusal::new(StatusCode::BAD_REQUEST, "request_broken_off", sentence, "send it again; nothing was changed")
}

fn unreadable(sentence: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "body_unreadable", sentence, "send a JSON object")
}

/// Whether a body is the fields of a form.
pub(crate) fn is_form(headers: &HeaderMap) -> bool {
    let media_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    media_type.to_ascii_lowercase().starts_with("application/x-www-form-urlencoded")
}

/// The fields of a form, of which one may be there several times.
#[derive(Debug, Default)]
pub(super) struct Form(pub(super) Query);

impl FromRequest<App> for Form {
    type Rejection = Response<Body>;

    async fn from_request(request: Request, app: &App) -> Result<Self, Self::Rejection> {
        let (parts, body) = request.into_parts();
        let bytes = read_bytes(&parts.headers, body, app).await;
        let form = bytes.and_then(|bytes| match bytes.is_empty() || is_form(&parts.headers) {
            true => Ok(Self(Query::read(Some(&String::from_utf8_lossy(&bytes))))),
            false => Err(not_a_form()),
        });
        form.map_err(|refusal| answered(&parts, refusal))
    }
}

/// What is answered to a body of another sort than a form.
pub(crate) fn not_a_form() -> Refusal {
    let (sentence, remedy) = ("the body is no form", "send it as application/x-www-form-urlencoded");
    Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "media_type_unsupported", sentence, remedy)
}

fn answered(parts: &Parts, refusal: Refusal) -> Response<Body> {
    let id = parts.extensions.get::<Context>().map(|context| context.id);
    id.map_or_else(Response::default, |id| refusal.on(Surface::Rest).respond(id))
}

pub(crate) async fn read_bytes(headers: &HeaderMap, body: Body, app: &App) -> Result<Vec<u8>, Refusal> {
    let mut bytes = Vec::new();
    let mut body = request_body::open(body, headers, LONGEST, app.settings.limits.idle_time)?;
    body.read_to_end(&mut bytes).await.map_err(|error| broken(&error))?;
    Ok(bytes)
}

impl Object {
    /// A text, if it is there.
    ///
    /// # Errors
    /// 400 that names the field if it is none, or longer than `most` bytes.
    pub(super) fn text(&self, name: &'static str, most: usize) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.len() > most => {
                Err(Refusal::bad_parameter(name, format!("it is longer than {most} bytes"), "make it shorter"))
            }
            Some(Value::String(text)) if text.contains('\0') => {
                Err(Refusal::bad_parameter(name, "it has a zero byte in it", "leave that out"))
            }
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Refusal::bad_parameter(name, "it is no text", "put it in quotes")),
        }
    }

    /// A text that has to be there.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) fn needed_text(&self, name: &'static str, most: usize) -> Result<String, Refusal> {
        let text = self.text(name, most)?.filter(|text| !text.trim().is_empty());
        text.ok_or_else(|| Refusal::bad_parameter(name, "it is required", "add it"))
    }

    /// Yes or no, if it is there.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) fn truth(&self, name: &'static str) -> Result<Option<bool>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("true") => Ok(Some(true)),
            Some(Value::String(text)) if text.eq_ignore_ascii_case("false") => Ok(Some(false)),
            Some(_) => Err(Refusal::bad_parameter(name, "it is neither true nor false", "change it")),
        }
    }

    /// A text in an object in it: `target.hash`.
    ///
    /// # Errors
    /// 400 that names the outer field.
    pub(super) fn inner_text(&self, name: &'static str, inner: &str) -> Result<Option<String>, Refusal> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Object(fields)) => match fields.get(inner) {
                None | Some(Value::Null) => Ok(None),
                Some(Value::String(text)) if text.len() <= LONGEST_NAME => Ok(Some(text.clone())),
                Some(_) => Err(Refusal::bad_parameter(name, format!("its `{inner}` is no short text"), "change it")),
            },
            Some(_) => Err(Refusal::bad_parameter(name, "it is no object", "write it as {…}")),
        }
    }

    /// A list of texts, if it is there.
    ///
    /// # Errors
    /// 400 that names the field.
    pub(super) fn texts(&self, name: &'static str) -> Result<Option<Vec<String>>, Refusal> {
        let wrong = || Refusal::bad_parameter(name, "it is no list of texts", "write it as [\"…\"]");
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Array(values)) if values.len() <= 100 => values
                .iter()
                .map(|value| value.as_str().map(str::to_owned).ok_or_else(wrong))
                .collect::<Result<_, _>>()
                .map(Some),
            Some(_) => Err(wrong()),
        }
    }

    /// Whether anything is said of a field, be it that there is to be nothing.
    pub(super) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }
}

/// Bytes of a body.
const LONGEST: u64 = 1024 * 1024;
/// Bytes of a name in it.
const LONGEST_NAME: usize = 1024;
