//! Parameters of a request, and pages of an answer: `page`, `pagelen`, `next`.

use doorward_wire::percent_decoded;
use serde_json::{Value, json};

use crate::refusal::Refusal;

/// The parameters after `?`, decoded.
#[derive(Debug, Default, Clone)]
pub(crate) struct Query(Vec<(String, String)>);

/// Which part of a list is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Page {
    /// The first one is 1.
    number: usize,
    length: usize,
}

impl Query {
    /// Reads what follows `?`.
    pub(crate) fn read(text: Option<&str>) -> Self {
        let pair = |part: &str| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (percent_decoded(&name.replace('+', " ")), percent_decoded(&value.replace('+', " ")))
        };
        Self(text.unwrap_or_default().split('&').filter(|part| !part.is_empty()).map(pair).collect())
    }

    /// Every value of a parameter.
    pub(crate) fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The last value of a parameter.
    pub(crate) fn last(&self, name: &str) -> Option<&str> {
        self.all(name).last()
    }

    /// A switch, which is `usual` if nothing is said.
    ///
    /// # Errors
    /// A refusal that names the parameter if it is neither true nor false.
    pub(crate) fn switch(&self, name: &'static str, usual: bool) -> Result<bool, Refusal> {
        match self.last(name) {
            None => Ok(usual),
            Some("true" | "True" | "1" | "") => Ok(true),
            Some("false" | "False" | "0") => Ok(false),
            Some(_) => Err(Refusal::bad_parameter(name, "it is neither true nor false", "change it")),
        }
    }

    /// These and others.
    #[must_use]
    pub(crate) fn and(mut self, others: Self) -> Self {
        self.0.extend(others.0);
        self
    }

    /// All of them, with their names.
    pub(crate) fn into_pairs(self) -> impl Iterator<Item = (String, String)> {
        self.0.into_iter()
    }
}

/// Whether a parameter can be a path within a repository.
pub(crate) fn is_path(text: &str) -> bool {
    !text.contains('\0') && !text.split('/').any(|part| [".", ".."].contains(&part))
}

impl Page {
    /// What is asked for: 10 of them if nothing is said, 100 at most.
    ///
    /// # Errors
    /// A refusal that names the parameter.
    pub(super) fn read(query: &Query) -> Result<Self, Refusal> {
        let number = |name: &'static str, most: usize, usual: usize| match query.last(name) {
            None => Ok(usual),
            Some(text) => text.parse().ok().filter(|number| (1..=most).contains(number)).ok_or_else(|| {
                Refusal::bad_parameter(
                    name,
                    format!("it is not a number from 1 to {most}"),
                    "leave it out, or change it",
                )
            }),
        };
        Ok(Self { number: number("page", LAST_PAGE, 1)?, length: number("pagelen", LONGEST, USUAL)? })
    }

    /// How many come before it.
    pub(super) fn skip(self) -> usize {
        (self.number - 1) * self.length
    }

    /// How many it may have.
    pub(super) fn length(self) -> usize {
        self.length
    }

    /// This part of a list that is there as a whole.
    pub(super) fn of<T>(self, all: Vec<T>) -> Part<T> {
        let size = all.len();
        let values: Vec<T> = all.into_iter().skip(self.skip()).take(self.length).collect();
        Part { more: self.skip() + values.len() < size, values, size: Some(size) }
    }

    /// The answer: `next` is there if there is more, and is the address itself with another page.
    pub(super) fn answer(self, part: Part<Value>, address: &str, query: &Query) -> Value {
        let mut value = json!({ "values": part.values, "page": self.number, "pagelen": self.length });
        let Some(answer) = value.as_object_mut() else { return value };
        if let Some(size) = part.size {
            answer.insert("size".into(), json!(size));
        }
        if part.more {
            answer.insert("next".into(), json!(self.link(self.number + 1, address, query)));
        }
        if self.number > 1 {
            answer.insert("previous".into(), json!(self.link(self.number - 1, address, query)));
        }
        value
    }

    fn link(self, number: usize, address: &str, query: &Query) -> String {
        let encoded = |text: &str| doorward_wire::percent_encoded(text);
        let others = query.0.iter().filter(|(name, _)| name != "page");
        let others: String = others.map(|(name, value)| format!("{}={}&", encoded(name), encoded(value))).collect();
        format!("{address}?{others}page={number}")
    }
}

/// A part of a list.
#[derive(Debug)]
pub(super) struct Part<T> {
    pub(super) values: Vec<T>,
    /// Whether more follows.
    pub(super) more: bool,
    /// How many there are in all, if that is known.
    pub(super) size: Option<usize>,
}

impl<T> Part<T> {
    /// The same part with its values as something else.
    pub(super) fn with<U>(&self, values: Vec<U>) -> Part<U> {
        Part { values, more: self.more, size: self.size }
    }
}

const USUAL: usize = 10;
const LONGEST: usize = 100;
const LAST_PAGE: usize = 10_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_walked_by_its_next_links_to_its_end() {
        let (mut query, mut seen, mut pages) = (Query::read(Some("pagelen=2&x=a%2Fb+c")), Vec::new(), 0);
        loop {
            let page = Page::read(&query).expect("a page");
            let part = page.of((1..=5).collect::<Vec<i32>>());
            seen.extend(part.values.clone());
            let answer = page.answer(part.with(Vec::new()), "http://h/2.0/x", &query);
            pages += 1;
            let Some(next) = answer["next"].as_str() else { break };
            assert_eq!(answer["size"], 5);
            query = Query::read(next.split_once('?').map(|(_, query)| query));
            assert_eq!(query.last("x"), Some("a/b c"));
        }
        assert_eq!((seen, pages), (vec![1, 2, 3, 4, 5], 3));
    }

    #[test]
    fn what_is_no_page_is_named() {
        for text in ["page=0", "page=x", "pagelen=101", "pagelen=-1", "page=99999999999999999999"] {
            let refusal = Page::read(&Query::read(Some(text))).expect_err("no page");
            assert!(refusal.field.is_some_and(|field| text.starts_with(field.0)), "{text}");
        }
    }
}
