//! `…/commit/{revision}/statuses[/build[/{key}]]`: what builds and others report of commits.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_rules::Action;
use doorward_store::{CommitStatus, StoreError};
use doorward_wire::{ObjectId, percent_encoded};
use serde_json::{Value, json};

use super::body::Object;
use super::call::{Call, Opened};
use super::listing::Listing;
use super::object::{self, link};
use super::parts::Parts;
use crate::refusal::{Refusal, shown};

type Three = Parts<(String, String, String)>;
type Four = Parts<(String, String, String, String)>;

/// `GET …/statuses`.
pub(super) async fn statuses(call: Call, Parts((workspace, repository, revision)): Three) -> Response<Body> {
    call.open(Action::ReadRepository, (&workspace, &repository), async |opened| {
        let listing = Listing::read(&call, FIELDS)?;
        let id = opened.commit(&revision).await?;
        let mut all = opened.granted.store.statuses(opened.granted.repository_id()?, id.as_str()).await?;
        if let Some(refname) = call.query.last("refname") {
            all.retain(|status| status.refname.as_deref() == Some(refname));
        }
        let values = all.iter().map(|status| status_object(status, &opened.api)).collect();
        listing.answer(&call, values, &format!("{}/commit/{id}/statuses", opened.api))
    })
    .await
}

/// `POST …/statuses/build`: the first report under a key, or one in place of it.
pub(super) async fn report(
    call: Call,
    Parts((workspace, repository, revision)): Three,
    wanted: Object,
) -> Response<Body> {
    call.open(Action::ReportStatus, (&workspace, &repository), async |opened| {
        let id = opened.commit(&revision).await?;
        let key = wanted.needed_text("key", LONGEST_KEY)?;
        let new = New { id, key, before: None, wanted: &wanted };
        let status = new.keep(&call, &opened).await?;
        call.json_as(StatusCode::CREATED, status_object(&status, &opened.api))
    })
    .await
}

/// `GET …/statuses/build/{key}`.
pub(super) async fn status(call: Call, Parts((workspace, repository, revision, key)): Four) -> Response<Body> {
    call.open(Action::ReadRepository, (&workspace, &repository), async |opened| {
        let id = opened.commit(&revision).await?;
        let status = find(&opened, &id, &key).await?.ok_or_else(|| missing(&key))?;
        call.json(status_object(&status, &opened.api))
    })
    .await
}

/// `PUT …/statuses/build/{key}`: what is said replaces what was, and the rest stays.
pub(super) async fn update(
    call: Call,
    Parts((workspace, repository, revision, key)): Four,
    wanted: Object,
) -> Response<Body> {
    call.open(Action::ReportStatus, (&workspace, &repository), async |opened| {
        let id = opened.commit(&revision).await?;
        let before = find(&opened, &id, &key).await?.ok_or_else(|| missing(&key))?;
        let new = New { id, key, before: Some(before), wanted: &wanted };
        let status = new.keep(&call, &opened).await?;
        call.json(status_object(&status, &opened.api))
    })
    .await
}

/// A report that came.
struct New<'a> {
    id: ObjectId,
    key: String,
    before: Option<CommitStatus>,
    wanted: &'a Object,
}

impl New<'_> {
    async fn keep(self, call: &Call, opened: &Opened) -> Result<CommitStatus, Refusal> {
        let Self { id, key, before, wanted } = self;
        let state = wanted.text("state", LONGEST_KEY)?.or(before.as_ref().map(|before| before.state.clone()));
        let state = state.ok_or_else(|| Refusal::bad_parameter("state", "it is required", "add it"))?;
        if !STATES.contains(&state.as_str()) {
            return Err(Refusal::bad_parameter("state", format!("it is none of {}", STATES.join(", ")), "change it"));
        }
        let url = wanted.text("url", LONGEST_URL)?.or(before.as_ref().map(|before| before.url.clone()));
        let url = url.ok_or_else(|| Refusal::bad_parameter("url", "it is required", "say where to read on"))?;
        let is_web = ["http://", "https://"].iter().any(|scheme| url.to_ascii_lowercase().starts_with(scheme));
        if !is_web || url.contains(char::is_whitespace) {
            let what = "it is no address that begins with http:// or https://";
            return Err(Refusal::bad_parameter("url", what, "change it"));
        }
        let name = wanted.text("name", LONGEST_NAME)?.or(before.as_ref().map(|before| before.name.clone()));
        let text = wanted.text("description", LONGEST_TEXT)?;
        let text = text.or(before.as_ref().map(|before| before.description.clone()));
        let refname = wanted.text("refname", LONGEST_NAME)?.or(before.as_ref().and_then(|b| b.refname.clone()));
        let now = call.app.clock.now();
        let status = CommitStatus {
            commit: id.to_string(),
            name: name.filter(|name| !name.is_empty()).unwrap_or_else(|| key.clone()),
            key,
            state,
            description: text.unwrap_or_default(),
            url,
            refname,
            created_at: now,
            updated_at: now,
        };
        match opened.granted.store.report_status(opened.granted.repository_id()?, &status).await {
            Err(StoreError::State(why)) => Err(Refusal::bad_parameter("key", why, "report under a key that there is")),
            kept => Ok(kept?),
        }
    }
}

async fn find(opened: &Opened, id: &ObjectId, key: &str) -> Result<Option<CommitStatus>, Refusal> {
    let all = opened.granted.store.statuses(opened.granted.repository_id()?, id.as_str()).await?;
    Ok(all.into_iter().find(|status| status.key == key))
}

fn missing(key: &str) -> Refusal {
    let sentence = format!("nothing was reported of this commit under the key `{}`", shown(key));
    Refusal::not_there("status_not_found", sentence, "GET …/statuses names what was")
}

fn status_object(status: &CommitStatus, api: &str) -> Value {
    let commit = format!("{api}/commit/{}", status.commit);
    json!({
        "type": "build",
        "key": status.key,
        "state": status.state,
        "name": status.name,
        "description": status.description,
        "url": status.url,
        "refname": status.refname,
        "commit": { "type": "commit", "hash": status.commit, "links": { "self": link(commit.clone()) } },
        "created_on": object::moment(status.created_at),
        "updated_on": object::moment(status.updated_at),
        "links": {
            "self": link(format!("{commit}/statuses/build/{}", percent_encoded(&status.key))),
            "commit": link(commit),
        },
    })
}

/// What a report can say.
const STATES: &[&str] = &["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"];
/// What a list of reports can be filtered and sorted by.
const FIELDS: &[&str] = &["key", "state", "name", "description", "url", "refname", "created_on", "updated_on"];
const LONGEST_KEY: usize = 100;
const LONGEST_NAME: usize = 255;
const LONGEST_URL: usize = 2048;
const LONGEST_TEXT: usize = 4096;
