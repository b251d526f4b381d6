//! The gateway: what is asked of workspaces whose repositories are at an upstream.
//!
//! A layer before all routes: it takes what is about such a workspace, and passes everything else on. It asks no kernel who may do
//! what, but the upstream itself, with the credential that the job has sent.

mod address;
mod broker;
mod fetch;
mod hosted;
mod kept;
mod pass;
mod push;
mod refusal;
mod spools;
mod told;
mod visit;

pub(crate) use visit::Visit;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method, Response};
use axum::middleware::Next;
use doorward_git::{Repositories, Service};
use doorward_rules::{Action, Fault, Presented, Surface};
use doorward_store::Named;
use doorward_upstream::{Caller, Print, Seen, Upstream, Upstreams, Workspaces};
use doorward_wire::{Authorization, Passwords, RepositoryName};

use crate::app::App;
use crate::context::Context;
use crate::observe::FoundAs;
use crate::refusal::Refusal;
use address::Address;
use hosted::Hosted;

/// All upstreams.
#[derive(Debug)]
pub(crate) struct Gateway {
    upstreams: Upstreams,
    hosted: Hosted,
    hints: told::Hints,
    mirrored: broker::Mirrored,
    spools: spools::Spools,
}

/// One request to an upstream.
#[derive(Clone)]
struct Call {
    app: App,
    upstream: Upstream,
    context: Context,
    visit: Visit,
    headers: HeaderMap,
    presenting: Arc<Presenting>,
    /// What a job with a token of this server wants to do, and what it presented.
    asked: Option<(Action, HeaderMap)>,
}

/// The credential that is presented to the upstream: the job's, or one of the gateway's own.
#[derive(Debug, Default)]
struct Presenting {
    caller: Mutex<Option<Arc<Caller>>>,
    /// How many of the gateway's own were refused in this request.
    refused: AtomicUsize,
}

impl Gateway {
    pub(crate) fn new(upstreams: Upstreams, disk: Repositories) -> Self {
        Self {
            upstreams,
            hosted: Hosted::default(),
            hints: told::Hints::default(),
            mirrored: broker::Mirrored::default(),
            spools: spools::Spools::new(disk),
        }
    }

    /// The upstreams of now.
    pub(crate) fn upstreams(&self) -> Arc<[Upstream]> {
        self.upstreams.all()
    }

    /// Where the repositories of a workspace are; `None` if they are here.
    async fn upstream_of(
        &self,
        app: &App,
        upstreams: &[Upstream],
        workspace: &str,
    ) -> Result<Option<Upstream>, Refusal> {
        if let Some(upstream) = upstreams.iter().find(|upstream| upstream.settings().names(workspace)) {
            return Ok(Some(upstream.clone()));
        }
        let Some(all) = upstreams.iter().find(|upstream| upstream.settings().workspaces == Workspaces::All) else {
            return Ok(None);
        };
        Ok((!self.hosted.has(app, workspace).await?).then(|| all.clone()))
    }
}

/// Who is asked for what is about no workspace, such as `/2.0/user`: the one upstream with REST to which jobs present its own
/// credentials, if something was presented.
fn upstream_for(upstreams: &[Upstream], headers: &HeaderMap) -> Option<Upstream> {
    let is_asked = |upstream: &&Upstream| upstream.settings().rest.is_some() && !upstream.settings().is_brokered();
    let mut with_rest = upstreams.iter().filter(is_asked);
    let upstream = with_rest.next().filter(|_| headers.contains_key(AUTHORIZATION))?;
    with_rest.next().is_none().then(|| upstream.clone())
}

/// Whether a credential is one of this server's, or was before it was damaged. It goes to nobody else.
async fn is_ours(app: &App, headers: &HeaderMap) -> Result<bool, Refusal> {
    let values = headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes());
    Ok(match Authorization::read(values, Passwords::Refused) {
        read @ Authorization::Token(_) => {
            // One that could not be ours is not looked up.
            let is_foreign = matches!(&read, Authorization::Token(token) if token.token.foreign.is_some());
            !is_foreign && matches!(app.store.find(&read, Named::Nothing).await?.facts.presented, Presented::Proven(_))
        }
        Authorization::Unreadable(fault, _) => matches!(fault, Fault::Truncated | Fault::Altered),
        Authorization::Nothing => false,
    })
}

/// Takes what is for an upstream.
pub(crate) async fn divert(State(app): State<App>, mut request: Request, next: Next) -> Response<Body> {
    let upstreams = app.gateway.upstreams();
    if upstreams.is_empty() {
        return next.run(request).await;
    }
    let (Some(address), Some(context)) = (Address::of(request.uri()), request.extensions().get::<Context>().cloned())
    else {
        return next.run(request).await;
    };
    let upstream = match address.workspace() {
        Some(workspace) => app.gateway.upstream_of(&app, &upstreams, workspace).await,
        None => Ok(upstream_for(&upstreams, request.headers())),
    };
    let upstream = match upstream {
        Ok(Some(upstream)) => upstream,
        Ok(None) => return next.run(request).await,
        Err(refusal) => return refusal.on(address.surface()).respond(context.id),
    };
    let visit = request.extensions_mut().remove::<Visit>().unwrap_or_default();
    let headers = request.headers().clone();
    let presenting = Arc::default();
    let call = Call { app: app.clone(), upstream, context, visit, headers, presenting, asked: None };
    // It shows what is sent along, which may be a credential of the gateway's own.
    if *request.method() == Method::TRACE {
        return call.refuse(&address, refusal::trace()).await;
    }
    if call.upstream.settings().is_brokered() {
        return call.brokered(&address, request).await;
    }
    match is_ours(&app, &call.headers).await {
        // What is about no workspace is about the account whose token it is.
        Ok(true) if address.workspace().is_none() => next.run(request).await,
        Ok(true) => call.refuse(&address, refusal::of_this_server(&call.upstream.settings().name)).await,
        Ok(false) => call.transparent(&address, request).await,
        Err(refusal) => refusal.on(address.surface()).respond(call.context.id),
    }
}

