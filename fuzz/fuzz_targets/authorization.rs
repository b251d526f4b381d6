//! Whatever stands in `Authorization` headers is read without a panic, and never printed.

#![no_main]

use doorward_wire::Authorization;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|headers: Vec<Vec<u8>>| {
    let read = Authorization::read(headers.iter().map(Vec::as_slice));
    let printed = format!("{read:?}");
    for header in headers.iter().filter_map(|header| std::str::from_utf8(header).ok()) {
        // The secret part of a well-formed token: 39 characters after its id.
        if let Some(start) = header.find("dwa_").filter(|start| header.is_char_boundary(start + 17) && header.len() >= start + 56) {
            assert!(!printed.contains(&header[start + 17..start + 56]));
        }
    }
});
