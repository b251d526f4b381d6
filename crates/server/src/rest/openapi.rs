//! The description of the API: `/2.0/openapi.json` for programs (OpenAPI 3.1), `/2.0/openapi` for people. Both are made from the
//! table of operations and the shapes of what is sent and answered.

use axum::body::Body;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE};
use axum::http::{HeaderValue, Response};
use base64::Engine;
use doorward_rules::Scopes;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::call::Call;
use super::operation::{Content, Operation, Parameter};
use super::schema::shapes;
use super::table::operations;

/// `GET /2.0/openapi.json`.
pub(super) async fn document(call: Call) -> Response<Body> {
    let mut response = Response::new(Body::from(describe(&call.base()).to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

/// `GET /2.0/openapi`.
pub(super) async fn page(call: Call) -> Response<Body> {
    let mut response = Response::new(Body::from(written(&call.base())));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/html; charset=utf-8"));
    let hash = base64::engine::general_purpose::STANDARD.encode(Sha256::digest(STYLE));
    let policy = format!("default-src 'none'; style-src 'sha256-{hash}'; base-uri 'none'; form-action 'none'");
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert("x-content-type-options", HeaderValue::from_static("nosniff"));
    response
}

/// The whole description, of a server at an address.
fn describe(base: &str) -> Value {
    let mut paths: Map<String, Value> = Map::new();
    for operation in operations() {
        let path = paths.entry(open_path(operation.path)).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_ascii_lowercase()] = described(&operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Doorward",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The REST API of a Doorward server: Bitbucket Cloud's interfaces, version 2.0, as far as they are served \
                here, and additions of its own below /doorward.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": format!("{base}/2.0") }],
        "security": [{ "basic": [] }, { "bearer": [] }, {}],
        "paths": paths,
        "components": {
            "schemas": shapes(),
            "securitySchemes": {
                "basic": { "type": "http", "scheme": "basic", "description": "A user name or e-mail, and a token" },
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token" },
            },
        },
    })
}

fn described(operation: &Operation) -> Value {
    let in_path = open_parts(operation.path).map(|name| {
        json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" }, "description": about(name) })
    });
    let mut parameters: Vec<Value> = in_path.chain(operation.parameters.iter().map(in_query)).collect();
    let shows_json =
        operation.answers.iter().any(|(_, content)| matches!(content, Some(Content::Json(_) | Content::Page(_))));
    if shows_json && operation.action.is_some() {
        parameters.push(in_query(&FIELDS));
    }
    let mut responses: Map<String, Value> = Map::new();
    for (status, content) in &operation.answers {
        let mut answer = json!({ "description": meaning(*status) });
        if let Some(content) = content {
            answer["content"] = media(*content);
        }
        responses.insert(status.to_string(), answer);
    }
    if operation.action.is_some() || operation.answers.is_empty() {
        for status in REFUSALS {
            responses.insert(status.to_string(), refusal(*status));
        }
    }
    if operation.body.is_some() {
        for status in [409, 413, 415, 422] {
            responses.insert(status.to_string(), refusal(status));
        }
    }
    let mut value = json!({
        "operationId": identity(operation),
        "summary": operation.summary,
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = operation.body {
        let required = match body {
            Content::Json(name) => shapes()[name]["required"].as_array().is_some_and(|fields| !fields.is_empty()),
            Content::Files(_) => true,
            Content::Form(_) | Content::Page(_) | Content::Text | Content::File => false,
        };
        value["requestBody"] = json!({ "required": required, "content": media(body) });
    }
    if let Some(action) = operation.action {
        let sets: Vec<String> = action.needs().map(|scopes: Scopes| scopes.names().join(" with ")).collect();
        let open = if action.is_open() { "; of what is public, none" } else { "" };
        value["description"] = json!(format!("Scopes: {}{open}.", sets.join(", or ")));
    }
    value
}

fn in_query(parameter: &Parameter) -> Value {
    let text = json!({ "type": "string" });
    let schema = match parameter.kind {
        "text" => text,
        "texts" => json!({ "type": "array", "items": text }),
        "number" => json!({ "type": "integer", "minimum": least(parameter.name) }),
        "switch" => json!({ "type": "boolean" }),
        words => json!({ "type": "string", "enum": words.split('|').collect::<Vec<_>>() }),
    };
    json!({ "name": parameter.name, "in": "query", "schema": schema, "description": parameter.about })
}

fn least(name: &str) -> u8 {
    u8::from(name != "context")
}

fn refusal(status: u16) -> Value {
    let content = json!({ "application/json": { "schema": { "$ref": "#/components/schemas/error" } } });
    json!({ "description": meaning(status), "content": content })
}

fn media(content: Content) -> Value {
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    match content {
        Content::Json(name) => json!({ "application/json": { "schema": of(name) } }),
        Content::Page(name) => {
            let values =
                json!({ "type": "object", "properties": { "values": { "type": "array", "items": of(name) } } });
            json!({ "application/json": { "schema": { "allOf": [of("page"), values] } } })
        }
        Content::Form(name) => json!({ "application/x-www-form-urlencoded": { "schema": of(name) } }),
        Content::Files(name) => json!({
            "multipart/form-data": { "schema": of(name) },
            "application/x-www-form-urlencoded": { "schema": of(name) },
        }),
        Content::Text => json!({ "text/plain": {}, "text/html": {} }),
        Content::File => json!({ "*/*": {} }),
    }
}

/// A path as OpenAPI writes it.
fn open_path(path: &str) -> String {
    path.replace("{*", "{")
}

/// What a path leaves open.
fn open_parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| name.trim_start_matches('*'))
}

