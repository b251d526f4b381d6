//! Whatever git, or somebody in its place, says to a credential helper is read without a panic and within bounds; what is
//! read is written back as itself.

#![no_main]

use doorward_wire::Description;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(read) = Description::read(bytes) else { return };
    let mut written = Vec::new();
    if read.write(&mut written).is_ok() {
        let again = Description::read(written.as_slice()).expect("what was written can be read");
        assert_eq!((again.host, again.path, again.username), (read.host, read.path, read.username));
    }
});
