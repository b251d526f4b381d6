//! Any text is a list of ranges or an error; what is read is written back, and contains its own address.

#![no_main]

use doorward_rules::Policy;
use doorward_wire::parse_ranges;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(ranges) = parse_ranges(text) else { return };
    let written: Vec<String> = ranges.iter().map(ToString::to_string).collect();
    assert_eq!(parse_ranges(&written.join(", ")).as_ref(), Ok(&ranges));
    for range in &ranges {
        let policy = Policy { addresses: vec![*range], ..Policy::default() };
        assert!(policy.admits(range.addr()), "{range}");
    }
});
