//! Tokens that come from a sign-in provider, or in its name, and its keys.
#![no_main]

use doorward_openid::untrusted::{KeySet, Signed};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let (token, keys) = input.split_at(input.len() / 2);
    let keys: KeySet = serde_json::from_slice(keys).unwrap_or_default();
    if let Ok(signed) = std::str::from_utf8(token).map_err(drop).and_then(|text| Signed::read(text).map_err(drop)) {
        // Nobody has the private half of a key that was made up here.
        assert!(signed.claims::<serde_json::Value>(&keys).is_err());
    }
});
