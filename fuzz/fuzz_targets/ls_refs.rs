//! A question for refs is told from others, the same however much of it has come: what is not yet told is told later, and what was
//! told is not taken back.

#![no_main]

use doorward_wire::{ListQuestion, ListRequest};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for begin in [&b""[..], b"0014command=ls-refs\n", b"0014command=ls-refs\n0001"] {
        let whole = [begin, bytes].concat();
        let told = ListRequest::read(&whole);
        for length in 0..whole.len() {
            match ListRequest::read(&whole[..length]) {
                ListQuestion::More => {}
                ListQuestion::Other => assert_eq!(told, ListQuestion::Other),
                // It was whole before what follows came.
                ListQuestion::Refs(_) => assert_ne!(told, ListQuestion::More),
            }
        }
        if let ListQuestion::Refs(request) = told {
            assert!(request.prefixes.is_sorted());
            assert!(request.prefixes.windows(2).all(|pair| !pair[1].starts_with(&pair[0])));
        }
    }
});