fn identity(operation: &Operation) -> String {
    let path: Vec<&str> = operation.path.split('/').filter(|part| !part.is_empty()).collect();
    let words = path.join("_").replace(['{', '}', '*'], "").replace(['-', '.'], "_");
    format!("{}_{words}", operation.method.as_str().to_ascii_lowercase())
}

fn about(name: &str) -> &'static str {
    match name {
        "workspace" => "the workspace: its name, or its id in braces",
        "repo_slug" => "the repository: its name, or its id in braces",
        "commit" | "revision" => "a branch, a tag, or a commit's id",
        "spec" | "revspec" => "a commit, or two with .. between them: the one with the changes first",
        "path" => "a path from the top of the repository",
        "name" => "the name of the branch or tag",
        "selected_user" | "selected_user_id" | "member" => {
            "an account: its id, with or without braces, or its user name"
        }
        "project_key" => "the project: its key, or its id in braces",
        "key" => "what the report was made under",
        "uid" => "the id of the webhook, with or without braces",
        "account" => "an account: its user name",
        "id" => "the id of a token",
        "kind" => "a kind of credential, such as api_token",
        "request" => "the id of a request, as in `X-Request-Id` of its answer",
        _ => "an e-mail address",
    }
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "As asked",
        201 => "Created",
        204 => "Done",
        206 => "The part that was asked for",
        302 => "Elsewhere, as `Location` says",
        304 => "Known to you",
        400 => "Something that was sent cannot be used; `fields` names it",
        401 => "No credential, or none that is valid",
        403 => "The credential may not do this",
        404 => "It is not there, or you may not see it",
        409 => "It is taken, has changed meanwhile, or is in a state in which this cannot be done",
        410 => "Removed",
        413 => "Too much",
        415 => "Not a media type that is read here",
        416 => "There is nothing where the range is",
        422 => "Something else was sent under this key",
        429 => "Too many requests",
        _ => "The server cannot tell now; try again",
    }
}

/// The page: a table of contents, and each operation with what it takes and gives.
fn written(base: &str) -> String {
    let all = operations();
    let (mut contents, mut body) = (String::new(), String::new());
    for group in GROUPS {
        let of_group: Vec<&Operation> = all.iter().filter(|operation| group_of(operation) == *group).collect();
        let lines: String = of_group
            .iter()
            .map(|operation| {
                let (id, summary) = (identity(operation), escaped(operation.summary));
                let path = open_path(operation.path).replace("/repositories/{workspace}/{repo_slug}", "…");
                format!("<li><a href=\"#{id}\">{summary}</a> <code>{} {path}</code></li>", operation.method)
            })
            .collect();
        contents
            .push_str(&format!("<details><summary>{group} ({})</summary><ul>{lines}</ul></details>", of_group.len()));
        body.push_str(&format!("<h2>{group}</h2>"));
        of_group.iter().for_each(|operation| body.push_str(&section(operation)));
    }
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>REST API - Doorward</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"><style>{STYLE}</style></head>\
         <body><main><h1>The REST API of this server</h1><p>It begins at <code>{base}/2.0</code> and takes a token as \
         <code>Bearer</code>, or as the password beside a user name or e-mail. Every refusal is JSON with a code, a sentence and a \
         remedy. For programs, the same is at <a href=\"openapi.json\">openapi.json</a>.</p>\
         <nav aria-label=\"Operations\">{contents}</nav>{body}</main></body></html>",
        base = escaped(base),
    )
}

/// What the page says of one operation.
fn section(operation: &Operation) -> String {
    let (method, path, id) = (&operation.method, open_path(operation.path), identity(operation));
    let scopes = described(operation)["description"].as_str().map(|text| format!("<p>{}</p>", escaped(text)));
    let rows: String = open_parts(operation.path)
        .map(|name| row(name, about(name)))
        .chain(operation.parameters.iter().map(|parameter| row(&format!("?{}", parameter.name), &in_words(parameter))))
        .chain(body_rows(operation))
        .chain(operation.answers.iter().map(|(status, _)| row(&status.to_string(), meaning(*status))))
        .collect();
    let (summary, scopes) = (escaped(operation.summary), scopes.unwrap_or_default());
    format!(
        "<section id=\"{id}\"><h3>{summary}</h3><p><code>{method} /2.0{path}</code></p>{scopes}<table>{rows}</table></section>"
    )
}

