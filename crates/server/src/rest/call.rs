//! One call of the API: what was sent, the question to the kernel, and the answer, counted.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::FromRequestParts;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Uri};
use axum::response::IntoResponse;
use doorward_admin::Desk;
use doorward_git::{Contents, Repositories};
use doorward_rules::{
    Action, Credential, CredentialId, Limit, Object, Permit, Principal, Privilege, Reason, RepositoryId, RuleSet,
    Surface, Target, WorkspaceId,
};
use doorward_store::{Account, Decision, Named, Repository, Store, StoreError, Viewer, Workspace};
use doorward_wire::{
    AccountName, Authorization, Fields, ObjectId, Passwords, RepositoryName, RequestId, WorkspaceSlug,
};
use serde_json::{Map, Value};

use super::base;
use super::object;
use super::page::Query;
use crate::admit::{Admitted, Wish};
use crate::app::App;
use crate::context::Context;
use crate::observe::{FoundAs, Noted};
use crate::refusal::{Refusal, shown};
use crate::web::cookie;

/// What a handler comes to.
pub(crate) type Reply = Result<Response<Body>, Refusal>;

/// What was sent, but for its body.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) app: App,
    pub(crate) context: Context,
    pub(crate) method: Method,
    pub(crate) headers: HeaderMap,
    pub(crate) uri: Uri,
    pub(crate) query: Query,
    /// Where it came: by REST, or by the web pages, of which each is a call, too.
    pub(crate) surface: Surface,
}

/// What a call is about, as its address names it.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Place<'a> {
    /// The caller's own account.
    Account,
    /// A workspace, by its name or its id in braces.
    Workspace(&'a str),
    /// A repository: the workspace, and its own name or its id in braces.
    Repository(&'a str, &'a str),
    /// An account, as whoever asks has named it.
    Holder(&'a AccountName),
    /// A token or a request, as it was named, and whoever it was found to belong to; nobody must be able to tell from a record.
    Held(&'a str, &'a Held),
    /// The server.
    Server,
}

/// Whoever a token or a request belongs to.
#[derive(Debug, Clone)]
pub(crate) enum Held {
    /// An account.
    Account(AccountName),
    /// A workspace.
    Workspace(WorkspaceSlug),
    /// Nobody: there is no such thing, or nobody is known.
    Nobody,
}

/// Leave to do what a call asks for.
pub(crate) struct Granted {
    pub(crate) permit: Arc<Permit>,
    pub(crate) decision: Decision,
    /// The place that the credential is limited to.
    pub(crate) limit: Limit,
    pub(crate) credential: Option<Credential>,
    /// The store, on behalf of the caller: what is changed is recorded as its doing.
    pub(crate) store: Store,
    /// Under which the call is found later.
    pub(crate) id: RequestId,
    name: Name,
}

/// A repository that may be read, or changed, with a place for git.
pub(crate) struct Opened {
    repositories: Repositories,
    pub(crate) granted: Granted,
    pub(crate) name: RepositoryName,
    pub(crate) contents: Contents,
    /// Where its API is.
    pub(crate) api: String,
}

/// What a call is about, by its name.
#[derive(Debug, Clone)]
enum Name {
    Account,
    Workspace(WorkspaceSlug),
    Repository(RepositoryName),
    Holder(AccountName),
    Held(String, Held),
    Server,
}

impl Name {
    fn wish(&self, surface: Surface, action: Action) -> Wish<'_> {
        let shown = match self {
            Self::Held(shown, _) => Some(shown.as_str()),
            Self::Server => Some(SERVER),
            _ => None,
        };
        Wish { shown, surface, ..Wish::rest(action, self.as_named()) }
    }

    fn as_named(&self) -> Named<'_> {
        match self {
            Self::Account | Self::Server => Named::Nothing,
            Self::Held(_, Held::Nobody) => Named::Nothing,
            Self::Holder(name) | Self::Held(_, Held::Account(name)) => Named::Account(name),
            Self::Held(_, Held::Workspace(slug)) => Named::Workspace(slug),
            Self::Workspace(slug) => Named::Workspace(slug),
            Self::Repository(name) => Named::Repository(name),
        }
    }
}

