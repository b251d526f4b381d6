//! REST and Git LFS: passed on with the credential in its right form, and answered as they are; but for addresses that lead to where a
//! job's token is not for.

use axum::body::Body;
use axum::extract::Request;
use axum::http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use bytes::Bytes;
use doorward_rules::{OwnFault, Reason, Surface};
use doorward_upstream::{Passing, onward};
use doorward_wire::RepositoryName;
use serde_json::Value;

use super::Call;
use super::address::Address;
use super::kept::Kept;
use super::spools::SpoolPlace;
use crate::observe::Noted;
use crate::refusal::Refusal;

impl Call {
    /// A call of REST.
    pub(super) async fn rest(
        &self,
        repository: Option<&RepositoryName>,
        rest: &str,
        request: Request,
    ) -> Result<Response<Body>, Refusal> {
        let settings = self.upstream.settings();
        let Some(base) = &settings.rest else {
            let sentence = format!("REST is not passed on to {}", settings.name);
            let remedy = "set `rest` of this upstream, or call the upstream itself";
            return Err(Refusal::new(StatusCode::NOT_FOUND, "upstream_without_rest", sentence, remedy));
        };
        let (url, method) = (format!("{base}{rest}"), request.method().clone());
        if !method.is_safe() && self.caller().is_none() {
            return Err(Refusal::of_reason(&Reason::NothingPresented, Surface::Rest));
        }
        let Kept { content, place } = self.content(request, Surface::Rest, repository).await?;
        let repository = repository.map(|name| self.upstream.mirror_of(name));
        let mut headers = self.headers.clone();
        // A job that goes on by the links of an answer takes its token along, which is for nobody but this server.
        let ours = self.asked.as_ref().map(|(_, asked)| crate::rest::base(&self.app, asked));
        if ours.is_some() {
            headers.remove(ACCEPT_ENCODING);
        }
        let passing = Passing { surface: Surface::Rest, repository, method, url, headers, content };
        let mut response = self.passed(passing, place).await?;
        let here = ours.clone().unwrap_or_else(|| crate::rest::base(&self.app, &self.headers));
        // Who follows a redirection to another host leaves the credential behind.
        lead_here(&mut response, base, &format!("{here}/2.0"));
        match ours {
            Some(ours) => led_on_here(response, base, &format!("{ours}/2.0"), is_file(rest)).await,
            None => Ok(response),
        }
    }

    /// A call of Git LFS. Addresses in the answer that lead to the upstream itself lead here.
    pub(super) async fn lfs(
        &self,
        name: &RepositoryName,
        rest: &str,
        request: Request,
    ) -> Result<Response<Body>, Refusal> {
        let base = &self.upstream.settings().git;
        let (url, method) = (format!("{base}/{name}.git/{rest}"), request.method().clone());
        let Kept { content, place } = self.content(request, Surface::Lfs, Some(name)).await?;
        let mut headers = self.headers.clone();
        let is_batch = rest == "info/lfs/objects/batch";
        if is_batch {
            headers.remove(ACCEPT_ENCODING);
        }
        let repository = Some(self.upstream.mirror_of(name));
        let passing = Passing { surface: Surface::Lfs, repository, method, url, headers, content };
        let response = self.passed(passing, place).await?;
        if !is_batch || !response.status().is_success() || response.headers().contains_key(CONTENT_ENCODING) {
            return Ok(response);
        }
        let (mut parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, LONGEST_BATCH).await.map_err(|error| broken(&error))?;
        let ours = crate::rest::base(&self.app, &self.headers);
        let settings = self.upstream.settings();
        // One that would not come to this upstream by way of here stays as it is.
        let comes_here = |path: &str| {
            let address = path.parse().ok().and_then(|uri| Address::of(&uri));
            matches!(&address, Some(Address::Lfs { name, .. }) if settings.has(name.workspace.as_str()))
        };
        // Whoever comes with what the upstream has given out for a transfer has been let in.
        let vouch = |sent: &str| {
            let headers = HeaderValue::from_str(sent).map(|sent| HeaderMap::from_iter([(AUTHORIZATION, sent)]));
            let caller = headers.ok().and_then(|headers| self.upstream.caller(&headers, Surface::Lfs).ok().flatten());
            if let Some(caller) = caller {
                self.upstream.vouched(&caller);
            }
        };
        let bytes = led_here(&bytes, base, &ours, comes_here, vouch).unwrap_or(bytes);
        parts.headers.remove(CONTENT_LENGTH);
        Ok(Response::from_parts(parts, Body::from(bytes)))
    }

