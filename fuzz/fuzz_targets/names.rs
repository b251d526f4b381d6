//! Names that people choose are read without a panic; what is accepted stays in its place; what is masked stays masked.

#![no_main]

use doorward_wire::{AccountName, Email, RepositoryName, RequestId, parse_duration, redact};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = text.parse::<AccountName>();
    let _ = text.parse::<Email>();
    let _ = parse_duration(text);
    if let Ok(name) = text.parse::<RepositoryName>() {
        let name = name.to_string();
        assert!(name.split('/').count() == 2 && !name.split('/').any(|part| part == "." || part == ".."));
        assert_eq!(name.parse::<RepositoryName>().map(|name| name.to_string()), Ok(name.clone()));
    }
    if let Ok(id) = text.parse::<RequestId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
    let once = redact(text).into_owned();
    assert_eq!(redact(&once), once);
});
