//! One operation of the API: where it is, who carries it out, and what is said of it.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post, put};
use doorward_rules::{Action, Scopes, Vocabulary};

use crate::app::App;

/// One operation.
pub(super) struct Operation {
    pub(super) method: Method,
    /// Below `/2.0`, with what it leaves open in braces.
    pub(super) path: &'static str,
    pub(super) route: MethodRouter<App>,
    /// What it is, in a few words.
    pub(super) summary: &'static str,
    /// What the caller has to be allowed; nothing for what is for everybody.
    pub(super) action: Option<Action>,
    /// Parameters after the `?`.
    pub(super) parameters: Vec<Parameter>,
    /// The shape of what is sent.
    pub(super) body: Option<Content>,
    /// What is answered when all is well: the status, and the shape of what comes with it.
    pub(super) answers: Vec<(u16, Option<Content>)>,
}

/// A parameter after the `?`.
pub(super) struct Parameter {
    pub(super) name: &'static str,
    /// `text`, `texts` for one that may be there several times, `number`, `switch`, or the words that it can be with `|` between.
    pub(super) kind: &'static str,
    pub(super) about: &'static str,
}

/// What is in a body.
#[derive(Clone, Copy)]
pub(super) enum Content {
    /// JSON of a shape, by its name.
    Json(&'static str),
    /// A page of a list of shapes.
    Page(&'static str),
    /// A form whose fields are of a shape.
    Form(&'static str),
    /// A form with files.
    Files(&'static str),
    /// Text.
    Text,
    /// Bytes of whatever type, or a page of entries of a directory.
    File,
}

impl Operation {
    pub(super) fn get<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::GET, path, get(handler))
    }

    pub(super) fn post<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::POST, path, post(handler))
    }

    pub(super) fn put<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::PUT, path, put(handler))
    }

    pub(super) fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self::new(Method::DELETE, path, delete(handler))
    }

    fn new(method: Method, path: &'static str, route: MethodRouter<App>) -> Self {
        let (parameters, answers) = (Vec::new(), Vec::new());
        Self { method, path, route, summary: "", action: None, parameters, body: None, answers }
    }

    /// The same with what is said of it.
    pub(super) fn says(self, summary: &'static str) -> Self {
        Self { summary, ..self }
    }

    /// The same with what the caller has to be allowed.
    pub(super) fn needs(self, action: Action) -> Self {
        Self { action: Some(action), ..self }
    }

    /// The same with a parameter more.
    pub(super) fn takes(mut self, name: &'static str, kind: &'static str, about: &'static str) -> Self {
        self.parameters.push(Parameter { name, kind, about });
        self
    }

    /// The same with what is sent.
    pub(super) fn body(self, body: Content) -> Self {
        Self { body: Some(body), ..self }
    }

    /// The same with what is answered.
    pub(super) fn gives(mut self, status: u16, content: Content) -> Self {
        self.answers.push((status, Some(content)));
        self
    }

    /// The same with an answer that has nothing in it.
    pub(super) fn gives_nothing(mut self, status: u16) -> Self {
        self.answers.push((status, None));
        self
    }

    /// The same, answering a page of a list that can be filtered and sorted.
    pub(super) fn lists(self, shape: &'static str) -> Self {
        self.pages(shape).takes("q", "text", "a filter, such as name ~ \"main\"").takes(
            "sort",
            "text",
            "a field to sort by, with - before it for the other direction",
        )
    }

    /// The same, answering a page of a list in an order of its own.
    pub(super) fn pages(self, shape: &'static str) -> Self {
        self.gives(200, Content::Page(shape)).takes("page", "number", "which page; the first one is 1").takes(
            "pagelen",
            "number",
            "how many on a page: 10, or up to 100",
        )
    }
}

impl Operation {
    /// Whether it administers, as only our own server can be.
    pub(super) fn administers(&self) -> bool {
        let own = |scopes: Scopes| scopes.iter().all(|scope| scope.is_of(Vocabulary::Own));
        self.action.is_some_and(|action| action.needs().all(own))
    }
}

/// The methods that a path answers.
pub(super) fn of_path(operations: &[Operation], path: &str) -> Vec<String> {
    let here = operations.iter().filter(|operation| is_of(operation.path, path));
    let mut methods: Vec<String> = here.map(|operation| operation.method.to_string()).collect();
    methods.sort();
    methods.dedup();
    methods
}

/// The operation that is most like what was asked for.
pub(super) fn nearest(operations: &[Operation], method: &Method, path: &str) -> String {
    // Whoever has the last word right has the rest wrong.
    let last = path.trim_end_matches('/').rsplit('/').next();
    let far = |operation: &&Operation| {
        let same_end = operation.path.rsplit('/').next() == last;
        (
            distance(operation.path, path).saturating_sub(if same_end { 2 * MISSING } else { 0 }),
            operation.method != *method,
        )
    };
    let found = operations.iter().min_by_key(far);
    found.map(|found| format!("{} /2.0{}", found.method, found.path.replace("{*", "{"))).unwrap_or_default()
}

/// Whether a path is one of these.
fn is_of(pattern: &str, path: &str) -> bool {
    // An open end takes in all that there is beyond it.
    let open = pattern.split('/').position(|part| part.starts_with("{*"));
    let shortened: Vec<&str> = bare(path).split('/').take(open.map_or(usize::MAX, |open| open + 1)).collect();
    distance(pattern, &shortened.join("/")) == 0
}

/// A path below `/2.0`.
fn bare(path: &str) -> &str {
    let path = path.strip_prefix("/api").unwrap_or(path);
    path.strip_prefix("/2.0").unwrap_or(path).trim_end_matches('/')
}

/// How much would have to be changed of a path to make it one of these, segment by segment.
fn distance(pattern: &str, path: &str) -> usize {
    let path = bare(path);
    let (wanted, found): (Vec<&str>, Vec<&str>) =
        (pattern.trim_end_matches('/').split('/').collect(), path.split('/').collect());
    let open_end = wanted.last().is_some_and(|last| last.starts_with("{*"));
    let mut far = 0;
    for (place, part) in wanted.iter().enumerate() {
        far += match found.get(place) {
            Some(_) if part.starts_with('{') => 0,
            Some(here) => strsim::levenshtein(part, here).min(MISSING),
            None => MISSING,
        };
    }
    far + found.len().saturating_sub(wanted.len()) * if open_end { BEYOND } else { MISSING }
}

/// What a segment is worth that only an open end takes in.
const BEYOND: usize = 4;
/// What a segment too few or too many is worth.
const MISSING: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_misspelt_or_incomplete_is_led_to_what_there_is() {
        let all = super::super::table::operations();
        for (asked, near) in [
            ("/2.0/repositorys/acme/site", "GET /2.0/repositories/{workspace}/{repo_slug}"),
            ("/2.0/users", "GET /2.0/user"),
            ("/2.0/repositories/acme/site/branches", "GET /2.0/repositories/{workspace}/{repo_slug}/refs/branches"),
            (
                "/2.0/repositories/acme/site/commit/1/status",
                "GET /2.0/repositories/{workspace}/{repo_slug}/commit/{commit}/statuses",
            ),
        ] {
            assert_eq!(nearest(&all, &Method::GET, asked), near, "{asked}");
        }
        assert_eq!(of_path(&all, "/2.0/repositories/a/b/src"), ["GET", "POST"]);
    }
}
