//! What stands in packs and their bitmaps: a client may have sent it, or a disk may have spoiled it.
#![no_main]

use doorward_packs::fuzzing::{Bitmaps, EntryHead, apply};
use doorward_packs::{Commit, TreeEntries, tag_target};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&which, bytes)) = input.split_first() else { return };
    match which % 6 {
        0 => drop(EntryHead::read(bytes)),
        1 => drop(Commit::read(bytes)),
        2 => drop(tag_target(bytes)),
        3 => assert!(TreeEntries::of(bytes).count() <= bytes.len()),
        4 => {
            let (base, delta) = bytes.split_at(bytes.len() / 2);
            let _ = apply(base, delta);
        }
        _ => {
            let objects = usize::from(which) * 8;
            if let Ok(bitmaps) = Bitmaps::read(bytes.to_vec(), objects) {
                let _ = bitmaps.read_all();
            }
        }
    }
});
