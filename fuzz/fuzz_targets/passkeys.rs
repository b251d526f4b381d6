//! What browsers, or whoever pretends to be one, send of passkeys.
#![no_main]

use doorward_webauthn::{Ceremony, ClientData, Party, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&which, bytes)) = input.split_first() else { return };
    let party = Party::at("https://a.b").expect("a party");
    let client_data = |kind, ceremony| {
        let json = format!(r#"{{"type":"{kind}","challenge":"AAAA","origin":"https://a.b"}}"#);
        ClientData::read(json.as_bytes(), ceremony, &party).expect("read")
    };
    match which % 4 {
        0 => drop(ClientData::read(bytes, Ceremony::Get, &party)),
        1 => drop(party.made(&client_data("webauthn.create", Ceremony::Create), bytes)),
        2 => {
            // A key that can be read is the same after it was kept.
            if let Ok(key) = PublicKey::read(bytes) {
                assert_eq!(PublicKey::read(&key.to_bytes()), Ok(key));
            }
        }
        _ => {
            let (key, rest) = bytes.split_at(bytes.len() / 2);
            let (data, signature) = rest.split_at(rest.len() / 2);
            if let Ok(key) = PublicKey::read(key) {
                let _ = party.shown(&client_data("webauthn.get", Ceremony::Get), &key, 0, data, signature);
            }
        }
    }
});
