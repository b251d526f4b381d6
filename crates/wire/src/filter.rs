//! The filter language of Bitbucket Cloud's lists, called BBQL: `name ~ "x" AND (is_private = true OR size > 5)`.
//!
//! Its documentation names the operators `=`, `!=`, `~` (contains, whatever the case), `!~`, `>`, `>=`, `<`, `<=`, `IN` and `NOT IN`,
//! the connectives `AND` and `OR`, of which the first binds closer, and brackets. Values are texts in double quotes, numbers,
//! `true`, `false`, `null`, and moments as in RFC 3339, with or without quotes.

use std::cmp::Ordering;

use doorward_rules::Timestamp;
use serde_json::Value;
use thiserror::Error;

/// What a list is filtered by.
#[derive(Debug, Clone, PartialEq)]
pub struct Filter(Node);

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum FilterError {
    /// Something else was expected at a place.
    #[error("{expected} was expected at character {at}")]
    Expected {
        /// What could have stood there.
        expected: &'static str,
        /// Where, beginning with 1.
        at: usize,
    },
    /// A field that the list cannot be filtered by.
    #[error("field \"{field}\" does not support filtering; {}", supported(known))]
    Field {
        /// The field.
        field: String,
        /// Those that it can be filtered by.
        known: Vec<&'static str>,
    },
    /// It is longer, or has brackets in more brackets, than a filter may.
    #[error("it is longer or more deeply nested than a filter may be")]
    TooLong,
}

fn supported(known: &[&str]) -> String {
    match known {
        [] => "none does in this list".into(),
        known => format!("these do: {}", known.join(", ")),
    }
}

#[derive(Debug, Clone, PartialEq)]
enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Compare(String, Operator, Value),
    In(String, bool, Vec<Value>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    Unequal,
    Contains,
    Lacks,
    Greater,
    GreaterOrEqual,
    Less,
    LessOrEqual,
}

impl Filter {
    /// Reads a filter of a list whose elements have these fields.
    ///
    /// # Errors
    /// [`FilterError`] with the place, or the fields that there are.
    pub fn parse(text: &str, known: &[&'static str]) -> Result<Self, FilterError> {
        if text.len() > LONGEST {
            return Err(FilterError::TooLong);
        }
        let mut reader = Reader { text, at: 0, depth: 0, known };
        let node = reader.any()?;
        reader.skip_space();
        match reader.rest().is_empty() {
            true => Ok(Self(node)),
            false => Err(reader.expected("AND, OR or the end")),
        }
    }

    /// Whether an element is one that is asked for.
    pub fn matches(&self, element: &Value) -> bool {
        self.0.matches(element)
    }
}

impl Node {
    fn matches(&self, element: &Value) -> bool {
        match self {
            Self::And(nodes) => nodes.iter().all(|node| node.matches(element)),
            Self::Or(nodes) => nodes.iter().any(|node| node.matches(element)),
            Self::Compare(field, operator, wanted) => operator.holds(field_of(element, field), wanted),
            Self::In(field, inside, wanted) => {
                let found = field_of(element, field);
                wanted.iter().any(|wanted| compare_values(found, wanted) == Some(Ordering::Equal)) == *inside
            }
        }
    }
}

impl Operator {
    fn holds(self, found: &Value, wanted: &Value) -> bool {
        let order = compare_values(found, wanted);
        match self {
            Self::Equal => order == Some(Ordering::Equal),
            Self::Unequal => order != Some(Ordering::Equal),
            Self::Contains => contains(found, wanted),
            Self::Lacks => !contains(found, wanted),
            Self::Greater => order == Some(Ordering::Greater),
            Self::GreaterOrEqual => order.is_some_and(Ordering::is_ge),
            Self::Less => order == Some(Ordering::Less),
            Self::LessOrEqual => order.is_some_and(Ordering::is_le),
        }
    }
}

fn contains(found: &Value, wanted: &Value) -> bool {
    match (found.as_str(), wanted.as_str()) {
        (Some(found), Some(wanted)) => found.to_lowercase().contains(&wanted.to_lowercase()),
        _ => false,
    }
}

/// The order of two values of one sort; moments are compared as moments, whatever their time zones.
pub fn compare_values(one: &Value, other: &Value) -> Option<Ordering> {
    match (one, other) {
        (Value::String(one), Value::String(other)) => match (one.parse::<Timestamp>(), other.parse::<Timestamp>()) {
            (Ok(one), Ok(other)) => Some(one.cmp(&other)),
            _ => Some(one.cmp(other)),
        },
        (Value::Number(one), Value::Number(other)) => one.as_f64()?.partial_cmp(&other.as_f64()?),
        (Value::Bool(one), Value::Bool(other)) => Some(one.cmp(other)),
        (Value::Null, Value::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

/// What stands at a path of names with dots between them; null if nothing does.
pub fn field_of<'a>(element: &'a Value, path: &str) -> &'a Value {
    path.split('.').fold(element, |value, name| value.get(name).unwrap_or(&Value::Null))
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
    known: &'a [&'static str],
}

impl<'a> Reader<'a> {
    fn any(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.all()?];
        while self.word("OR") {
            nodes.push(self.all()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::Or(nodes) })
    }

