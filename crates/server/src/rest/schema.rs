//! The shapes of what is sent and answered, in JSON Schema.

use serde_json::{Value, json};

/// Every shape, by its name.
pub(super) fn shapes() -> Value {
    let mut all = json!({ "anything": {} });
    for (name, shape) in answered().into_iter().chain(sent()).chain(super::admin::shapes()) {
        all[name] = shape;
    }
    all
}

/// What is answered.
fn answered() -> Vec<(&'static str, Value)> {
    let account = json!({
        "type": { "const": "user" }, "uuid": id(), "account_id": text(), "nickname": text(), "username": text(),
        "display_name": text(), "created_on": moment(), "links": links(),
    });
    let mut own = account.clone();
    own["account_status"] = words(&["active"]);
    own["has_2fa_enabled"] = switch();
    own["is_staff"] = switch();
    own["location"] = json!({ "type": ["string", "null"] });
    let entry = json!({ "path": text(), "commit": of("commit_link"), "links": links() });
    vec![
        ("error", error()),
        ("page", page()),
        ("account", object(account)),
        ("own_account", object(own)),
        (
            "email",
            object(json!({
                "type": { "const": "email" }, "email": text(), "is_primary": switch(), "is_confirmed": switch(), "links": links(),
            })),
        ),
        (
            "workspace",
            object(json!({
                "type": { "const": "workspace" }, "uuid": id(), "slug": text(), "name": text(), "is_private": switch(),
                "is_privacy_enforced": switch(), "forking_mode": words(&["allow_forks", "internal_only"]),
                "created_on": moment(), "updated_on": moment(), "links": links(),
            })),
        ),
        (
            "workspace_link",
            object(json!({ "type": { "const": "workspace" }, "uuid": id(), "slug": text(), "links": links() })),
        ),
        (
            "workspace_access",
            object(json!({
                "type": { "const": "workspace_access" }, "administrator": switch(),
                "workspace": object(json!({ "type": { "const": "workspace_base" }, "uuid": id(), "slug": text(), "links": links() })),
            })),
        ),
        (
            "workspace_membership",
            object(json!({
                "type": { "const": "workspace_membership" }, "permission": words(&["owner", "member"]),
                "user": of("account"), "workspace": of("workspace_link"), "links": links(),
            })),
        ),
        (
            "project",
            object(json!({
                "type": { "const": "project" }, "uuid": id(), "key": text(), "name": text(), "description": text(),
                "is_private": switch(), "workspace": of("workspace_link"), "owner": {}, "has_publicly_visible_repos": switch(),
                "created_on": moment(), "updated_on": moment(), "links": links(),
            })),
        ),
        (
            "repository",
            object(json!({
                "type": { "const": "repository" }, "uuid": id(), "full_name": text(), "name": text(), "slug": text(),
                "description": text(), "scm": { "const": "git" }, "is_private": switch(), "workspace": of("workspace_link"),
                "owner": {}, "project": {}, "fork_policy": words(&["allow_forks", "no_public_forks", "no_forks"]),
                "created_on": moment(), "updated_on": moment(), "has_issues": switch(), "has_wiki": switch(), "mainbranch": {},
                "links": links(),
            })),
        ),
        (
            "repository_link",
            object(json!({ "type": { "const": "repository" }, "full_name": text(), "name": text(), "links": links() })),
        ),
        ("repository_permission", permission("repository_permission", json!({}))),
        ("repository_user_permission", permission("repository_user_permission", json!({ "links": links() }))),
        (
            "ref",
            object(json!({
                "type": words(&["branch", "tag"]), "name": text(),
                "target": { "anyOf": [of("commit"), of("commit_link"), { "type": "null" }] }, "links": links(),
                "message": text(), "date": { "type": ["string", "null"] }, "tagger": {},
                "message": text(), "date": { "type": ["string", "null"] }, "tagger": {},
            })),
        ),
        (
            "commit",
            object(json!({
                "type": { "const": "commit" }, "hash": text(), "date": text(), "message": text(), "summary": {},
                "author": object(json!({ "type": { "const": "author" }, "raw": text() })),
                "parents": { "type": "array", "items": of("commit_link") }, "repository": of("repository_link"), "links": links(),
            })),
        ),
        ("commit_link", object(json!({ "type": { "const": "commit" }, "hash": text(), "links": links() }))),
        ("commit_file", file(&entry, json!({ "type": words(&["commit_file", "commit_directory"]), "commit": {} }))),
        (
            "commit_status",
            object(json!({
                "type": { "const": "build" }, "key": text(), "state": words(STATES), "name": text(), "description": text(),
                "url": text(), "refname": { "type": ["string", "null"] }, "commit": of("commit_link"), "created_on": moment(),
                "updated_on": moment(), "links": links(),
            })),
        ),
        (
            "diffstat",
            object(json!({
                "type": { "const": "diffstat" }, "status": words(&["added", "removed", "modified", "renamed"]),
                "lines_added": number(), "lines_removed": number(), "old": {}, "new": {},
            })),
        ),
        (
            "webhook_subscription",
            object(json!({
                "type": { "const": "webhook_subscription" }, "uuid": id(), "url": text(), "description": text(),
                "subject_type": { "const": "repository" }, "active": switch(), "events": { "type": "array", "items": text() },
                "secret_set": switch(), "created_at": moment(), "links": links(),
            })),
        ),
        (
            "delivery",
            object(json!({
                "type": { "const": "delivery" }, "uuid": id(), "event": text(),
                "state": words(&["waiting", "delivered", "given_up"]), "attempts": number(),
                "status": { "type": ["integer", "null"] }, "trouble": { "type": ["string", "null"] },
                "next_on": { "type": ["string", "null"] }, "created_on": moment(), "updated_on": moment(), "body": text(),
            })),
        ),
    ]
}