impl Call {
    /// Answers who presents a credential of the upstream.
    async fn transparent(self, address: &Address, request: Request) -> Response<Body> {
        let answered = match self.upstream.caller(&self.headers, address.surface()) {
            Ok(caller) => {
                self.present(caller);
                self.answer(address, request).await
            }
            Err(error) => Err(refusal::unreadable(error)),
        };
        match answered {
            Ok(response) => response,
            Err(refusal) => self.refuse(address, refusal).await,
        }
    }

    /// Answers who presents a token of this server.
    async fn brokered(mut self, address: &Address, request: Request) -> Response<Body> {
        let Some(action) = broker::action(address, request.method(), request.uri().query()) else {
            return self.refuse(address, broker::not_passed()).await;
        };
        let id = match self.let_in(address, action).await {
            Ok(id) => id,
            Err(response) => return response,
        };
        match self.answer(address, request).await {
            Ok(mut response) => {
                response.extensions_mut().insert(FoundAs(id));
                response
            }
            Err(refusal) => refusal.on(address.surface()).respond_recorded(id),
        }
    }

    async fn answer(&self, address: &Address, request: Request) -> Result<Response<Body>, Refusal> {
        match address {
            Address::Refs { name, .. } => self.info_refs(name, request.uri().query()).await,
            Address::Fetch { name, .. } => self.fetch(name, request).await,
            Address::Push { name, .. } => self.push(name, request).await,
            Address::Lfs { name, rest } => self.lfs(name, rest, request).await,
            Address::Rest { rest, .. } => self.rest(address.repository().as_ref(), rest, request).await,
        }
    }

    /// Who asks the upstream.
    fn caller(&self) -> Option<Arc<Caller>> {
        self.presenting.caller.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn print(&self) -> Option<Print> {
        self.caller().map(|caller| caller.print())
    }

    fn present(&self, caller: Option<Caller>) {
        *self.presenting.caller.lock().unwrap_or_else(PoisonError::into_inner) = caller.map(Arc::new);
    }

    /// Goes on to the next credential of the gateway's own, since the upstream has refused this one and it is of no use any more;
    /// whether there is one that was not refused yet.
    async fn goes_on(&self, surface: Surface) -> bool {
        let settings = self.upstream.settings();
        let Some(refused) = self.print().filter(|_| settings.is_brokered()) else { return false };
        let count = self.presenting.refused.fetch_add(1, Ordering::Relaxed) + 1;
        if !self.upstream.replace(refused, surface) || count >= settings.credentials.len() {
            return false;
        }
        match self.upstream.brokered().await {
            Ok(next) if next.print() != refused => {
                self.present(Some(next));
                true
            }
            _ => false,
        }
    }

    /// What the upstream says of a repository: as it was seen a moment ago, if it was asked on this connection then; or else now.
    async fn seen(&self, name: &RepositoryName) -> Seen {
        let repository = self.upstream.mirror_of(name);
        let caller = self.caller();
        if self.visit.has_asked(repository, self.print(), Service::UploadPack)
            && let Some(refs) = self.upstream.seen_lately(name, caller.as_deref())
        {
            return Seen::Refs(refs);
        }
        self.look(name).await
    }

    /// What the upstream says of a repository now.
    async fn look(&self, name: &RepositoryName) -> Seen {
        loop {
            let seen = self.upstream.look(name, self.caller().as_deref(), self.app.clock.now()).await;
            match &seen {
                Seen::Turned(turned) if turned.is_of_credential() && self.goes_on(Surface::Git).await => {}
                _ => return seen,
            }
        }
    }

    /// Notes for the requests that follow on this connection that the upstream was asked.
    fn note_asked(&self, name: &RepositoryName, service: Service) {
        self.visit.note(self.upstream.mirror_of(name), self.print(), service);
    }

    /// What a job that waits is told: what is wrong, or what is being done if it wants to hear of progress. Trouble is told also to a
    /// job without a terminal, which wants none.
    fn weather(
        &self,
        name: &RepositoryName,
        doing: &'static str,
        wants_progress: bool,
    ) -> impl Fn() -> Option<String> + Send + Sync + use<> {
        let (upstream, caller, name) = (self.upstream.clone(), self.caller(), name.clone());
        move || {
            let usual = || format!("{doing} {}", upstream.settings().name);
            upstream.weather(&name, caller.as_deref()).or_else(|| wants_progress.then(usual))
        }
    }

    /// What the job is told once: how it should have sent its credential.
    fn hint(&self, surface: Surface) -> Option<String> {
        let caller = self.caller().filter(|_| !self.upstream.settings().is_brokered())?;
        let form = self.upstream.should_be(Some(&caller), surface, self.app.clock.now())?;
        let kind = caller.kind()?.phrase();
        let name = &self.upstream.settings().name;
        let hint = format!("hint: {name} takes this {kind} {form}; it was passed on like that");
        self.app.gateway.hints.is_new(caller.print()).then_some(hint)
    }
}
