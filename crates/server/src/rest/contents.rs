//! What all operations on a repository's contents begin with: its name, the question to the kernel, and a place to read.

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use doorward_git::{Commit, Contents};
use doorward_rules::{Action, Reason, RepositoryId, Surface};
use doorward_store::StoreError;
use doorward_wire::{ObjectId, RepositoryName};
use serde_json::{Value, json};

use super::{base, finish};
use crate::admit::{Admitted, Wish};
use crate::app::App;
use crate::context::Context;
use crate::observe::FoundAs;
use crate::refusal::{Refusal, shown};

/// A repository that the caller may read.
pub(super) struct Opened {
    pub(super) name: RepositoryName,
    pub(super) admitted: Admitted,
    pub(super) contents: Contents,
    /// Where its API is.
    pub(super) api: String,
}

/// Opens the repository that two segments of a path name: by their names, or the second one by its id in braces.
pub(super) async fn open(
    app: &App,
    context: &Context,
    headers: &HeaderMap,
    workspace: &str,
    repository: &str,
) -> Result<Opened, Box<Response<Body>>> {
    let respond = |refusal: Refusal| Box::new(refusal.on(Surface::Rest).respond(context.id));
    let name = match name_of(app, workspace, repository).await {
        Ok(Some(name)) => name,
        Ok(None) => {
            let absent = Refusal::of_reason(&Reason::RepositoryInvisible, Surface::Rest);
            return Err(respond(app.unnamed(absent, Surface::Rest, context)));
        }
        Err(refusal) => return Err(respond(refusal)),
    };
    let wish = Wish::rest(Action::Fetch, Some(&name));
    let (admitted, contents) =
        app.admit_to_read(context, headers, wish).await.map_err(|away| Box::new(away.respond()))?;
    let api = format!("{}/2.0/repositories/{name}", base(app, headers));
    Ok(Opened { name, admitted, contents, api })
}

async fn name_of(app: &App, workspace: &str, repository: &str) -> Result<Option<RepositoryName>, Refusal> {
    let Some(id) = repository.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return Ok(RepositoryName::from_url(workspace, repository).ok());
    };
    let Ok(id) = id.parse::<RepositoryId>() else { return Ok(None) };
    match app.store.repository_by_id(id).await {
        // The workspace may be left out, or be an id as well; a name of another one leads nowhere.
        Ok(found) if workspace.starts_with('{') || workspace == found.name.workspace.as_str() => Ok(Some(found.name)),
        // Asked about all the same, as about any absent one: the answer must not tell whether there is one to be hidden.
        Ok(_) | Err(StoreError::Missing { .. }) => Ok(RepositoryName::from_url("absent", &format!("absent-{id}")).ok()),
        Err(error) => Err(error.into()),
    }
}

impl Opened {
    /// The commit that is meant by a branch, a tag or an id.
    ///
    /// # Errors
    /// 404 if there is none; trouble with git.
    pub(super) async fn commit(&self, revision: &str) -> Result<ObjectId, Refusal> {
        self.contents.commit_id(revision).await?.ok_or_else(|| {
            let shown = shown(revision);
            let sentence = format!("commit not found: `{shown}` is no branch, tag or commit of this repository");
            Refusal::not_there("commit_not_found", sentence, "GET …/refs names what there is")
        })
    }

    /// The answer of an operation, counted.
    pub(super) async fn respond(
        app: &App,
        context: &Context,
        name: &RepositoryName,
        admitted: Admitted,
        found: Result<Response<Body>, Refusal>,
    ) -> Response<Body> {
        match found {
            Ok(response) => finish(app, context, Wish::rest(Action::Fetch, Some(name)), admitted, response).await,
            // It was let in, whatever it was told: counted, and in the log as such.
            Err(refusal) => {
                let wish = Wish::rest(Action::Fetch, Some(name));
                let id = match app.tally(context, wish, admitted.decision).await {
                    Ok(id) => id,
                    Err(trouble) => return trouble.on(Surface::Rest).respond(context.id),
                };
                let mut response = refusal.clone().on(Surface::Rest).respond(id);
                response.extensions_mut().insert(FoundAs(id));
                response.extensions_mut().insert(admitted.noted.refused(refusal.code));
                response
            }
        }
    }
}

/// A commit as the API has it.
pub(super) fn commit_object(commit: &Commit, name: &RepositoryName, api: &str) -> Value {
    let (author, email) = &commit.author;
    let raw = match email.is_empty() {
        true => author.clone(),
        false => format!("{author} <{email}>"),
    };
    // A message may be as long as a file; nobody reads that here.
    let message: String = commit.message.chars().take(LONGEST_MESSAGE).collect();
    json!({
        "type": "commit",
        "hash": commit.id.as_str(),
        "date": commit.date,
        "message": message,
        "summary": {
            "type": "rendered",
            "raw": message,
            "markup": "markdown",
            "html": format!("<p>{}</p>", escaped(message.trim_end())),
        },
        "author": { "type": "author", "raw": raw },
        "parents": commit.parents.iter().map(|id| commit_link(id, api)).collect::<Vec<_>>(),
        "repository": {
            "type": "repository",
            "full_name": name.to_string(),
            "name": name.slug.as_str(),
            "links": { "self": { "href": api } },
        },
        "links": commit_link(&commit.id, api)["links"],
    })
}

/// What there is of a commit where another thing is meant.
pub(super) fn commit_link(id: &ObjectId, api: &str) -> Value {
    json!({ "type": "commit", "hash": id.as_str(), "links": { "self": { "href": format!("{api}/commit/{id}") } } })
}

/// JSON as an answer.
pub(super) fn json_response(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let json = axum::http::HeaderValue::from_static("application/json");
    response.headers_mut().insert(axum::http::header::CONTENT_TYPE, json);
    response
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// As much of a commit's message as is shown, in letters.
const LONGEST_MESSAGE: usize = 16 * 1024;
