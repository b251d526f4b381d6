//! Partial answers, as Bitbucket Cloud's `fields` asks for them: `values.name,-links,+values.target`.

use serde_json::Value;
use thiserror::Error;

/// Which parts of an answer are asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Fields {
    /// The only ones that are wanted; all if there are none.
    wanted: Vec<Vec<String>>,
    unwanted: Vec<Vec<String>>,
}

/// A text that names no fields.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is no field: names with dots between them, with `-` before those to leave out")]
pub struct FieldsError(String);

impl Fields {
    /// Reads what follows `fields=`. What is added with `+` is part of every answer here, so it changes nothing.
    ///
    /// # Errors
    /// [`FieldsError`] with what is no field.
    pub fn parse(text: &str) -> Result<Self, FieldsError> {
        let mut fields = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let path = part.trim_start_matches(['-', '+', ' ']);
            let names: Vec<String> = path.split('.').map(str::to_owned).collect();
            let is_name = |name: &String| {
                name == "*" || !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
            };
            if !names.iter().all(is_name) || names.len() > DEEPEST {
                return Err(FieldsError(part.chars().take(80).collect()));
            }
            match part.as_bytes()[0] {
                b'-' => fields.unwanted.push(names),
                b'+' | b' ' => {}
                _ => fields.wanted.push(names),
            }
            if fields.wanted.len() + fields.unwanted.len() > MOST {
                return Err(FieldsError(format!("{} and more", part.chars().take(80).collect::<String>())));
            }
        }
        Ok(fields)
    }

    /// The answer with those parts alone.
    pub fn pick(&self, mut answer: Value) -> Value {
        if !self.wanted.is_empty() {
            let wanted: Vec<&[String]> = self.wanted.iter().map(Vec::as_slice).collect();
            answer = keep(answer, &wanted);
        }
        for path in &self.unwanted {
            remove(&mut answer, path);
        }
        answer
    }
}

/// What of a value lies on one of the paths. Lists are looked through.
fn keep(value: Value, paths: &[&[String]]) -> Value {
    if paths.iter().any(|path| path.is_empty()) {
        return value;
    }
    match value {
        Value::Array(values) => Value::Array(values.into_iter().map(|value| keep(value, paths)).collect()),
        Value::Object(fields) => {
            let below = |name: &str| -> Vec<&[String]> {
                paths.iter().filter(|path| path[0] == "*" || path[0] == name).map(|path| &path[1..]).collect()
            };
            let kept = fields.into_iter().filter_map(|(name, value)| {
                let paths = below(&name);
                (!paths.is_empty()).then(|| (name, keep(value, &paths)))
            });
            Value::Object(kept.collect())
        }
        other => other,
    }
}

fn remove(value: &mut Value, path: &[String]) {
    match (value, path) {
        (Value::Array(values), _) => values.iter_mut().for_each(|value| remove(value, path)),
        (Value::Object(fields), [last]) if last != "*" => drop(fields.remove(last)),
        (Value::Object(fields), [name, rest @ ..]) if !rest.is_empty() => {
            let here = fields.iter_mut().filter(|(known, _)| name == "*" || *known == name);
            here.for_each(|(_, value)| remove(value, rest));
        }
        _ => {}
    }
}

/// Names in one field.
const DEEPEST: usize = 16;
/// Fields in one request.
const MOST: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn only_what_is_asked_for_is_kept_and_what_is_not_wanted_is_not() {
        let answer = json!({
            "values": [{ "name": "a", "target": { "hash": "1", "date": "d" } }, { "name": "b", "target": null }],
            "page": 1, "links": { "self": 1, "html": 2 },
        });
        let pick = |fields: &str| Fields::parse(fields).expect("fields").pick(answer.clone());
        assert_eq!(
            pick("values.name,values.target.hash"),
            json!({ "values": [{ "name": "a", "target": { "hash": "1" } }, { "name": "b", "target": null }] })
        );
        assert_eq!(pick("-values,-links.self"), json!({ "page": 1, "links": { "html": 2 } }));
        assert_eq!(pick("*.html"), json!({ "values": [{}, {}], "page": 1, "links": { "html": 2 } }));
        assert_eq!(pick("+values.target"), answer);
        assert_eq!(pick(""), answer);
        for bad in ["a..b", "a b", "values.", "ä", &"a.".repeat(40)] {
            assert!(Fields::parse(bad).is_err(), "{bad}");
        }
    }
}
