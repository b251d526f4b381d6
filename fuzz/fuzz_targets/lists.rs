//! Any text is a filter or fields, or an error with a place in it; what is read can be used on any element.

#![no_main]

use doorward_wire::{Fields, Filter, FilterError};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

const KNOWN: &[&str] = &["name", "size", "target.date", "none"];

fuzz_target!(|text: &str| {
    let element = json!({ "name": "a10", "size": 3, "target": { "date": "2026-03-01T12:00:00+02:00" }, "list": [{ "name": null }] });
    match Filter::parse(text, KNOWN) {
        Ok(filter) => {
            let negated = Filter::parse(&format!("({text}) AND size = 4"), KNOWN);
            assert!(negated.is_err() || !negated.is_ok_and(|filter| filter.matches(&element)), "{text}");
            let _ = filter.matches(&element);
        }
        Err(FilterError::Expected { at, .. }) => assert!(at <= text.chars().count() + 1, "{text}"),
        Err(_) => {}
    }
    if let Ok(fields) = Fields::parse(text) {
        let picked = fields.pick(element);
        assert_eq!(fields.pick(picked.clone()), picked, "{text}");
    }
});
