//! Any text is a moment, a length of time, a fault of neither; what is read is written back.

#![no_main]

use doorward_rules::Timestamp;
use doorward_wire::parse_duration;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let _ = parse_duration(text);
    if let Ok(at) = text.parse::<Timestamp>() {
        // To the second, and for years that have four digits.
        let second = Timestamp(at.0 - at.0.rem_euclid(1000));
        let written = second.to_string();
        if written.len() == 20 && !written.starts_with('-') {
            assert_eq!(written.parse(), Ok(second), "{text}");
        }
    }
});
