//! A brokered upstream: jobs present a token of this server, the kernel decides, and the gateway asks with a credential of its own.
//!
//! What the kernel decides about must be known here. A repository of the upstream becomes known when somebody first asks for it who
//! has a token of this server: private, and open to whoever may read all of its workspace.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, HeaderName, Method, Response, StatusCode};
use doorward_rules::{Action, Presented, Privilege, RepositoryId, Surface};
use doorward_store::{Named, StoreError};
use doorward_upstream::Seen;
use doorward_wire::{Authorization, Passwords, RepositoryName, RequestId, percent_decoded};

use super::Call;
use super::address::Address;
use crate::admit::Wish;
use crate::context::Context;
use crate::refusal::Refusal;

/// Which repositories are known here, and which were found not to be at the upstream.
#[derive(Debug, Default)]
pub(super) struct Mirrored {
    known: Mutex<HashSet<RepositoryId>>,
    absent: Mutex<Vec<(RepositoryId, Instant)>>,
}

impl Call {
    /// Asks the kernel about a request, and gives it the gateway's credential; the id under which the decision is found.
    pub(super) async fn let_in(&mut self, address: &Address, action: Action) -> Result<RequestId, Response<Body>> {
        let (surface, id) = (address.surface(), self.context.id);
        let respond = |refusal: Refusal| refusal.on(surface).respond(id);
        let Some(name) = address.repository() else { return Err(respond(not_passed())) };
        self.make_known(&name).await.map_err(respond)?;
        let wish = Wish { surface: address.surface(), ..Wish::git(action, &name) };
        let admitted = self.app.admit(&self.context, &self.headers, wish).await.map_err(|away| away.respond())?;
        let id = self.app.tally(&self.context, wish, admitted.decision).await.map_err(respond)?;
        // What the job has sent is for this server alone, and of the rest no more goes on than what is known to be harmless.
        self.asked = Some((action, self.headers.clone()));
        self.headers = harmless(&self.headers);
        let caller = self.upstream.brokered().await;
        self.present(Some(caller.map_err(|unanswered| respond(Self::unanswered(&unanswered)))?));
        Ok(id)
    }

    /// Makes a repository known here that is at the upstream, if whoever asks has a token of this server.
    async fn make_known(&self, name: &RepositoryName) -> Result<(), Refusal> {
        let app = self.app.clone();
        let (id, mirrored) = (self.upstream.mirror_of(name), &app.gateway.mirrored);
        if mirrored.has(id) {
            return Ok(());
        }
        match self.app.store.repository(name).await {
            Ok(_) => {
                mirrored.note(id);
                return Ok(());
            }
            Err(StoreError::Missing { .. }) => {}
            Err(error) => return Err(error.into()),
        }
        let values = self.headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes());
        let authorization = Authorization::read(values, Passwords::Refused);
        let found = self.app.store.find(&authorization, Named::Repository(name)).await?;
        // Whoever is nobody in the workspace must not learn what is at the upstream, not even by how long it takes.
        let is_somebody = found.facts.workspace.as_ref().is_some_and(|workspace| workspace.privilege > Privilege::None);
        if !matches!(found.facts.presented, Presented::Proven(_)) || !is_somebody || mirrored.is_absent(id) {
            return Ok(());
        }
        let now = self.app.clock.now();
        self.present(Some(self.upstream.brokered().await.map_err(|unanswered| Self::unanswered(&unanswered))?));
        match self.look(name).await {
            Seen::Refs(_) | Seen::Old => match self.app.store.create_repository(id, name, None, false, now).await {
                Ok(_) | Err(StoreError::Exists { .. }) => mirrored.note(id),
                // There is no such workspace, and the kernel says so.
                Err(StoreError::Missing { .. }) => {}
                Err(error) => return Err(error.into()),
            },
            Seen::Turned(turned) if turned.is_of_credential() => {
                return Err(self.turned(&turned, Surface::Git));
            }
            Seen::Turned(_) => mirrored.note_absent(id),
            Seen::Unanswered(unanswered) => return Err(Self::unanswered(&unanswered)),
        }
        Ok(())
    }
}