/// What is sent. What is not named here is passed over.
fn sent() -> Vec<(&'static str, Value)> {
    let project = json!({ "name": text(), "description": text(), "is_private": switch(), "key": text() });
    let status = json!({
        "key": text(), "state": words(STATES), "url": { "type": "string", "format": "uri" }, "name": text(),
        "description": text(), "refname": text(),
    });
    let hook = json!({
        "url": { "type": "string", "format": "uri" }, "description": text(), "active": switch(),
        "events": { "type": "array", "items": text() }, "secret": text(),
    });
    let named = |name: &str| wanted(&json!({ name: text() }), &[]);
    let several = || json!({ "type": "array", "items": text() });
    vec![
        ("new_project", wanted(&project, &["key", "name"])),
        ("changed_project", wanted(&project, &[])),
        (
            "repository_settings",
            wanted(
                &json!({
                    "name": text(), "description": text(), "is_private": switch(), "scm": { "const": "git" },
                    "project": named("key"), "mainbranch": named("name"),
                    "fork_policy": words(&["allow_forks", "no_public_forks", "no_forks"]),
                }),
                &[],
            ),
        ),
        (
            "given_permission",
            wanted(&json!({ "permission": words(&["none", "read", "write", "admin"]) }), &["permission"]),
        ),
        (
            "new_ref",
            wanted(
                &json!({
                    "name": text(), "message": text(),
                    "target": { "type": "object", "properties": { "hash": text() }, "required": ["hash"] },
                }),
                &["name", "target"],
            ),
        ),
        ("new_commit_status", wanted(&status, &["key", "state", "url"])),
        ("changed_commit_status", wanted(&status, &[])),
        ("new_webhook", wanted(&hook, &["url", "events"])),
        ("changed_webhook", wanted(&hook, &[])),
        ("commit_filter", wanted(&json!({ "include": several(), "exclude": several(), "path": text() }), &[])),
        (
            "upload",
            json!({
                "type": "object",
                "description": "A field whose name is a path is a file. `files` names paths; one without a content is removed.",
                "properties": {
                    "message": text(), "author": text(), "parents": text(), "branch": text(),
                    "files": { "anyOf": [text(), several()] },
                },
                "additionalProperties": { "type": "string" },
            }),
        ),
    ]
}

fn error() -> Value {
    let detail = object(json!({ "code": text(), "remedy": text(), "request_id": text() }));
    json!({
        "type": "object",
        "properties": {
            "type": { "const": "error" },
            "error": {
                "type": "object",
                "properties": { "message": text(), "detail": detail, "fields": { "type": "object" }, "data": {} },
                "required": ["message"],
            },
        },
        "required": ["type", "error"],
    })
}

fn page() -> Value {
    let address = json!({ "type": "string", "format": "uri" });
    json!({
        "type": "object",
        "properties": {
            "values": { "type": "array" }, "page": number(), "pagelen": number(), "size": number(),
            "next": address, "previous": address,
        },
    })
}

fn permission(kind: &str, more: Value) -> Value {
    let mut fields = json!({
        "type": { "const": kind }, "permission": words(&["none", "read", "write", "admin"]), "user": of("account"),
        "repository": of("repository_link"),
    });
    for (name, value) in more.as_object().into_iter().flatten() {
        fields[name] = value.clone();
    }
    object(fields)
}

fn file(entry: &Value, more: Value) -> Value {
    let mut fields = entry.clone();
    for (name, value) in more.as_object().into_iter().flatten() {
        fields[name] = value.clone();
    }
    object(fields)
}

/// An object of these fields, of which `fields` may leave any out.
pub(super) fn object(fields: Value) -> Value {
    json!({ "type": "object", "properties": fields })
}

/// An object that is sent. What is not required may be left out, or be null.
pub(super) fn wanted(fields: &Value, required: &[&str]) -> Value {
    let mut properties = fields.clone();
    for (name, shape) in properties.as_object_mut().into_iter().flatten() {
        if !required.contains(&name.as_str()) {
            *shape = json!({ "anyOf": [shape.clone(), { "type": "null" }] });
        }
    }
    json!({ "type": "object", "properties": properties, "required": required })
}

pub(super) fn of(name: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{name}") })
}

pub(super) fn text() -> Value {
    json!({ "type": "string" })
}

pub(super) fn number() -> Value {
    json!({ "type": "integer" })
}

pub(super) fn switch() -> Value {
    json!({ "type": "boolean" })
}

pub(super) fn words(words: &[&str]) -> Value {
    json!({ "type": "string", "enum": words })
}

/// An id in braces.
fn id() -> Value {
    json!({ "type": "string", "pattern": "^\\{[0-9a-f-]{36}\\}$" })
}

pub(super) fn moment() -> Value {
    json!({ "type": "string", "format": "date-time" })
}

fn links() -> Value {
    json!({ "type": "object" })
}

const STATES: &[&str] = &["SUCCESSFUL", "FAILED", "INPROGRESS", "STOPPED"];