    /// Passes a request on. One that changes something is carried out to its end, also when its caller goes; what it brings has its
    /// place on the disk until then.
    pub(super) async fn passed(&self, passing: Passing, place: Option<SpoolPlace>) -> Result<Response<Body>, Refusal> {
        let (call, surface, reads) = (self.clone(), passing.surface, passing.reads());
        let work = async move {
            let _place = place;
            loop {
                let (caller, now) = (call.caller(), call.app.clock.now());
                return match call.upstream.pass(&passing, caller.as_deref(), now).await {
                    Ok(Ok(response)) if response.status() == StatusCode::UNAUTHORIZED && call.asked.is_some() => {
                        if call.goes_on(surface).await {
                            continue;
                        }
                        Err(call.refuse_brokered())
                    }
                    Ok(Ok(response)) => Ok(response),
                    Ok(Err(turned)) if turned.is_of_credential() && call.goes_on(surface).await => continue,
                    Ok(Err(turned)) => Err(call.turned(&turned, surface)),
                    Err(unanswered) => Err(Self::unanswered(&unanswered)),
                };
            }
        };
        let response = match reads {
            true => work.await?,
            false => self.app.tasks.spawn(work).await.map_err(|error| broken(&error))??,
        };
        let (parts, body) = response.into_parts();
        let mut response = Response::new(Body::new(body));
        *response.status_mut() = parts.status;
        *response.headers_mut() = onward(&parts.headers);
        if let Some(length) = parts.headers.get(CONTENT_LENGTH) {
            response.headers_mut().insert(CONTENT_LENGTH, length.clone());
        }
        if let Ok(name) = HeaderValue::from_str(&self.upstream.settings().name) {
            response.headers_mut().insert(HeaderName::from_static("x-doorward-upstream"), name);
        }
        // What the upstream says of its own name is not said of ours; and what it shows, this server's pages are beside.
        OF_ITS_NAME.iter().for_each(|name| drop(response.headers_mut().remove(*name)));
        response.headers_mut().insert("x-content-type-options", HeaderValue::from_static("nosniff"));
        response.headers_mut().insert("content-security-policy", HeaderValue::from_static("sandbox"));
        if surface != Surface::Git
            && let Some(hint) = self.hint(surface).and_then(|hint| HeaderValue::from_str(&hint).ok())
        {
            response.headers_mut().insert("x-doorward-hint", hint);
        }
        response.extensions_mut().insert(Noted::default());
        Ok(response)
    }

    /// The headers of a request whose body was decompressed here.
    pub(super) fn plain_headers(&self) -> HeaderMap {
        let mut headers = self.headers.clone();
        headers.remove(CONTENT_ENCODING);
        headers
    }
}

/// Whether what is asked for may be a file, which nobody changes on the way. Directories end with a slash, or are asked about.
fn is_file(rest: &str) -> bool {
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    // `/repositories/WORKSPACE/REPOSITORY/` comes before it.
    let has_files = path.split('/').nth(4).is_some_and(|what| ["src", "downloads", "diff", "patch"].contains(&what));
    has_files && !path.ends_with('/') && !query.split('&').any(|pair| pair == "format=meta")
}

/// Lets an answer lead to below one address of REST that leads to below another.
fn lead_here(response: &mut Response<Body>, theirs: &str, ours: &str) {
    let to = response.headers().get(LOCATION).and_then(|to| to.to_str().ok()?.strip_prefix(theirs));
    let to = to.filter(|to| to.starts_with('/')).and_then(|to| HeaderValue::from_str(&format!("{ours}{to}")).ok());
    if let Some(to) = to {
        response.headers_mut().insert(LOCATION, to);
    }
}

/// An answer in which links to below one address of REST lead to below another.
async fn led_on_here(
    response: Response<Body>,
    theirs: &str,
    ours: &str,
    is_file: bool,
) -> Result<Response<Body>, Refusal> {
    let headers = response.headers();
    let is_json = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json"));
    let length = headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    let is_long = length.is_some_and(|length| length > LONGEST_ANSWER);
    if is_file || !is_json || is_long || headers.contains_key(CONTENT_ENCODING) {
        return Ok(response);
    }
    let (mut parts, body) = response.into_parts();
    let bytes = axum::body::to_bytes(body, LONGEST_ANSWER).await.map_err(|error| broken(&error))?;
    parts.headers.remove(CONTENT_LENGTH);
    Ok(Response::from_parts(parts, Body::from(led_to(&bytes, theirs, ours))))
}

/// Text of JSON in which every string that begins with one address begins with another, and nothing else is changed.
fn led_to(json: &[u8], theirs: &str, ours: &str) -> Vec<u8> {
    let mark = format!("\"{theirs}/");
    let mut led = Vec::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.windows(mark.len()).position(|window| window == mark.as_bytes()) {
        led.extend_from_slice(&rest[..at]);
        // A quote that is part of a text is none that begins one.
        let escaped = rest[..at].iter().rev().take_while(|byte| **byte == b'\\').count() % 2 == 1;
        let begin = if escaped { mark.clone() } else { format!("\"{ours}/") };
        led.extend_from_slice(begin.as_bytes());
        rest = &rest[at + mark.len()..];
    }
    led.extend_from_slice(rest);
    led
}