impl FromRequestParts<App> for Call {
    type Rejection = Response<Body>;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Self::Rejection> {
        let context = Extension::<Context>::from_request_parts(parts, app).await;
        Ok(Self {
            app: app.clone(),
            context: context.map_err(IntoResponse::into_response)?.0,
            method: parts.method.clone(),
            headers: parts.headers.clone(),
            uri: parts.uri.clone(),
            query: Query::read(parts.uri.query()),
            surface: Surface::Rest,
        })
    }
}

impl Call {
    /// Whether the caller may know that there is such a workspace.
    ///
    /// # Errors
    /// Trouble with the store.
    pub(crate) async fn may_know_of(&self, workspace: &WorkspaceSlug) -> Result<bool, Refusal> {
        let values = self.headers.get_all(AUTHORIZATION).iter().map(|value| value.as_bytes());
        let authorization = match self.surface {
            Surface::Web => cookie::session(&self.headers, self.app.is_secure()),
            Surface::Git | Surface::Lfs | Surface::Rest => Authorization::read(values, Passwords::Refused),
        };
        let found = self.app.store.find(&authorization, Named::Workspace(workspace)).await?;
        let administers = found.facts.credential().is_some_and(|credential| credential.administrator);
        let known = |workspace: &doorward_rules::Workspace| {
            administers || workspace.shows || workspace.privilege > Privilege::None
        };
        Ok(found.facts.workspace.as_ref().is_some_and(known))
    }

    /// The same call with more parameters.
    #[must_use]
    pub(crate) fn with(self, form: Query) -> Self {
        Self { query: self.query.and(form), ..self }
    }

    /// Asks whether the caller may do this here; if so, does it; and counts the call, whatever came of it.
    pub(crate) async fn carry_out(
        &self,
        action: Action,
        place: Place<'_>,
        work: impl AsyncFnOnce(Granted) -> Reply,
    ) -> Response<Body> {
        let name = match self.resolve(action, place).await {
            Ok(name) => name,
            Err(refusal) => return self.refuse(&refusal),
        };
        let wish = name.wish(self.surface, action);
        let admitted = match self.app.admit(&self.context, &self.headers, wish).await {
            Ok(admitted) => admitted,
            Err(away) => return away.respond(),
        };
        let (granted, noted) = self.granted(admitted, wish, name.clone());
        let (decision, id) = (granted.decision.clone(), granted.id);
        let reply = match self.fields() {
            Ok(_) => match self.still_may(&granted).await {
                Ok(()) => work(granted).await,
                Err(refusal) => Err(refusal),
            },
            Err(refusal) => Err(refusal),
        };
        self.finish(wish, decision, id, noted, reply).await
    }

    /// Asks again, once all that was sent has come, which may have taken its time.
    async fn still_may(&self, granted: &Granted) -> Result<(), Refusal> {
        match self.method.is_safe() {
            true => Ok(()),
            false => Ok(granted.store.ask_again().await?),
        }
    }

    /// Asks whether the caller may do this here, before what it sends is read: to what, and who it is. It is asked about again
    /// when it is done.
    pub(crate) async fn may(
        &self,
        action: Action,
        place: Place<'_>,
    ) -> Result<(Target, Principal), Box<Response<Body>>> {
        let name = self.resolve(action, place).await.map_err(|refusal| Box::new(self.refuse(&refusal)))?;
        let wish = name.wish(self.surface, action);
        let admitted = self.app.admit(&self.context, &self.headers, wish).await;
        let permit = admitted.map_err(|away| Box::new(away.respond()))?.permit;
        Ok((permit.target(), permit.principal()))
    }