    fn all(&mut self) -> Result<Node, FilterError> {
        let mut nodes = vec![self.one()?];
        while self.word("AND") {
            nodes.push(self.one()?);
        }
        Ok(if nodes.len() == 1 { nodes.remove(0) } else { Node::And(nodes) })
    }

    fn one(&mut self) -> Result<Node, FilterError> {
        if !self.symbol("(") {
            return self.comparison();
        }
        self.depth += 1;
        if self.depth > DEEPEST {
            return Err(FilterError::TooLong);
        }
        let node = self.any()?;
        if !self.symbol(")") {
            return Err(self.expected("`)`"));
        }
        self.depth -= 1;
        Ok(node)
    }

    fn comparison(&mut self) -> Result<Node, FilterError> {
        self.skip_space();
        let length =
            self.rest().bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"._".contains(byte)).count();
        let field = self.rest()[..length].to_owned();
        if field.is_empty() {
            return Err(self.expected("the name of a field"));
        }
        if !self.known.contains(&field.as_str()) {
            return Err(FilterError::Field { field, known: self.known.to_vec() });
        }
        self.at += length;
        if self.word("NOT") {
            return if self.word("IN") { self.list(field, false) } else { Err(self.expected("IN")) };
        }
        if self.word("IN") {
            return self.list(field, true);
        }
        for (sign, operator) in OPERATORS {
            if self.symbol(sign) {
                return Ok(Node::Compare(field, *operator, self.value()?));
            }
        }
        Err(self.expected("one of = != ~ !~ > >= < <= IN"))
    }

    fn list(&mut self, field: String, inside: bool) -> Result<Node, FilterError> {
        if !self.symbol("(") {
            return Err(self.expected("`(`"));
        }
        let mut values = vec![self.value()?];
        while self.symbol(",") {
            values.push(self.value()?);
        }
        if !self.symbol(")") {
            return Err(self.expected("`,` or `)`"));
        }
        Ok(Node::In(field, inside, values))
    }

    fn value(&mut self) -> Result<Value, FilterError> {
        self.skip_space();
        if self.rest().starts_with('"') {
            return self.quoted();
        }
        let length = self.rest().find(|letter: char| letter.is_whitespace() || "(),".contains(letter));
        let word = &self.rest()[..length.unwrap_or(self.rest().len())];
        let value = match word {
            "true" | "True" | "TRUE" => Value::Bool(true),
            "false" | "False" | "FALSE" => Value::Bool(false),
            "null" | "None" | "NULL" => Value::Null,
            _ if word.parse::<Timestamp>().is_ok() => Value::String(word.to_owned()),
            _ => match word.parse::<serde_json::Number>() {
                Ok(number) => Value::Number(number),
                Err(_) => return Err(self.expected("a text in double quotes, a number, a moment, true, false or null")),
            },
        };
        self.at += word.len();
        Ok(value)
    }

    fn quoted(&mut self) -> Result<Value, FilterError> {
        let (mut text, mut escaped) = (String::new(), false);
        for (at, letter) in self.rest().char_indices().skip(1) {
            match letter {
                _ if escaped => {
                    text.push(letter);
                    escaped = false;
                }
                '\\' => escaped = true,
                '"' => {
                    self.at += at + 1;
                    return Ok(Value::String(text));
                }
                _ => text.push(letter),
            }
        }
        self.at = self.text.len();
        Err(self.expected("`\"`"))
    }

    /// Takes a word, in whatever case, if it stands here and ends here.
    fn word(&mut self, word: &str) -> bool {
        self.skip_space();
        let Some(found) = self.rest().get(..word.len()) else { return false };
        let ends =
            !self.rest()[word.len()..].starts_with(|letter: char| letter.is_ascii_alphanumeric() || letter == '_');
        let here = found.eq_ignore_ascii_case(word) && ends;
        self.at += if here { word.len() } else { 0 };
        here
    }

    fn symbol(&mut self, symbol: &str) -> bool {
        self.skip_space();
        let here = self.rest().starts_with(symbol);
        self.at += if here { symbol.len() } else { 0 };
        here
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn expected(&self, expected: &'static str) -> FilterError {
        FilterError::Expected { expected, at: self.text[..self.at].chars().count() + 1 }
    }
}

