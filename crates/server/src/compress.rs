//! Lists, descriptions and pages are sent compressed to whoever takes that (RFC 9110, section 12.5.3): they are a tenth then.
//!
//! Only what is asked for with `GET`, so that no answer with a new secret in it is; only JSON and HTML, since packs and most files are
//! compressed already; and only what is longer than a packet. Who can have a browser ask for the same again and again must not find out a
//! secret by how well it is compressed with a guess beside it (BREACH): what the forms of a page are known by looks different each time,
//! and pages on which there are other secrets are not compressed.

use std::io::Write;

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY};
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode};
use axum::middleware::Next;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body::Body as _;
use http_body_util::BodyExt;

/// Compresses an answer, if its client takes that and it is worth it.
pub(crate) async fn compress(request: Request, next: Next) -> Response<Body> {
    let has_secrets = SECRET.iter().any(|path| request.uri().path().starts_with(path));
    let is_wanted = request.method() == Method::GET && !has_secrets && takes_gzip(request.headers());
    let response = next.run(request).await;
    if !is_wanted || !is_worth_it(&response) {
        return response;
    }
    let (mut head, body) = response.into_parts();
    let Ok(plain) = body.collect().await.map(http_body_util::Collected::to_bytes) else {
        // What was there already cannot fail to come.
        return Response::from_parts(head, Body::empty());
    };
    head.headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    let Some(short) = packed(plain.clone()).await else { return Response::from_parts(head, plain.into()) };
    head.headers.remove(CONTENT_LENGTH);
    head.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Response::from_parts(head, short.into())
}

/// Whether a client takes gzip: it names it, or anything, and does not say that it had rather not (`q=0`).
fn takes_gzip(headers: &HeaderMap) -> bool {
    let values = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|value| value.to_str().ok());
    let mut codings = values.flat_map(|value| value.split(','));
    codings.any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let quality = parts.find_map(|part| part.strip_prefix("q=")).map_or(Ok(1.0), str::parse::<f32>);
        ["gzip", "x-gzip", "*"].iter().any(|known| known.eq_ignore_ascii_case(name))
            && quality.is_ok_and(|quality| quality > 0.0)
    })
}

fn is_worth_it(response: &Response<Body>) -> bool {
    let headers = response.headers();
    let is_text = headers.get(CONTENT_TYPE).is_some_and(|value| {
        [&b"application/json"[..], b"text/html"].iter().any(|known| value.as_bytes().starts_with(known))
    });
    // One with a name of its own would need another name.
    let is_plain = !headers.contains_key(CONTENT_ENCODING) && !headers.contains_key(ETAG);
    let length = response.body().size_hint().exact();
    let fits = length.is_some_and(|length| (SHORTEST..=LONGEST).contains(&length));
    response.status() == StatusCode::OK && is_text && is_plain && fits
}

async fn packed(plain: Bytes) -> Option<Bytes> {
    let pack = move || {
        let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
        encoder.write_all(&plain).and_then(|()| encoder.finish()).ok().map(Bytes::from)
    };
    // Longer ones keep nobody waiting.
    tokio::task::spawn_blocking(pack).await.ok().flatten()
}

/// Where secrets may be on pages: links and codes to sign in with, keys of second steps.
const SECRET: [&str; 5] = ["/account/sign", "/account/welcome", "/account/security", "/account/sso", "/site/oauth2"];
/// Bytes of an answer that goes into one packet anyhow.
const SHORTEST: u64 = 1400;
/// Bytes of an answer that is compressed in memory.
const LONGEST: u64 = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gzip_is_for_those_who_take_it() {
        let takes =
            |text: &'static str| takes_gzip(&HeaderMap::from_iter([(ACCEPT_ENCODING, HeaderValue::from_static(text))]));
        assert!(["gzip", "deflate, GZIP;q=0.5", "*", "br, x-gzip"].map(takes).iter().all(|takes| *takes));
        assert!(["", "br", "gzip;q=0", "gzip;q=0.0, br", "identity", "gzip;q=x"].map(takes).iter().all(|takes| !takes));
        assert!(!takes_gzip(&HeaderMap::new()));
    }
}
