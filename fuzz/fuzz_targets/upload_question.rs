//! A question for refs or objects is told from others, the same however much of it has come: what is not yet told is told later,
//! and what was told is not taken back. What is asked of git instead is the same question.

#![no_main]

use doorward_wire::{OldWants, UploadQuestion};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    for begin in [&b""[..], b"0014command=ls-refs\n", b"0014command=ls-refs\n0001", b"0012command=fetch\n0001"] {
        let whole = [begin, bytes].concat();
        let told = UploadQuestion::read(&whole);
        for length in 0..whole.len() {
            match UploadQuestion::read(&whole[..length]) {
                UploadQuestion::More => {}
                UploadQuestion::Other => assert_eq!(told, UploadQuestion::Other),
                // It was whole before what follows came.
                UploadQuestion::Refs(_) | UploadQuestion::Objects(_) | UploadQuestion::Bundles => {
                    assert_ne!(told, UploadQuestion::More);
                }
            }
        }
        match told {
            UploadQuestion::Refs(request) => {
                assert!(request.prefixes.is_sorted());
                assert!(request.prefixes.windows(2).all(|pair| !pair[1].starts_with(&pair[0])));
            }
            UploadQuestion::Objects(request) => {
                assert!(request.wants().all(|id| matches!(id.len(), 40 | 64)));
                assert_eq!(UploadQuestion::read(&request.to_bytes()), UploadQuestion::Objects(request));
            }
            UploadQuestion::Bundles | UploadQuestion::Other | UploadQuestion::More => {}
        }
    }
    for begin in [&b""[..], b"0032want 1111111111111111111111111111111111111111\n"] {
        let whole = [begin, bytes].concat();
        let told = OldWants::read(&whole);
        for length in 0..whole.len() {
            let sooner = OldWants::read(&whole[..length]);
            assert!(sooner == OldWants::More || sooner == told);
        }
        if let OldWants::Whole { wants, .. } = told {
            assert!(!wants.is_empty() && wants.iter().all(|id| matches!(id.len(), 40 | 64)));
        }
    }
});