/// Longer ones before those that they begin with.
const OPERATORS: &[(&str, Operator)] = &[
    ("!=", Operator::Unequal),
    ("!~", Operator::Lacks),
    (">=", Operator::GreaterOrEqual),
    ("<=", Operator::LessOrEqual),
    ("=", Operator::Equal),
    ("~", Operator::Contains),
    (">", Operator::Greater),
    ("<", Operator::Less),
];
/// Bytes of a filter.
const LONGEST: usize = 4096;
/// Brackets in brackets.
const DEEPEST: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const KNOWN: &[&str] = &["name", "size", "target.date", "is_private", "gone"];

    fn holds(filter: &str) -> bool {
        let element = json!({
            "name": "Feature/\"One\"", "size": 12, "is_private": true,
            "target": { "date": "2026-03-01T12:00:00+02:00" },
        });
        Filter::parse(filter, KNOWN).unwrap_or_else(|error| panic!("{filter}: {error}")).matches(&element)
    }

    #[test]
    fn each_operator_does_what_is_documented() {
        for yes in [
            "name = \"Feature/\\\"One\\\"\"",
            "name ~ \"feature\"",
            "name !~ \"two\" and size >= 12",
            "size > 11.5 AND size<13",
            "is_private = true",
            "gone = null",
            "size IN (1, 12)",
            "size NOT IN (1,2)",
            "target.date = 2026-03-01T10:00:00Z",
            "target.date > \"2026-03-01\"",
            "target.date < 2026-03-01T10:00:00.001+00:00",
            "size = 1 OR size = 12 AND name ~ \"one\"",
            "(size = 12 OR size = 1) AND is_private != false",
        ] {
            assert!(holds(yes), "{yes}");
        }
        for no in
            ["name = \"feature\"", "size < 12", "size = \"12\"", "gone > 1", "(size = 12 OR size = 1) AND size = 1"]
        {
            assert!(!holds(no), "{no}");
        }
    }

    #[test]
    fn what_is_no_filter_is_told_with_its_place() {
        for (text, told) in [
            ("", "the name of a field was expected at character 1"),
            ("name", "one of = != ~ !~ > >= < <= IN was expected at character 5"),
            (
                "name = ä",
                "a text in double quotes, a number, a moment, true, false or null was expected at character 8",
            ),
            ("name = \"a", "`\"` was expected at character 10"),
            ("name = \"a\" size = 1", "AND, OR or the end was expected at character 12"),
            ("(name = \"a\"", "`)` was expected at character 12"),
            ("size IN 1", "`(` was expected at character 9"),
            (
                "nme = 1",
                "field \"nme\" does not support filtering; these do: name, size, target.date, is_private, gone",
            ),
        ] {
            let error = Filter::parse(text, KNOWN).expect_err(text);
            assert_eq!(error.to_string(), told, "{text}");
        }
        assert_eq!(Filter::parse(&"(".repeat(1000), KNOWN), Err(FilterError::TooLong));
        assert_eq!(Filter::parse(&" ".repeat(5000), KNOWN), Err(FilterError::TooLong));
    }
}