    /// The same as [`Self::carry_out`], with a place for the git processes that it takes.
    pub(crate) async fn open(
        &self,
        action: Action,
        place: (&str, &str),
        work: impl AsyncFnOnce(Opened) -> Reply,
    ) -> Response<Body> {
        self.opening(action, place, &self.context, false, work).await
    }

    /// The same for what was asked about before, at the moment that it is now.
    pub(crate) async fn open_again(
        &self,
        action: Action,
        place: (&str, &str),
        work: impl AsyncFnOnce(Opened) -> Reply,
    ) -> Response<Body> {
        let now = Context { at: self.app.clock.now(), ..self.context.clone() };
        self.opening(action, place, &now, true, work).await
    }

    async fn opening(
        &self,
        action: Action,
        (workspace, repository): (&str, &str),
        context: &Context,
        again: bool,
        work: impl AsyncFnOnce(Opened) -> Reply,
    ) -> Response<Body> {
        let name = match self.resolve(action, Place::Repository(workspace, repository)).await {
            Ok(name) => name,
            Err(refusal) => return self.refuse(&refusal),
        };
        let wish = Wish { again, ..name.wish(self.surface, action) };
        let (admitted, contents) = match self.app.admit_to_read(context, &self.headers, wish).await {
            Ok(admitted) => admitted,
            Err(away) => return away.respond(),
        };
        let (granted, noted) = self.granted(admitted, wish, name.clone());
        let (decision, id) = (granted.decision.clone(), granted.id);
        let reply = match (&name, self.fields()) {
            (_, Err(refusal)) => Err(refusal),
            (Name::Repository(name), Ok(_)) => match self.still_may(&granted).await {
                Ok(()) => work(self.opened(granted, name.clone(), contents)).await,
                Err(refusal) => Err(refusal),
            },
            (_, Ok(_)) => Err(misdirected().into()),
        };
        self.finish(wish, decision, id, noted, reply).await
    }

    /// A repository with a place for git, opened by leave.
    pub(crate) fn opened(&self, granted: Granted, name: RepositoryName, contents: Contents) -> Opened {
        let api = self.api(&name);
        Opened { repositories: self.app.repositories.clone(), granted, name, contents, api }
    }

    fn granted(&self, admitted: Admitted, wish: Wish<'_>, name: Name) -> (Granted, Noted) {
        let Admitted { permit, decision, noted, limit, credential, leave } = admitted;
        let id = self.context.id.tagged(decision.tag(&wish.subject()));
        let store = self.app.store.on_behalf_of(id, decision.clone(), leave);
        (Granted { permit: Arc::new(permit), decision, limit, credential, store, id, name }, noted)
    }

    async fn finish(
        &self,
        wish: Wish<'_>,
        decision: Decision,
        id: RequestId,
        noted: Noted,
        reply: Reply,
    ) -> Response<Body> {
        // What the kernel lets in and is refused all the same is on record as refused.
        if let Err(refusal) = &reply
            && (refusal.status == StatusCode::FORBIDDEN || refusal.withdrawn_by.is_some())
        {
            let refusal = refusal.clone().on(self.surface);
            self.app.metrics.refused(refusal.code);
            let (refused, noted) = (decision.clone().refused(refusal.code), noted.refused(refusal.code));
            let refused = Decision { rule: refusal.withdrawn_by.unwrap_or(refused.rule), ..refused };
            let holder = decision.credential.as_deref().and_then(CredentialId::parse);
            let recorded = self.app.record_refusal(&self.context, wish, refused, holder, &refusal).await;
            let mut response = match &recorded {
                Ok(id) => refusal.respond_recorded(*id),
                Err(trouble) => return self.refuse(trouble),
            };
            response.extensions_mut().insert(FoundAs(recorded.unwrap_or(id)));
            response.extensions_mut().insert(noted);
            return response;
        }
        if let Err(trouble) = self.app.tally(&self.context, wish, decision).await
            && (self.method.is_safe() || reply.is_err())
        {
            return self.refuse(&trouble);
        }
        // What was changed is changed and recorded, counted or not: the caller must not take it for undone.
        let (mut response, noted) = match reply {
            Ok(response) => (response, noted),
            Err(refusal) => (refusal.clone().on(self.surface).respond(id), noted.refused(refusal.code)),
        };
        response.extensions_mut().insert(FoundAs(id));
        response.extensions_mut().insert(noted);
        response
    }

