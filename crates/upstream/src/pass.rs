//! What is passed on as it is, but for the credential: REST, Git LFS, and fetches that are not answered from a mirror.

use std::fs::File;
use std::io;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use doorward_rules::{RepositoryId, Surface, Timestamp};
use http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
};
use http::header::{SET_COOKIE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use uuid::Uuid;

use crate::agent::{Answer, Bytes, file, whole};
use crate::ask::{Effect, Question, SOON, is_trouble};
use crate::budget::Bucket;
use crate::look::turned;
use crate::upstream::Subject;
use crate::{Caller, Turned, Unanswered, Upstream};

/// A request to be passed on.
#[derive(Debug)]
pub struct Passing {
    /// Where it is presented.
    pub surface: Surface,
    /// The repository that it is about, by the id of its mirror, if it is about one.
    pub repository: Option<RepositoryId>,
    /// Its method.
    pub method: Method,
    /// The whole address at the upstream.
    pub url: String,
    /// Its headers, as they came.
    pub headers: HeaderMap,
    /// What it brings.
    pub content: Content,
}

/// What a request brings.
#[derive(Debug)]
pub enum Content {
    /// A little.
    Bytes(Bytes),
    /// More, and how much.
    File(File, u64),
}

impl Upstream {
    /// Whether a credential has been let in on a surface before, and was not refused for good since.
    pub fn knows(&self, caller: &Caller, surface: Surface) -> bool {
        self.known().works(caller.print(), Bucket::of(surface))
    }

    /// Notes a credential that the upstream has given to somebody who was let in, for a transfer.
    pub fn vouched(&self, caller: &Caller) {
        self.known().vouched(caller.print());
    }

    /// Asks whether a credential is one at all, by the call of REST that wants nothing but that.
    ///
    /// # Errors
    /// [`Unanswered`] if there is no answer.
    pub async fn vouch(&self, caller: &Caller, now: Timestamp) -> Result<Result<(), Turned>, Unanswered> {
        let base = self.settings().rest.as_deref().unwrap_or(&self.settings().git);
        let passing = Passing {
            surface: Surface::Rest,
            repository: None,
            method: Method::GET,
            url: format!("{base}/user"),
            headers: HeaderMap::new(),
            content: Content::Bytes(Bytes::new()),
        };
        Ok(match self.pass(&passing, Some(caller), now).await? {
            Ok(response) if response.status().is_success() => Ok(()),
            // An access token is no user's, and is told so.
            Ok(response)
                if response.status() == StatusCode::FORBIDDEN
                    && response.headers().contains_key("x-credential-type") =>
            {
                Ok(())
            }
            Ok(response) if is_trouble(response.status()) => {
                let why = format!("{} had trouble of its own ({})", self.settings().name, response.status().as_u16());
                return Err(Unanswered::new(why, SOON));
            }
            Ok(response) => Err(turned(response).await),
            Err(turned) => Err(turned),
        })
    }

    /// Passes a request on with the credential in its right form. What changes nothing is tried again until patience is over;
    /// what may change something only as long as it is certain that it has not.
    ///
    /// # Errors
    /// [`Unanswered`] if there is no answer.
    pub async fn pass(
        &self,
        passing: &Passing,
        caller: Option<&Caller>,
        now: Timestamp,
    ) -> Result<Result<http::Response<Answer>, Turned>, Unanswered> {
        let Passing { surface, repository, method, url, headers, content } = passing;
        let authorization = match self.authorization(caller, *surface, now) {
            Ok(header) => header,
            Err(reason) => return Ok(Err(Turned::Here(reason))),
        };
        let effect = if passing.reads() { Effect::Reads } else { Effect::Changes };
        let bucket = Bucket::of(*surface);
        let subject =
            Subject { repository: repository.unwrap_or(RepositoryId(Uuid::nil())), print: caller.map(Caller::print) };
        let make = || {
            let (body, length) = match content {
                Content::Bytes(bytes) => (whole(bytes.clone()), bytes.len() as u64),
                Content::File(content, length) => (file(content, *length)?, *length),
            };
            let mut request = http::Request::new(body);
            *request.method_mut() = method.clone();
            *request.uri_mut() = url.parse().map_err(io::Error::other)?;
            *request.headers_mut() = onward(headers);
            if length > 0 || headers.contains_key(CONTENT_LENGTH) {
                request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            if let Some(authorization) = &authorization {
                request.headers_mut().insert(AUTHORIZATION, authorization.clone());
            }
            Ok(request)
        };
        let (arrived, deadline) = (AtomicBool::new(false), Instant::now() + self.settings().patience);
        let question = Question {
            caller,
            subject,
            bucket,
            effect,
            deadline,
            verbatim: *surface != Surface::Git,
            look: false,
            arrived: &arrived,
        };
        self.ask(question, make).await.map(Ok)
    }
}

impl Passing {
    /// Whether it changes nothing. Of the other methods that promise so (RFC 9110, section 9.2.1), TRACE shows what is sent along; a
    /// batch of Git LFS asks where to transfer things, and does no more.
    pub fn reads(&self) -> bool {
        let is_batch = self.surface == Surface::Lfs && self.url.ends_with("/info/lfs/objects/batch");
        is_batch || matches!((self.surface, &self.method), (Surface::Git, _) | (_, &Method::GET | &Method::HEAD))
    }
}

/// The headers that are meant for whoever gets the message at last (RFC 9110, section 7.6.1), without the credential.
pub fn onward(headers: &HeaderMap) -> HeaderMap {
    let named: Vec<HeaderName> = (headers.get_all(CONNECTION).iter())
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    let is_onward = |name: &HeaderName| {
        let hop = [CONNECTION, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];
        // A cookie is another server's, and what says that it is another method would not be asked about as that.
        let ours = [HOST, AUTHORIZATION, CONTENT_LENGTH, COOKIE, SET_COOKIE];
        let overrides = ["x-http-method-override", "x-http-method", "x-method-override"].contains(&name.as_str());
        let forwarded =
            name.as_str().starts_with("x-forwarded-") || ["forwarded", "keep-alive", "expect"].contains(&name.as_str());
        !hop.contains(name) && !ours.contains(name) && !named.contains(name) && !forwarded && !overrides
    };
    headers.iter().filter(|(name, _)| is_onward(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_the_connection_and_the_credential_stay_here() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("accept", "application/json"),
            ("authorization", "Bearer x"),
            ("connection", "close, X-Own"),
            ("x-own", "1"),
            ("cookie", "session=1"),
            ("x-http-method-override", "DELETE"),
            ("host", "gateway"),
            ("x-forwarded-for", "10.0.0.1"),
            ("transfer-encoding", "chunked"),
            ("accept-encoding", "gzip"),
        ] {
            headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let onward = onward(&headers);
        let mut names: Vec<&str> = onward.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["accept", "accept-encoding"]);
    }
}
