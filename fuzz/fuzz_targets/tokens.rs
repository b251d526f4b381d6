//! Any text is a token or a fault; what is changed in a token is noticed; none is shown by `redact`.

#![no_main]

use doorward_rules::Kind;
use doorward_wire::{MintedToken, TokenShape, UnverifiedToken, redact};
use libfuzzer_sys::fuzz_target;
use secrecy::{ExposeSecret, SecretString};

fuzz_target!(|input: (String, u8, u8, u16, u8)| {
    let (text, kind, seed, place, change) = input;
    let _ = UnverifiedToken::parse(&SecretString::from(text));
    let kind = Kind::ALL[usize::from(kind) % Kind::ALL.len()];
    if matches!(kind, Kind::AccountPassword | Kind::ConnectJwt) {
        return;
    }
    for shape in [TokenShape::Doorward, TokenShape::Bitbucket] {
        // Bytes that every alphabet takes.
        let minted = MintedToken::mint(kind, shape, |buffer| buffer.fill(seed % 200));
        let token = minted.secret.expose_secret();
        let read = UnverifiedToken::parse(&minted.secret).expect("a minted token is well formed");
        assert!(read.id == minted.id && read.digest == minted.digest && read.kinds.contains(kind));
        assert!(!redact(token).contains(&token[token.len() - 20..]));
        let mut changed = token.as_bytes().to_vec();
        let place = usize::from(place) % changed.len();
        changed[place] = changed[place].wrapping_add(change % 127 + 1) % 128;
        if let Ok(changed) = String::from_utf8(changed).map(SecretString::from) {
            let read = UnverifiedToken::parse(&changed);
            let same = changed.expose_secret().trim() == token;
            assert!(same || read.is_err() || read.is_ok_and(|read| read.digest != minted.digest));
        }
    }
});