impl Call {
    /// Asks the kernel again about a job with a token of this server: it may have ended since.
    pub(super) async fn allowed_still(&self, name: &RepositoryName) -> Result<(), Refusal> {
        let Some((action, headers)) = &self.asked else { return Ok(()) };
        let now = Context { at: self.app.clock.now(), ..self.context.clone() };
        let wish = Wish::git(*action, name).again();
        self.app.admit(&now, headers, wish).await.map(drop).map_err(|away| away.refusal)
    }
}

/// The headers of a request that goes on with the gateway's rights.
fn harmless(headers: &HeaderMap) -> HeaderMap {
    let is_harmless = |name: &HeaderName| HARMLESS.contains(&name.as_str()) || name.as_str().starts_with("if-");
    headers.iter().filter(|(name, _)| is_harmless(name)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

impl Mirrored {
    fn has(&self, id: RepositoryId) -> bool {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).contains(&id)
    }

    fn note(&self, id: RepositoryId) {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(id);
    }

    fn is_absent(&self, id: RepositoryId) -> bool {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        absent.retain(|(_, at)| at.elapsed() < ABSENT);
        absent.iter().any(|(absent, _)| *absent == id)
    }

    fn note_absent(&self, id: RepositoryId) {
        let mut absent = self.absent.lock().unwrap_or_else(PoisonError::into_inner);
        if absent.len() < MOST_ABSENT {
            absent.push((id, Instant::now()));
        }
    }
}

/// What a request to a brokered upstream does, as the kernel is asked; `None` if it is not passed on for a token of this server.
pub(super) fn action(address: &Address, method: &Method, query: Option<&str>) -> Option<Action> {
    match address {
        Address::Refs { .. } if query.unwrap_or_default().contains("git-receive-pack") => Some(Action::Push),
        Address::Refs { .. } | Address::Fetch { .. } => Some(Action::Fetch),
        Address::Push { .. } => Some(Action::Push),
        // Answers to batches may have the credential in them that they were asked with.
        Address::Lfs { .. } => None,
        Address::Rest { rest, .. } => {
            let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
            let mut parts = path.trim_matches('/').split('/');
            let (kind, resource) = (parts.next(), parts.nth(2));
            let what = percent_decoded(&parts.collect::<Vec<_>>().join("/"));
            // Two commits may be of different repositories, and fields may be those of other things.
            let elsewhere = resource.is_some_and(|resource| COMPARING.contains(&resource)) && what.contains([':', '/']);
            // What was said about a commit is more than it.
            let is_about = resource == Some("commit") && what.contains('/');
            if elsewhere || is_about || percent_decoded(query).split('&').any(|pair| pair.starts_with("fields")) {
                return None;
            }
            let reads = matches!(*method, Method::GET | Method::HEAD);
            match (kind, resource) {
                (Some("repositories"), None) if reads => Some(Action::ReadRepository),
                (Some("repositories"), Some(resource)) if reads && READ.contains(&resource) => {
                    Some(Action::ReadRepository)
                }
                (Some("repositories"), Some("src")) if *method == Method::POST => Some(Action::Push),
                _ => None,
            }
        }
    }
}

pub(super) fn not_passed() -> Refusal {
    let sentence = "this call is not passed on for a token of this server";
    let remedy = "make it at the upstream itself, with a credential of your own there";
    Refusal::new(StatusCode::FORBIDDEN, "upstream_not_passed", sentence, remedy).on(Surface::Rest)
}

/// What whoever may read a repository may read of it by REST.
const READ: &[&str] = &["src", "commit", "commits", "refs", "diff", "diffstat", "patch", "merge-base", "filehistory"];
/// Those of them that compare what may be of several repositories.
const COMPARING: &[&str] = &["diff", "diffstat", "patch", "merge-base"];
/// How long a repository is taken for absent.
const ABSENT: Duration = Duration::from_secs(60);
/// What may go on of a request's headers.
const HARMLESS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "content-encoding",
    "content-length",
    "content-type",
    "git-protocol",
    "host",
    "range",
    "user-agent",
];
/// How many are remembered as absent.
const MOST_ABSENT: usize = 1000;
