//! The shapes of what only this server sends and takes, in JSON Schema.

use doorward_admin::KINDS;
use doorward_rules::{Kind, Privilege};
use serde_json::{Value, json};

use super::super::schema::{moment, number, object, of, switch, text, wanted, words};
use super::token::MADE;

/// Every shape, by its name.
pub(in crate::rest) fn shapes() -> Vec<(&'static str, Value)> {
    answered().into_iter().chain(sent()).collect()
}

fn answered() -> Vec<(&'static str, Value)> {
    let token = json!({
        "id": text(), "kind": words(&KINDS.map(Kind::word)), "account": or_null(text()), "name": text(),
        "scopes": several(text()), "workspace": or_null(text()), "for": or_null(text()), "created_at": moment(),
        "expires_at": or_null(moment()), "revoked_at": or_null(moment()), "replaced_by": or_null(text()),
        "made_by": or_null(text()), "last_used": or_null(of("token_use")),
        "state": words(&["valid", "revoked", "expired", "off", "retired", "replaced"]), "uses": several(of("token_use")),
        "made": several(text()), "with": several(text()), "left": several(text()),
    });
    let mut new = token.clone();
    new["secret"] = text();
    new["replaces"] = text();
    new["old_expires_at"] = moment();
    let consumer = json!({
        "key": text(), "workspace": text(), "name": text(), "description": text(), "callback": or_null(text()),
        "private": switch(), "scopes": several(text()), "created_at": moment(), "old_secret_ends_at": or_null(moment()),
    });
    let mut new_consumer = consumer.clone();
    new_consumer["secret"] = text();
    let privileges = words(&Privilege::ALL.map(Privilege::word));
    vec![
        ("consumer", object(consumer)),
        ("new_consumer", object(new_consumer)),
        ("link", object(json!({ "account": text(), "path": text(), "expires_at": moment() }))),
        (
            "administered_account",
            object(json!({
                "id": text(), "name": text(), "email": text(), "disabled": switch(), "administrator": switch(),
                "managed": switch(), "two_step": switch(), "created_at": moment(),
            })),
        ),
        (
            "administered_workspace",
            object(json!({
                "id": text(), "slug": text(), "owner": text(), "members": several(text()), "created_at": moment(),
            })),
        ),
        (
            "administered_project",
            object(json!({ "id": text(), "name": text(), "title": text(), "created_at": moment() })),
        ),
        (
            "administered_repository",
            object(json!({
                "id": text(), "name": text(), "project": text(), "public": switch(), "created_at": moment(),
            })),
        ),
        ("administered_permission", object(json!({ "account": text(), "privilege": privileges, "source": text() }))),
        ("administered_permissions", several(of("administered_permission"))),
        ("head", object(json!({ "name": text(), "head": text() }))),
        (
            "token_use",
            object(json!({
                "at": moment(), "address": or_null(text()), "surface": text(), "action": text(), "repository": text(),
                "requests": number(),
            })),
        ),
        ("token", object(token)),
        ("new_token", object(new)),
        (
            "token_finding",
            object(json!({
                "id": text(), "kind": text(), "owner": text(), "name": text(), "sentence": text(), "remedy": text(),
                "finding": words(&["unused", "over-scoped", "expiring", "retiring", "refused"]),
            })),
        ),
        (
            "policy",
            object(json!({
                "workspace": text(), "sso": switch(), "kinds": or_null(several(text())),
                "longest_days": or_null(number()), "addresses": several(text()), "two_step": switch(), "sentence": text(),
                "refuses": several(object(json!({
                    "id": text(), "kind": text(), "owner": text(), "name": text(), "last_used_at": or_null(moment()),
                    "last_address": or_null(text()), "reason": text(), "sentence": text(),
                }))),
                "dry_run": switch(),
            })),
        ),
        (
            "schedule",
            object(json!({
                "kind": text(), "phase": words(&["on", "off", "ending", "brownout", "retired"]),
                "announced_at": or_null(moment()), "creation_ends_at": or_null(moment()), "retires_at": or_null(moment()),
                "brownouts": several(object(json!({
                    "first": moment(), "seconds": number(), "every_seconds": or_null(number()), "until": moment(),
                }))),
            })),
        ),
        (
            "rehearsed",
            object(json!({
                "id": text(), "owner": text(), "name": text(), "requests": number(), "last_used_at": moment(),
                "address": or_null(text()), "repository": text(),
            })),
        ),
        (
            "audit_record",
            object(json!({
                "at": moment(), "event": text(), "request": or_null(text()), "subject": text(), "surface": or_null(text()),
                "action": or_null(text()), "scheme": or_null(text()), "name_form": or_null(text()),
                "credential": or_null(text()), "account": or_null(text()), "address": or_null(text()),
                "agent": or_null(text()), "rule": or_null(text()), "reason": or_null(text()), "status": or_null(number()),
                "sentence": text(), "remedy": or_null(text()), "requests": number(),
            })),
        ),
        (
            "why",
            object(json!({
                "request": text(), "at": moment(), "allowed": switch(), "there": switch(),
                "rules": several(object(json!({ "rule": text(), "sentence": text(), "passed": switch() }))),
                "records": several(of("audit_record")),
            })),
        ),
    ]
}

