//! The server as passkeys know it, and what it takes from them.

use minicbor::Decoder;
use sha2::{Digest, Sha256};

use crate::authenticator_data::AuthenticatorData;
use crate::{Ceremony, ClientData, PasskeyError, PublicKey, cbor};

/// The server as passkeys know it: by its origin, and by the name of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Party {
    origin: String,
    id: String,
}

/// A passkey that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPasskey {
    /// By what it is known again.
    pub id: Vec<u8>,
    /// Its public key.
    pub key: PublicKey,
    /// How often it has been used, as far as it counts.
    pub counter: u32,
    /// Whether its owner has it on other devices, too.
    pub backed_up: bool,
}

/// A passkey has shown that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Proof {
    /// Whether the authenticator made sure who used it, which makes two factors of one passkey.
    pub user_verified: bool,
    /// How often it has been used, as far as it counts.
    pub counter: u32,
    /// Whether its owner has it on other devices, too.
    pub backed_up: bool,
}

impl Party {
    /// The one at an address such as `https://git.example.org`; `None` if there can be no passkeys for it, as for one with an IP address
    /// in the place of a name (§5.1.2: an RP ID is a domain).
    pub fn at(base: &str) -> Option<Self> {
        let (scheme, authority) = base.split_once("://")?;
        let host = authority.split(['/', ':']).next()?;
        let is_name = !host.is_empty() && !host.starts_with('[') && host.parse::<std::net::IpAddr>().is_err();
        // Browsers know no passkeys where anybody on the way could use them.
        let is_safe = scheme == "https" || host == "localhost";
        (is_name && is_safe).then(|| Self { origin: base.to_owned(), id: host.to_owned() })
    }

    /// The name of its host, by which passkeys are bound to it.
    pub fn id(&self) -> &str {
        &self.id
    }

    pub(crate) fn origin(&self) -> &str {
        &self.origin
    }

    /// A passkey that a browser has had made (§7.1, without attestation).
    ///
    /// # Errors
    /// [`PasskeyError`] if it is not taken.
    pub fn made(&self, client_data: &ClientData, attestation_object: &[u8]) -> Result<NewPasskey, PasskeyError> {
        if client_data.ceremony != Ceremony::Create {
            return Err(PasskeyError::Elsewhere("another ceremony"));
        }
        let mut decoder = Decoder::new(attestation_object);
        let mut data = None;
        cbor::map(
            &mut decoder,
            |decoder| decoder.str().ok(),
            |name, decoder| {
                if name == "authData" {
                    data = Some(cbor::bytes(decoder)?);
                }
                Some(name == "authData")
            },
        )?;
        let data = data.ok_or(PasskeyError::Unreadable("it says nothing of the authenticator"))?;
        let said = self.read(data)?;
        let (backed_up, counter) = (said.backed_up(), said.counter);
        let (id, key) = said.made.ok_or(PasskeyError::Unreadable("no passkey was made"))?;
        Ok(NewPasskey { id: id.to_vec(), key, counter, backed_up })
    }

    /// What a passkey with this key, that has counted so far, has shown (§7.2).
    ///
    /// # Errors
    /// [`PasskeyError`] if it has shown nothing.
    pub fn shown(
        &self,
        client_data: &ClientData,
        key: &PublicKey,
        counted: u32,
        authenticator_data: &[u8],
        signature: &[u8],
    ) -> Result<Proof, PasskeyError> {
        if client_data.ceremony != Ceremony::Get {
            return Err(PasskeyError::Elsewhere("another ceremony"));
        }
        let said = self.read(authenticator_data)?;
        if !key.has_signed(&[authenticator_data, &client_data.hash].concat(), signature) {
            return Err(PasskeyError::Forged);
        }
        // Those that do not count say 0, always.
        if (said.counter, counted) != (0, 0) && said.counter <= counted {
            return Err(PasskeyError::Copied);
        }
        Ok(Proof { user_verified: said.user_verified(), counter: said.counter, backed_up: said.backed_up() })
    }