    /// The name that is meant. An id leads to the name that its thing has now; one that leads nowhere, to a name that nothing
    /// has: what is absent is asked about as what is there, so that nothing tells whether there is something to be hidden.
    async fn resolve(&self, action: Action, place: Place<'_>) -> Result<Name, Refusal> {
        let (workspace, repository) = match place {
            Place::Account => return Ok(Name::Account),
            Place::Server => return Ok(Name::Server),
            Place::Holder(name) => return Ok(Name::Holder(name.clone())),
            Place::Held(shown, held) => return Ok(Name::Held(shown.to_owned(), held.clone())),
            Place::Workspace(workspace) => (workspace, None),
            Place::Repository(workspace, repository) => (workspace, Some(repository)),
        };
        let absent = || self.absent(action);
        let Some(repository) = repository else {
            let slug = match in_braces(workspace) {
                None => workspace.parse().ok(),
                Some(id) => Some(self.workspace_with_id(id).await?),
            };
            return slug.map(Name::Workspace).ok_or_else(absent);
        };
        if let Some(id) = in_braces(repository) {
            let Ok(id) = id.parse::<RepositoryId>() else { return Err(absent()) };
            let nowhere = || RepositoryName::from_url("absent", &format!("absent-{id}")).map_err(|_| absent());
            return match self.app.store.repository_by_id(id).await {
                // The workspace may be left out, or be an id as well; a name of another one leads nowhere.
                Ok(found) if workspace.starts_with('{') || workspace == found.name.workspace.as_str() => {
                    Ok(Name::Repository(found.name))
                }
                Ok(_) | Err(StoreError::Missing { .. }) => nowhere().map(Name::Repository),
                Err(error) => Err(error.into()),
            };
        }
        let workspace = match in_braces(workspace) {
            None => workspace.to_owned(),
            Some(id) => self.workspace_with_id(id).await?.to_string(),
        };
        RepositoryName::from_url(&workspace, repository).map(Name::Repository).map_err(|_| absent())
    }

    async fn workspace_with_id(&self, id: &str) -> Result<WorkspaceSlug, Refusal> {
        let nowhere = || "absent-workspace".parse().map_err(|_| self.absent(Action::ReadWorkspace));
        let Ok(id) = id.parse::<WorkspaceId>() else { return nowhere() };
        match self.app.store.workspace_by_id(id).await {
            Ok(workspace) => Ok(workspace.slug),
            Err(StoreError::Missing { .. }) => nowhere(),
            Err(error) => Err(error.into()),
        }
    }

    /// What is answered for what is not there, or may not be seen.
    pub(crate) fn absent(&self, action: Action) -> Refusal {
        let reason = match action.object() {
            Object::Workspace => Reason::WorkspaceInvisible,
            Object::Holder => Reason::NotYours { action },
            Object::Repository | Object::Account | Object::Server => Reason::RepositoryInvisible,
        };
        self.app.absent(Refusal::of_reason(&reason, self.surface), &reason, self.surface, &self.context)
    }

    /// An answer that is none, of a call that was not asked about.
    pub(crate) fn refuse(&self, refusal: &Refusal) -> Response<Body> {
        refusal.clone().on(self.surface).respond(self.context.id)
    }

    /// The address under which the caller reached the server.
    pub(crate) fn base(&self) -> String {
        base(&self.app, &self.headers)
    }

    /// Where the API of a repository is.
    pub(crate) fn api(&self, name: &RepositoryName) -> String {
        format!("{}/2.0/repositories/{name}", self.base())
    }

