//! One operation of the API: where it is, who carries it out, and what is said of it.

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodRouter, delete, get, post, put};

use crate::app::App;

/// One operation.
pub(super) struct Operation {
    pub(super) method: Method,
    /// Below `/2.0`, with what it leaves open in braces.
    pub(super) path: &'static str,
    pub(super) route: MethodRouter<App>,
    /// What it is, in a few words; `None` for another spelling of one that is listed.
    pub(super) summary: Option<&'static str>,
}

impl Operation {
    pub(super) fn get<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: Method::GET, path, route: get(handler), summary: None }
    }

    pub(super) fn post<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: Method::POST, path, route: post(handler), summary: None }
    }

    pub(super) fn put<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: Method::PUT, path, route: put(handler), summary: None }
    }

    pub(super) fn delete<H: Handler<T, App>, T: 'static>(path: &'static str, handler: H) -> Self {
        Self { method: Method::DELETE, path, route: delete(handler), summary: None }
    }

    /// The same with what is said of it.
    pub(super) fn says(self, summary: &'static str) -> Self {
        Self { summary: Some(summary), ..self }
    }

    /// Another spelling, which is not listed.
    pub(super) fn hidden(self) -> Self {
        Self { summary: None, ..self }
    }
}

/// The methods that a path answers.
pub(super) fn of_path(operations: &[Operation], path: &str) -> Vec<String> {
    let here = operations.iter().filter(|operation| distance(operation.path, path) == 0);
    let mut methods: Vec<String> = here.map(|operation| operation.method.to_string()).collect();
    methods.sort();
    methods.dedup();
    methods
}

/// The operation that is most like what was asked for.
pub(super) fn nearest(operations: &[Operation], method: &Method, path: &str) -> String {
    let listed = operations.iter().filter(|operation| operation.summary.is_some());
    let far = |operation: &&Operation| (distance(operation.path, path), operation.method != *method);
    let found = listed.min_by_key(far);
    found.map(|found| format!("{} /2.0{}", found.method, found.path.replace("{*", "{"))).unwrap_or_default()
}

/// How much would have to be changed of a path to make it one of these, segment by segment.
fn distance(pattern: &str, path: &str) -> usize {
    let path = path.strip_prefix("/api").unwrap_or(path);
    let path = path.strip_prefix("/2.0").unwrap_or(path).trim_end_matches('/');
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
    if !open_end {
        far += found.len().saturating_sub(wanted.len()) * MISSING;
    }
    far
}

/// What a segment too few or too many is worth.
const MISSING: usize = 12;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_misspelt_or_incomplete_is_led_to_what_there_is() {
        let all = super::super::operations();
        for (asked, near) in [
            ("/2.0/repositorys/acme/site", "GET /2.0/repositories/{workspace}/{repo_slug}"),
            ("/2.0/users", "GET /2.0/user"),
            ("/2.0/repositories/acme/site/branches", "GET /2.0/repositories/{workspace}/{repo_slug}/refs"),
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