    fn read<'a>(&self, bytes: &'a [u8]) -> Result<AuthenticatorData<'a>, PasskeyError> {
        let said = AuthenticatorData::read(bytes)?;
        let ours: [u8; 32] = Sha256::digest(&self.id).into();
        if said.party_hash != ours {
            return Err(PasskeyError::Elsewhere("another site"));
        }
        if !said.user_present() {
            return Err(PasskeyError::Elsewhere("nobody was there"));
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use minicbor::Encoder;
    use ring::rand::SystemRandom;
    use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair};

    const BASE: &str = "https://git.example.org:8443";

    /// An authenticator in software.
    struct Authenticator {
        pair: Pair,
        flags: u8,
        counter: u32,
        party: &'static str,
    }

    enum Pair {
        P256(EcdsaKeyPair),
        Ed25519(Ed25519KeyPair),
    }

    impl Authenticator {
        fn new(is_p256: bool) -> Self {
            let random = SystemRandom::new();
            let pair = if is_p256 {
                let algorithm = &ECDSA_P256_SHA256_ASN1_SIGNING;
                let document = EcdsaKeyPair::generate_pkcs8(algorithm, &random).expect("a key");
                Pair::P256(EcdsaKeyPair::from_pkcs8(algorithm, document.as_ref(), &random).expect("a key"))
            } else {
                let document = Ed25519KeyPair::generate_pkcs8(&random).expect("a key");
                Pair::Ed25519(Ed25519KeyPair::from_pkcs8(document.as_ref()).expect("a key"))
            };
            Self { pair, flags: 0b101, counter: 0, party: "git.example.org" }
        }

        fn key(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes);
            let encoded = match &self.pair {
                Pair::P256(pair) => {
                    let point = pair.public_key().as_ref();
                    let head = encoder.map(5).and_then(|e| e.i64(1)?.i64(2)?.i64(3)?.i64(-7)?.i64(-1)?.i64(1));
                    head.and_then(|e| e.i64(-2)?.bytes(&point[1..33])?.i64(-3)?.bytes(&point[33..])).map(drop)
                }
                Pair::Ed25519(pair) => {
                    let head = encoder.map(4).and_then(|e| e.i64(1)?.i64(1)?.i64(3)?.i64(-8)?.i64(-1)?.i64(6));
                    head.and_then(|e| e.i64(-2)?.bytes(pair.public_key().as_ref())).map(drop)
                }
            };
            encoded.expect("encoded");
            bytes
        }

        fn data(&self, made: bool) -> Vec<u8> {
            let mut data = Sha256::digest(self.party).to_vec();
            data.push(if made { self.flags | 0x40 } else { self.flags });
            data.extend(self.counter.to_be_bytes());
            if made {
                data.extend([0; 16]);
                data.extend([0, 3]);
                data.extend(b"one");
                data.extend(self.key());
            }
            data
        }

        fn object(&self) -> Vec<u8> {
            let mut bytes = Vec::new();
            let encoded = Encoder::new(&mut bytes)
                .map(3)
                .and_then(|e| {
                    e.str("fmt")?.str("none")?.str("attStmt")?.map(0)?.str("authData")?.bytes(&self.data(true))
                })
                .map(drop);
            encoded.expect("encoded");
            bytes
        }

        fn sign(&self, client_data: &[u8]) -> (Vec<u8>, Vec<u8>) {
            let data = self.data(false);
            let signed = [&data[..], &Sha256::digest(client_data)].concat();
            let signature = match &self.pair {
                Pair::P256(pair) => pair.sign(&SystemRandom::new(), &signed).expect("signed").as_ref().to_vec(),
                Pair::Ed25519(pair) => pair.sign(&signed).as_ref().to_vec(),
            };
            (data, signature)
        }
    }

    fn party() -> Party {
        Party::at(BASE).expect("a party")
    }

    fn client_data(kind: &str, origin: &str) -> String {
        let challenge = URL_SAFE_NO_PAD.encode("a challenge");
        format!(r#"{{"type":"{kind}","challenge":"{challenge}","origin":"{origin}","crossOrigin":false}}"#)
    }

    #[test]
    fn passkeys_are_for_names_that_nobody_on_the_way_can_take() {
        let id = |base| Party::at(base).map(|party| party.id);
        assert_eq!(id(BASE).as_deref(), Some("git.example.org"));
        assert_eq!(id("http://localhost:7990").as_deref(), Some("localhost"));
        for base in ["http://git.example.org", "https://192.0.2.1", "https://[::1]:1", "https://", "git.example.org"] {
            assert_eq!(id(base), None, "{base}");
        }
    }

    #[test]
    fn a_passkey_that_was_made_shows_that_it_is_there_and_no_other_does() {
        for is_p256 in [true, false] {
            let (party, mut one) = (party(), Authenticator::new(is_p256));
            let create = client_data("webauthn.create", BASE);
            let read = ClientData::read(create.as_bytes(), Ceremony::Create, &party).expect("read");
            assert_eq!(read.challenge, b"a challenge");
            let made = party.made(&read, &one.object()).expect("made");
            assert_eq!((made.id.as_slice(), made.counter, made.backed_up), (&b"one"[..], 0, false));
            let key = PublicKey::read(&made.key.to_bytes()).expect("kept");
            assert_eq!(key, made.key);

            let get = client_data("webauthn.get", BASE);
            let read = ClientData::read(get.as_bytes(), Ceremony::Get, &party).expect("read");
            let shown = |one: &Authenticator, counted| {
                let (data, signature) = one.sign(get.as_bytes());
                party.shown(&read, &key, counted, &data, &signature)
            };
            assert_eq!(shown(&one, 0), Ok(Proof { user_verified: true, counter: 0, backed_up: false }));
            one.counter = 7;
            assert_eq!(shown(&one, 6).map(|proof| proof.counter), Ok(7));
            for counted in [7, 8] {
                assert_eq!(shown(&one, counted), Err(PasskeyError::Copied));
            }
            one.flags = 1;
            assert_eq!(shown(&one, 0).map(|proof| proof.user_verified), Ok(false));
            one.flags = 0;
            assert!(matches!(shown(&one, 0), Err(PasskeyError::Elsewhere("nobody was there"))));
            one.flags = 1;
            one.party = "evil.example";
            assert!(matches!(shown(&one, 0), Err(PasskeyError::Elsewhere("another site"))));
            assert_eq!(shown(&Authenticator::new(is_p256), 0), Err(PasskeyError::Forged));
            assert_eq!(shown(&Authenticator::new(!is_p256), 0), Err(PasskeyError::Forged));
            // What was signed is not what is sent.
            let (mut data, signature) =
                Authenticator { counter: 9, party: "git.example.org", ..one }.sign(get.as_bytes());
            data[36] += 1;
            assert_eq!(party.shown(&read, &key, 0, &data, &signature), Err(PasskeyError::Forged));
        }
    }

    #[test]
    fn another_site_or_another_ceremony_is_not_ours() {
        let read = |kind, origin| ClientData::read(client_data(kind, origin).as_bytes(), Ceremony::Get, &party());
        assert!(read("webauthn.get", BASE).is_ok());
        for (kind, origin) in [
            ("webauthn.create", BASE),
            ("payment.get", BASE),
            ("webauthn.get", "https://git.example.org"),
            ("webauthn.get", "https://git.example.org:8443.evil.example"),
            ("webauthn.get", "http://git.example.org:8443"),
        ] {
            assert!(matches!(read(kind, origin), Err(PasskeyError::Elsewhere(_))), "{kind} {origin}");
        }
        let framed = client_data("webauthn.get", BASE).replace("false", "true");
        assert!(ClientData::read(framed.as_bytes(), Ceremony::Get, &party()).is_err());
        assert!(ClientData::read(&[b' '; 20_000], Ceremony::Get, &party()).is_err());
    }

    #[test]
    fn what_is_cut_off_or_too_long_is_unreadable() {
        let (party, one) = (party(), Authenticator::new(true));
        let create = client_data("webauthn.create", BASE);
        let read = ClientData::read(create.as_bytes(), Ceremony::Create, &party).expect("read");
        let object = one.object();
        for length in 0..object.len() {
            assert!(party.made(&read, &object[..length]).is_err(), "{length}");
        }
        // A map that says it has more than anybody sends, and one without end.
        for object in [&[0xbb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff][..], &[0xbf, 0xff], &[0xa1], &[]] {
            assert!(party.made(&read, object).is_err());
        }
    }
}