    /// JSON as an answer, in those parts that are asked for.
    ///
    /// # Errors
    /// 400 if `fields` names none.
    pub(crate) fn json(&self, value: Value) -> Reply {
        self.json_as(StatusCode::OK, value)
    }

    /// The same with another status.
    pub(crate) fn json_as(&self, status: StatusCode, value: Value) -> Reply {
        let value = self.fields()?.pick(value);
        let mut response = Response::new(Body::from(value.to_string()));
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(response)
    }

    /// The parts of the answer that are asked for.
    fn fields(&self) -> Result<Fields, Refusal> {
        let fields = self.query.last("fields").map(Fields::parse).transpose();
        let fields = fields.map_err(|error| {
            Refusal::bad_parameter("fields", error.to_string(), "name fields as in values.name,-links")
        })?;
        Ok(fields.unwrap_or_default())
    }

    /// 204: done, and nothing to say.
    pub(crate) fn nothing(&self) -> Reply {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        // There are clients that fail on an answer without a type, be it empty.
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
        Ok(response)
    }
}

impl Granted {
    /// The repository that it is about, whatever has its name by now, and its workspace.
    ///
    /// # Errors
    /// 404 if it was deleted this moment.
    pub(crate) async fn repository(&self, call: &Call) -> Result<(Repository, Workspace), Refusal> {
        let found = async {
            let Target::Repository(id) = self.permit.target() else { return Err(misdirected()) };
            let repository = self.store.repository_by_id(id).await?;
            let workspace = self.store.workspace(&repository.name.workspace).await?;
            Ok((repository, workspace))
        };
        self.found(call, found.await)
    }

    /// The id of the repository that it is about.
    pub(crate) fn repository_id(&self) -> Result<RepositoryId, Refusal> {
        match self.permit.target() {
            Target::Repository(id) => Ok(id),
            Target::Workspace(_) | Target::Account(_) | Target::Server => Err(misdirected().into()),
        }
    }

    /// The workspace that it is about.
    ///
    /// # Errors
    /// 404 if it was deleted this moment.
    pub(crate) async fn workspace(&self, call: &Call) -> Result<Workspace, Refusal> {
        let Target::Workspace(id) = self.permit.target() else { return Err(misdirected().into()) };
        self.found(call, self.store.workspace_by_id(id).await)
    }

    /// The workspace whose tokens it is about.
    ///
    /// # Errors
    /// 404 if it was deleted this moment, or there is none.
    pub(crate) async fn holding_workspace(&self, call: &Call) -> Result<Workspace, Refusal> {
        let Name::Workspace(slug) = &self.name else { return Err(misdirected().into()) };
        self.found(call, self.store.workspace(slug).await)
    }

    /// The caller's own account.
    pub(crate) async fn account(&self) -> Result<Account, Refusal> {
        let Target::Account(id) = self.permit.target() else { return Err(misdirected().into()) };
        Ok(self.store.account_by_id(id).await?)
    }

    /// Why a workspace's own rules stand against this call, of which its account's other workspaces do not decide.
    ///
    /// # Errors
    /// Trouble with the store.
    pub(crate) async fn against(&self, call: &Call, workspace: &WorkspaceSlug) -> Result<Option<Reason>, Refusal> {
        let Some(credential) = &self.credential else { return Ok(None) };
        let policy = self.store.policy(workspace).await?;
        let kept = match call.app.settings.rules {
            RuleSet::Doorward => policy.against_credential(credential),
            RuleSet::BitbucketCloud => None,
        };
        Ok(kept.or_else(|| policy.against_access(credential, Some(call.context.address))))
    }

    /// What the caller is to a list of repositories.
    pub(crate) fn viewer(&self) -> Viewer {
        match self.permit.principal() {
            Principal::Anyone => Viewer::Anyone,
            Principal::Account { account, .. } => Viewer::Account(account),
            Principal::Synthetic { .. } => Viewer::Token(self.limit),
        }
    }

