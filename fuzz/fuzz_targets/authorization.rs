//! Whatever stands in `Authorization` headers is read without a panic, and never printed.

#![no_main]

use doorward_wire::{Authorization, Passwords};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|headers: Vec<Vec<u8>>| {
    for passwords in [Passwords::Refused, Passwords::Read] {
        let read = Authorization::read(headers.iter().map(Vec::as_slice), passwords);
        let printed = format!("{read:?}");
        for header in headers.iter().filter_map(|header| std::str::from_utf8(header).ok()) {
            // The secret part of a well-formed token: 39 characters after its id.
            let start = header.find("dwa_").filter(|start| header.len() >= start + 56);
            if let Some(secret) = start.and_then(|start| header.get(start + 17..start + 56)) {
                assert!(!printed.contains(secret));
            }
        }
    }
});
