//! `…/hooks[/{uid}]`: who is told of a repository's changes; and what became of telling them.

use axum::body::Body;
use axum::http::{Response, StatusCode};
use doorward_rules::Action;
use doorward_store::{Delivery, StoreError, Webhook};
use secrecy::SecretString;
use serde_json::{Value, json};
use uuid::Uuid;

use super::body::Object;
use super::braced;
use super::call::{Call, Granted, Place};
use super::listing::Listing;
use super::object::{self, encoded_id, link};
use super::parts::Parts;
use crate::refusal::{Refusal, shown};
use crate::webhook::PUSH;

type Two = Parts<(String, String)>;
type Three = Parts<(String, String, String)>;

/// `GET …/hooks`.
pub(super) async fn hooks(call: Call, Parts((workspace, repository)): Two) -> Response<Body> {
    call.carry_out(Action::ReadWebhooks, Place::Repository(&workspace, &repository), async |granted| {
        let listing = Listing::read(&call, &["uuid", "url", "description", "active", "created_at"])?;
        let api = api(&call, &granted).await?;
        let all = granted.store.webhooks(granted.repository_id()?).await?;
        let values = all.iter().map(|hook| hook_object(hook, &api)).collect();
        listing.answer(&call, values, &format!("{api}/hooks"))
    })
    .await
}

/// `POST …/hooks`: `{"url": "…", "events": ["repo:push"]}`, with a `secret` to sign with.
pub(super) async fn create(call: Call, Parts((workspace, repository)): Two, wanted: Object) -> Response<Body> {
    call.carry_out(Action::WriteWebhooks, Place::Repository(&workspace, &repository), async |granted| {
        let now = call.app.clock.now();
        let new = Webhook {
            id: Uuid::nil(),
            repository: granted.repository_id()?,
            description: String::new(),
            url: String::new(),
            secret: None,
            active: true,
            events: Vec::new(),
            created_at: now,
            updated_at: now,
        };
        let new = said(&wanted, new)?;
        let made = granted.store.create_webhook(&new, &granted.subject()).await.map_err(|error| match error {
            StoreError::State(why) => Refusal::bad_parameter("url", why, "delete one that nobody needs"),
            error => error.into(),
        })?;
        call.json_as(StatusCode::CREATED, hook_object(&made, &api(&call, &granted).await?))
    })
    .await
}

/// `GET …/hooks/{uid}`.
pub(super) async fn hook(call: Call, Parts((workspace, repository, id)): Three) -> Response<Body> {
    call.carry_out(Action::ReadWebhooks, Place::Repository(&workspace, &repository), async |granted| {
        let found = find(&granted, &id).await?;
        call.json(hook_object(&found, &api(&call, &granted).await?))
    })
    .await
}

/// `PUT …/hooks/{uid}`: what is said replaces what was, and the rest stays.
pub(super) async fn update(call: Call, Parts((workspace, repository, id)): Three, wanted: Object) -> Response<Body> {
    call.carry_out(Action::WriteWebhooks, Place::Repository(&workspace, &repository), async |granted| {
        let found = find(&granted, &id).await?;
        let changed = said(&wanted, Webhook { updated_at: call.app.clock.now(), ..found })?;
        granted.store.change_webhook(&changed, &granted.subject()).await?;
        call.json(hook_object(&changed, &api(&call, &granted).await?))
    })
    .await
}

/// `DELETE …/hooks/{uid}`.
pub(super) async fn delete(call: Call, Parts((workspace, repository, id)): Three) -> Response<Body> {
    call.carry_out(Action::DeleteWebhooks, Place::Repository(&workspace, &repository), async |granted| {
        let found = find(&granted, &id).await?;
        granted.store.delete_webhook(found.id, &granted.subject(), call.app.clock.now()).await?;
        call.nothing()
    })
    .await
}

/// `GET /2.0/doorward/repositories/{workspace}/{repository}/hooks/{uid}/deliveries`: what became of the messages to it.
pub(super) async fn deliveries(call: Call, Parts((workspace, repository, id)): Three) -> Response<Body> {
    call.carry_out(Action::ReadWebhooks, Place::Repository(&workspace, &repository), async |granted| {
        let listing = Listing::read(&call, &["event", "state", "attempts", "status", "created_on", "updated_on"])?;
        let found = find(&granted, &id).await?;
        let all = granted.store.deliveries(found.id).await?;
        let api = api(&call, &granted).await?.replacen("/2.0/", "/2.0/doorward/", 1);
        let address = format!("{api}/hooks/{}/deliveries", encoded_id(found.id));
        listing.answer(&call, all.iter().map(delivery_object).collect(), &address)
    })
    .await
}