/// The answer to a batch in which addresses below one lead to another if they may; `None` if it is none. `vouch` is told what is to be
/// presented there.
fn led_here(
    bytes: &[u8],
    theirs: &str,
    ours: &str,
    comes_here: impl Fn(&str) -> bool,
    mut vouch: impl FnMut(&str),
) -> Option<Bytes> {
    let mut batch: Value = serde_json::from_slice(bytes).ok()?;
    for object in batch.get_mut("objects")?.as_array_mut()? {
        let Some(actions) = object.get_mut("actions").and_then(Value::as_object_mut) else { continue };
        for action in actions.values_mut() {
            let Some(Value::String(href)) = action.get_mut("href") else { continue };
            let rest = href.strip_prefix(theirs).filter(|rest| rest.starts_with('/') && comes_here(rest));
            if let Some(led) = rest.map(|rest| format!("{ours}{rest}")) {
                *href = led;
                if let Some(sent) = action.pointer("/header/Authorization").and_then(Value::as_str) {
                    vouch(sent);
                }
            }
        }
    }
    serde_json::to_vec(&batch).ok().map(Bytes::from)
}

fn broken(error: &dyn std::fmt::Display) -> Refusal {
    tracing::error!(%error, "an answer of an upstream cannot be passed on");
    Refusal::unavailable(OwnFault::Bug)
}

/// Headers that a host sends about its own name.
const OF_ITS_NAME: &[&str] = &["strict-transport-security", "alt-svc", "clear-site-data", "nel", "report-to"];
/// Bytes of the answer to a batch of LFS.
const LONGEST_BATCH: usize = 16 * 1024 * 1024;
/// Bytes of an answer of REST whose links lead elsewhere: a page of a hundred has fewer.
const LONGEST_ANSWER: usize = 16 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_of_rest_lead_here_and_what_only_looks_like_one_stays() {
        let led = |json: &str| {
            String::from_utf8(led_to(json.as_bytes(), "https://api.bitbucket.org/2.0", "http://gateway/2.0"))
                .expect("text")
        };
        assert_eq!(
            led(r#"{"next": "https://api.bitbucket.org/2.0/a?page=2"}"#),
            r#"{"next": "http://gateway/2.0/a?page=2"}"#
        );
        for same in [
            r#"{"a":"https://api.bitbucket.org/2.0"}"#,
            r#"{"a":"https://api.bitbucket.org/2.0evil/x"}"#,
            r#"{"a":"see https://api.bitbucket.org/2.0/x"}"#,
            r#"{"a":"\"https://api.bitbucket.org/2.0/x\""}"#,
            "",
        ] {
            assert_eq!(led(same), same);
        }
        assert!(is_file("/repositories/a/b/src/main/package.json") && is_file("/repositories/a/b/src/main/x?a=b"));
        assert!(!is_file("/repositories/a/b/src/main/") && !is_file("/repositories/a/b/src/main/x?format=meta"));
        for list in
            ["/repositories/a/b/refs?pagelen=1", "/repositories/a/src/refs", "/repositories/src/b/refs/branches/src/x"]
        {
            assert!(!is_file(list), "{list}");
        }
    }

    #[test]
    fn addresses_at_the_upstream_lead_here_and_others_stay() {
        let batch = serde_json::json!({ "transfer": "basic", "objects": [
            { "oid": "1", "actions": { "download": { "href": "https://bitbucket.org/acme/site/info/lfs/1", "header": { "Authorization": "b" } } } },
            { "oid": "2", "actions": { "upload": { "href": "https://media.example/2" } } },
            { "oid": "3", "actions": { "upload": { "href": "https://bitbucket.org.evil.example/3" } } },
            { "oid": "4" },
        ] });
        let mut vouched = Vec::new();
        let comes_here = |path: &str| path != "/{}/{x}/y";
        let (theirs, ours) = ("https://bitbucket.org", "http://gateway");
        let led =
            led_here(batch.to_string().as_bytes(), theirs, ours, comes_here, |sent| vouched.push(sent.to_owned()));
        let led = led.expect("a batch");
        assert_eq!(vouched, ["b"]);
        let led: Value = serde_json::from_slice(&led).expect("JSON");
        let href = |place: usize, action: &str| led["objects"][place]["actions"][action]["href"].clone();
        assert_eq!(href(0, "download"), "http://gateway/acme/site/info/lfs/1");
        assert_eq!(href(1, "upload"), "https://media.example/2");
        assert_eq!(href(2, "upload"), "https://bitbucket.org.evil.example/3");
        assert_eq!(led["objects"][0]["actions"]["download"]["header"]["Authorization"], "b");
        assert!(led_here(b"<html>", "a", "b", |_| true, |_| {}).is_none());
    }
}