    fn found<T>(&self, call: &Call, found: Result<T, StoreError>) -> Result<T, Refusal> {
        match found {
            Err(StoreError::Missing { .. }) => Err(call.absent(self.permit.action())),
            found => found.map_err(Refusal::from),
        }
    }

    /// Where administering is done, on behalf of the caller.
    pub(crate) fn desk(&self, call: &Call) -> Desk {
        Desk {
            store: self.store.clone(),
            repositories: Some(call.app.repositories.clone()),
            shape: call.app.settings.token_shape,
            now: call.app.clock.now(),
            maker: self.credential.clone(),
            address: Some(call.context.address),
        }
    }

    /// What it is about, as it is recorded.
    pub(crate) fn subject(&self) -> String {
        self.name.wish(Surface::Rest, self.permit.action()).subject()
    }
}

impl Opened {
    /// The commit that is meant by a branch, a tag or an id.
    ///
    /// # Errors
    /// 404 if there is none; trouble with git.
    pub(crate) async fn commit(&self, revision: &str) -> Result<ObjectId, Refusal> {
        let revision = revision.trim_end_matches('/');
        if revision != "HEAD" {
            return commit(&self.contents, revision).await;
        }
        let branch = self.repositories.main_branch(&self.granted.permit).await?;
        commit(&self.contents, branch.as_deref().unwrap_or("HEAD")).await
    }
}

impl Opened {
    /// Adds to the authors in an answer which accounts they are: of those that belong to the repository, and for callers with a
    /// credential, so that nobody can find out by a commit of its own who has an account.
    ///
    /// # Errors
    /// Trouble with the store.
    pub(crate) async fn with_people(&self, call: &Call, mut value: Value) -> Result<Value, Refusal> {
        let Target::Repository(id) = self.granted.permit.target() else { return Ok(value) };
        let mut addresses = Vec::new();
        each_signature(&mut value, &mut |_, address| addresses.push(address));
        if addresses.is_empty() || self.granted.permit.principal() == Principal::Anyone {
            return Ok(value);
        }
        addresses.sort();
        addresses.dedup();
        let base = call.base();
        let people = self.granted.store.people_with_addresses(id, &addresses).await?;
        let people: HashMap<String, Value> =
            people.iter().map(|account| (account.email.to_string(), object::account(account, &base))).collect();
        each_signature(&mut value, &mut |signature, address| {
            if let Some(account) = people.get(&address) {
                signature.insert("user".into(), account.clone());
            }
        });
        Ok(value)
    }
}

/// Calls `look` with every author and committer in an answer, and its address in small letters.
fn each_signature(value: &mut Value, look: &mut impl FnMut(&mut Map<String, Value>, String)) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(|value| each_signature(value, look)),
        Value::Object(fields) => {
            let is_signature = matches!(fields.get("type").and_then(Value::as_str), Some("author" | "committer"));
            let raw = fields.get("raw").and_then(Value::as_str).filter(|_| is_signature);
            let address = raw.and_then(|raw| raw.strip_suffix('>')?.rsplit_once('<'));
            match address.map(|(_, address)| address.to_ascii_lowercase()) {
                Some(address) => look(fields, address),
                None => fields.values_mut().for_each(|value| each_signature(value, look)),
            }
        }
        _ => {}
    }
}

/// The commit that is meant by a branch, a tag or an id.
///
/// # Errors
/// 404 if there is none; trouble with git.
pub(crate) async fn commit(contents: &Contents, revision: &str) -> Result<ObjectId, Refusal> {
    contents.commit_id(revision).await?.ok_or_else(|| {
        let shown = shown(revision);
        let sentence = format!("commit not found: `{shown}` is no branch, tag or commit of this repository");
        Refusal::not_there("commit_not_found", sentence, "GET …/refs names what there is")
    })
}

fn in_braces(text: &str) -> Option<&str> {
    text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'))
}

/// The server, in records.
const SERVER: &str = "(server)";

fn misdirected() -> StoreError {
    StoreError::State("a permit was brought to something that it is not for".into())
}
