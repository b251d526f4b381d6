//! Lists: filtered by `q`, in the order of `sort`, a page at a time.

use std::cmp::Ordering;

use doorward_wire::{Filter, compare_values, field_of};
use serde_json::Value;

use super::call::{Call, Reply};
use super::page::Page;
use crate::refusal::Refusal;

/// How a list is asked for.
#[derive(Debug)]
pub(super) struct Listing {
    page: Page,
    filter: Option<Filter>,
    /// The field that it is in the order of, and whether backwards.
    sort: Option<(&'static str, bool)>,
}

impl Listing {
    /// Reads how a list is asked for, of which the elements have these fields to be filtered and sorted by.
    ///
    /// # Errors
    /// A refusal that names the parameter.
    pub(super) fn read(call: &Call, fields: &[&'static str]) -> Result<Self, Refusal> {
        let filter = call.query.last("q").filter(|text| !text.trim().is_empty());
        let filter = filter.map(|text| Filter::parse(text, fields)).transpose();
        let remedy = "write it as in name ~ \"main\" AND size > 5";
        let filter = filter.map_err(|error| Refusal::bad_parameter("q", error.to_string(), remedy))?;
        let sort = match call.query.last("sort").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => {
                let (name, backwards) = text.strip_prefix('-').map_or((text, false), |name| (name, true));
                let known = fields.iter().find(|field| **field == name).ok_or_else(|| {
                    let what = match fields {
                        [] => "this list is given in its own order".to_owned(),
                        fields => format!("this list can be sorted by {}", fields.join(", ")),
                    };
                    Refusal::bad_parameter("sort", what, "name one of them, with `-` before it for the other direction")
                })?;
                Some((*known, backwards))
            }
        };
        Ok(Self { page: Page::read(&call.query)?, filter, sort })
    }

    /// The part of the list that is asked for.
    pub(super) fn page(&self) -> Page {
        self.page
    }

    /// Whether the list is given as it is: then only what is on the page needs to be looked up.
    pub(super) fn is_plain(&self) -> bool {
        self.filter.is_none() && self.sort.is_none()
    }

    /// The answer, of all elements that there are.
    ///
    /// # Errors
    /// 400 if `fields` names none.
    pub(super) fn answer(self, call: &Call, mut values: Vec<Value>, address: &str) -> Reply {
        if let Some(filter) = &self.filter {
            values.retain(|value| filter.matches(value));
        }
        if let Some((field, backwards)) = self.sort {
            let order = |one: &Value, other: &Value| natural(field_of(one, field), field_of(other, field));
            values.sort_by(|one, other| if backwards { order(other, one) } else { order(one, other) });
        }
        call.json(self.page.answer(self.page.of(values), address, &call.query))
    }
}

/// The order of two values: texts with the numbers in them as numbers, so that `v1.10` comes after `v1.9`; what is not there
/// first.
fn natural(one: &Value, other: &Value) -> Ordering {
    match (one, other) {
        (Value::String(one), Value::String(other))
            if one.as_bytes().first().is_none_or(|byte| !byte.is_ascii_digit()) =>
        {
            natural_texts(one, other)
        }
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Less,
        (_, Value::Null) => Ordering::Greater,
        _ => compare_values(one, other).unwrap_or(Ordering::Equal),
    }
}

fn natural_texts(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one, other);
    loop {
        let numbers = (digits(one), digits(other));
        let order = match numbers {
            (0, _) | (_, 0) => {
                let (first, second) = (one.chars().next(), other.chars().next());
                if first.is_none() && second.is_none() {
                    return Ordering::Equal;
                }
                one = &one[first.map_or(0, char::len_utf8)..];
                other = &other[second.map_or(0, char::len_utf8)..];
                first.cmp(&second)
            }
            (here, there) => {
                let (first, second) = (one[..here].trim_start_matches('0'), other[..there].trim_start_matches('0'));
                (one, other) = (&one[here..], &other[there..]);
                first.len().cmp(&second.len()).then_with(|| first.cmp(second))
            }
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_in_names_are_compared_as_numbers() {
        let mut names = vec!["v1.10", "v1.9", "v1", "v02", "a", "v1.9b", "ü"]
            .into_iter()
            .map(|name| json!(name))
            .collect::<Vec<_>>();
        names.push(Value::Null);
        names.sort_by(natural);
        assert_eq!(json!(names), json!([null, "a", "v1", "v1.9", "v1.9b", "v1.10", "v02", "ü"]));
        assert_eq!(natural(&json!("2026-03-01T12:00:00+02:00"), &json!("2026-03-01T10:30:00Z")), Ordering::Less);
    }
}