/// What is sent. What is not named here is passed over.
fn sent() -> Vec<(&'static str, Value)> {
    let account = json!({ "disabled": switch(), "administrator": switch(), "managed": switch(), "two_step": switch() });
    let policy = json!({
        "sso": switch(), "kinds": several(words(&KINDS.map(Kind::word))), "longest": text(), "addresses": several(text()),
        "two_step": switch(),
    });
    let token = json!({
        "kind": words(&MADE.map(Kind::word)), "account": text(), "for": text(), "workspace": text(), "name": text(),
        "scopes": several(text()), "expires": text(),
    });
    let consumer = json!({
        "name": text(), "description": text(), "callback": text(), "private": switch(), "scopes": several(text()),
    });
    let brownout = json!({ "from": moment(), "for": text(), "every": text(), "until": moment() });
    let repository = json!({
        "slug": text(), "project": text(), "public": switch(), "object_format": words(&["sha1", "sha256"]),
    });
    let permission = json!({ "privilege": words(&Privilege::ALL.map(Privilege::word)) });
    vec![
        ("new_account", wanted(&json!({ "name": text(), "email": text() }), &["name", "email"])),
        ("changed_account", wanted(&account, &[])),
        ("new_workspace", wanted(&json!({ "slug": text(), "owner": text() }), &["slug", "owner"])),
        ("new_administered_project", wanted(&json!({ "key": text(), "title": text() }), &["key"])),
        ("new_administered_repository", wanted(&repository, &["slug"])),
        ("new_administered_permission", wanted(&permission, &["privilege"])),
        ("new_head", wanted(&json!({ "branch": text() }), &["branch"])),
        ("wanted_token", wanted(&token, &["name", "scopes"])),
        ("wanted_link", wanted(&json!({ "lifetime": text() }), &[])),
        ("wanted_consumer", wanted(&consumer, &["name", "scopes"])),
        ("rotation", wanted(&json!({ "overlap": text() }), &[])),
        ("changed_policy", wanted(&policy, &[])),
        ("announcement", wanted(&json!({ "retires_at": moment(), "creation_ends_at": moment() }), &["retires_at"])),
        ("brownout", wanted(&brownout, &["from", "for"])),
        ("retirement", wanted(&json!({ "at": moment() }), &[])),
    ]
}

fn several(shape: Value) -> Value {
    json!({ "type": "array", "items": shape })
}

fn or_null(shape: Value) -> Value {
    json!({ "anyOf": [shape, { "type": "null" }] })
}
