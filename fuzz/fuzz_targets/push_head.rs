//! The head of a push is read the same however it is cut into pieces, never beyond its limits, and what is accepted is
//! safe to pass on.

#![no_main]

use doorward_wire::{PktLine, PushHeadReader, PushLimits};
use libfuzzer_sys::fuzz_target;

const LIMITS: PushLimits = PushLimits { updates: 100, ref_depth: 10, head_bytes: 4096 };

fuzz_target!(|input: (Vec<u8>, u8)| {
    let (bytes, piece) = input;
    let _ = PktLine::read(&bytes);
    let mut whole = PushHeadReader::new(LIMITS);
    let mut pieces = PushHeadReader::new(LIMITS);
    let at_once = whole.take(&bytes);
    let mut in_pieces = Ok(false);
    let mut taken = 0;
    for chunk in bytes.chunks(usize::from(piece).max(1)) {
        in_pieces = pieces.take(chunk);
        taken += chunk.len();
        if in_pieces != Ok(false) {
            break;
        }
    }
    if at_once == Ok(true) {
        assert_eq!(in_pieces, Ok(true));
        let ((head, raw, pack), (again, raw_again, _)) = (whole.finish(), pieces.finish());
        assert_eq!((&head, &raw), (&again, &raw_again));
        assert_eq!([raw, pack].concat(), bytes);
        assert!(taken <= bytes.len());
        if let Ok(updates) = head.check(&LIMITS) {
            for update in updates {
                let name = update.name.as_bytes();
                assert!(name.starts_with(b"refs/") && !name.windows(2).any(|pair| pair == b".."));
                assert!(!name.iter().any(u8::is_ascii_control));
            }
        }
    }
});