/// All operations as a page of the documentation.
///
/// In Markdown, in the order of the table.
pub fn reference() -> String {
    let mut page = String::from(
        "<!-- Generated by the tests of this project from its table of operations. -->\n\n# Every operation of the REST API\n\n\
         Below `/2.0` and `/api/2.0`. Of the scopes, one of those in a row is enough, and those with `+` are needed together. \
         [How to use them](rest.md).\n\n| operation | what it is | scopes | answers |\n|---|---|---|---|\n",
    );
    for operation in operations() {
        let scopes = operation.action.map_or_else(String::new, |action| {
            let sets = action.needs().map(|scopes| format!("`{}`", scopes.names().join("` + `")));
            sets.collect::<Vec<_>>().join(", ")
        });
        let answers: Vec<String> = operation.answers.iter().map(|(status, _)| status.to_string()).collect();
        let path = open_path(operation.path);
        let (method, summary) = (&operation.method, operation.summary);
        page.push_str(&format!("| `{method} {path}` | {summary} | {scopes} | {} |\n", answers.join(", ")));
    }
    page
}

/// What an operation is about, by its address.
fn group_of(operation: &Operation) -> &'static str {
    let path = operation.path;
    let about = |words: &[&str]| words.iter().any(|word| path.contains(word));
    match path {
        _ if about(&["/openapi", "avatar"]) => "The API itself",
        _ if path.starts_with("/user") => "Accounts",
        _ if path.starts_with("/workspaces") => "Workspaces",
        _ if about(&["/hooks"]) => "Webhooks",
        _ if about(&["/refs"]) => "Branches and tags",
        _ if about(&["/src", "/filehistory"]) => "Files",
        _ if about(&["/diff", "/patch", "/merge-base"]) => "Differences",
        _ if about(&["/commit"]) => "Commits",
        _ => "Repositories",
    }
}

/// What a parameter is, and what it may be.
fn in_words(parameter: &Parameter) -> String {
    let words = parameter.kind.replace('|', ", ");
    match parameter.kind {
        "text" | "number" => parameter.about.to_owned(),
        "texts" => format!("{}; may be there several times", parameter.about),
        "switch" => format!("{}: true or false", parameter.about),
        _ => format!("{}: {words}", parameter.about),
    }
}

/// A row for each field of what is sent.
fn body_rows(operation: &Operation) -> Vec<String> {
    let name = match operation.body {
        Some(Content::Json(name) | Content::Form(name) | Content::Files(name)) => name,
        Some(Content::Page(_) | Content::Text | Content::File) | None => return Vec::new(),
    };
    let shape = &shapes()[name];
    let is_required = |field: &str| shape["required"].as_array().is_some_and(|all| all.iter().any(|one| one == field));
    let field = |field: &String| {
        let about = if is_required(field) { "in the body; required" } else { "in the body" };
        row(field, about)
    };
    let mut rows: Vec<String> =
        shape["properties"].as_object().into_iter().flat_map(|all| all.keys()).map(field).collect();
    rows.extend(shape["description"].as_str().map(|text| row("other fields", text)));
    rows
}

fn row(name: &str, about: &str) -> String {
    format!("<tr><th scope=\"row\"><code>{}</code></th><td>{}</td></tr>", escaped(name), escaped(about))
}

fn escaped(text: &str) -> String {
    super::object::escaped(text)
}

/// What operations are about, in the order of the page.
const GROUPS: &[&str] = &[
    "Accounts",
    "Workspaces",
    "Repositories",
    "Files",
    "Commits",
    "Branches and tags",
    "Differences",
    "Webhooks",
    "The API itself",
];
const FIELDS: Parameter =
    Parameter { name: "fields", kind: "text", about: "parts of the answer, such as values.name or -links" };
/// What every operation may answer in place of what was asked for.
const REFUSALS: &[u16] = &[400, 401, 403, 404, 410, 413, 429, 503];
const STYLE: &str = "\
:root{color-scheme:light dark}\
body{font:16px/1.5 system-ui,sans-serif;margin:0}\
main{max-width:60rem;margin:auto;padding:1rem}\
nav ul{padding-left:1rem;margin:.25rem 0 1rem}\
summary{cursor:pointer;padding:.25rem 0}\
nav code{opacity:.75}\
h2{margin:3rem 0 0}h3{font-size:1.1rem;margin:1.5rem 0 .25rem;border-top:1px solid #8888;padding-top:1rem}\
code{overflow-wrap:anywhere}\
p{margin:.25rem 0}\
th{text-align:left;font-weight:normal;padding-right:1rem;vertical-align:top;white-space:nowrap}\
@media(max-width:40rem){th,td{display:block}}";

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_operation_is_described_once_with_shapes_that_there_are() {
        let (all, page, document) =
            (operations(), written("https://git.example.org"), describe("https://git.example.org"));
        let ids: HashSet<String> = all.iter().map(identity).collect();
        assert_eq!((ids.len(), page.matches("<section ").count()), (all.len(), all.len()));
        let text = document.to_string();
        for reference in text.split("#/components/schemas/").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document["components"]["schemas"][reference].is_object(), "{reference}");
        }
        assert!(all.iter().all(|operation| !operation.summary.is_empty() && !operation.answers.is_empty()));
    }
}