/// A webhook with what is said of it.
fn said(wanted: &Object, mut hook: Webhook) -> Result<Webhook, Refusal> {
    if let Some(description) = wanted.text("description", LONGEST_TEXT)? {
        hook.description = description;
    }
    if let Some(url) = wanted.text("url", LONGEST_URL)? {
        hook.url = url;
    }
    let is_web = ["http://", "https://"].iter().any(|scheme| hook.url.to_ascii_lowercase().starts_with(scheme));
    if !is_web || hook.url.parse::<axum::http::Uri>().is_err() {
        let what = "it is no address that begins with http:// or https://";
        return Err(Refusal::bad_parameter("url", what, "say where to send messages to"));
    }
    if let Some(active) = wanted.truth("active")? {
        hook.active = active;
    }
    if let Some(events) = wanted.texts("events")? {
        if let Some(other) = events.iter().find(|event| !EVENTS.contains(&event.as_str())) {
            let what = format!("`{}` is no event; {PUSH} is the one that happens here", shown(other));
            return Err(Refusal::bad_parameter("events", what, "leave it out"));
        }
        hook.events = events;
        hook.events.sort();
        hook.events.dedup();
    }
    if hook.events.is_empty() {
        return Err(Refusal::bad_parameter("events", "it is required", "say [\"repo:push\"]"));
    }
    if wanted.has("secret") {
        hook.secret =
            wanted.text("secret", LONGEST_SECRET)?.filter(|secret| !secret.is_empty()).map(SecretString::from);
    }
    Ok(hook)
}

/// The webhook, if it is one of this repository.
async fn find(granted: &Granted, id: &str) -> Result<Webhook, Refusal> {
    let bare = id.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')).unwrap_or(id);
    let repository = granted.repository_id()?;
    let found = match bare.parse::<Uuid>() {
        Ok(id) => granted.store.webhooks(repository).await?.into_iter().find(|hook| hook.id == id),
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let sentence = format!("there is no webhook `{}` on this repository", shown(id));
        Refusal::not_there("webhook_not_found", sentence, "GET …/hooks names those that there are")
    })
}

async fn api(call: &Call, granted: &Granted) -> Result<String, Refusal> {
    Ok(call.api(&granted.repository(call).await?.0.name))
}

fn hook_object(hook: &Webhook, api: &str) -> Value {
    let (base, name) = api.split_once("/2.0/repositories/").unwrap_or((api, ""));
    let subject = name.parse().map_or(Value::Null, |name| object::repository_link(&name, Some(hook.repository), base));
    json!({
        "type": "webhook_subscription",
        "uuid": braced(hook.id),
        "url": hook.url,
        "description": hook.description,
        "subject_type": "repository",
        "subject": subject,
        "active": hook.active,
        "events": hook.events,
        "secret_set": hook.secret.is_some(),
        "created_at": object::moment(hook.created_at),
        "links": { "self": link(format!("{api}/hooks/{}", encoded_id(hook.id))) },
    })
}

fn delivery_object(delivery: &Delivery) -> Value {
    json!({
        "type": "delivery",
        "uuid": braced(delivery.id),
        "event": delivery.event,
        "state": delivery.state.word(),
        "attempts": delivery.attempts,
        "status": delivery.status,
        "trouble": delivery.trouble,
        "next_on": (delivery.state == doorward_store::DeliveryState::Waiting).then(|| object::moment(delivery.next_at)),
        "created_on": object::moment(delivery.created_at),
        "updated_on": object::moment(delivery.updated_at),
        "body": delivery.body,
    })
}

/// Every event that Bitbucket Cloud documents: they may be asked for, since tools ask for many at once. Of those that do not happen
/// here, nobody is told.
const EVENTS: &[&str] = &[
    PUSH,
    "issue:comment_created",
    "issue:created",
    "issue:updated",
    "pipeline:span_created",
    "project:updated",
    "pullrequest:approved",
    "pullrequest:changes_request_created",
    "pullrequest:changes_request_removed",
    "pullrequest:comment_created",
    "pullrequest:comment_deleted",
    "pullrequest:comment_reopened",
    "pullrequest:comment_resolved",
    "pullrequest:comment_updated",
    "pullrequest:created",
    "pullrequest:fulfilled",
    "pullrequest:push",
    "pullrequest:rejected",
    "pullrequest:unapproved",
    "pullrequest:updated",
    "repo:commit_comment_created",
    "repo:commit_status_created",
    "repo:commit_status_updated",
    "repo:created",
    "repo:deleted",
    "repo:fork",
    "repo:imported",
    "repo:transfer",
    "repo:updated",
];
const LONGEST_TEXT: usize = 1024;
const LONGEST_URL: usize = 2048;
const LONGEST_SECRET: usize = 512;
