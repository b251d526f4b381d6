//! Public keys of passkeys, as COSE has them (RFC 9052 §7, RFC 9053), and the signatures of their private halves.

use minicbor::{Decoder, Encoder};
use ring::signature::{
    ECDSA_P256_SHA256_ASN1, ED25519, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey,
};

use crate::{PasskeyError, cbor};

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey(Shape);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Shape {
    /// ES256: x and y.
    P256([u8; 32], [u8; 32]),
    Ed25519([u8; 32]),
    /// RS256: modulus and exponent.
    Rsa(Vec<u8>, Vec<u8>),
}

const ES256: i64 = -7;
const EDDSA: i64 = -8;
const RS256: i64 = -257;

impl PublicKey {
    /// Reads one that was kept.
    ///
    /// # Errors
    /// [`PasskeyError`] if it is none that is known here.
    pub fn read(bytes: &[u8]) -> Result<Self, PasskeyError> {
        Self::decode(&mut Decoder::new(bytes))
    }

    /// The algorithms that authenticators are offered, the best first, by their COSE numbers.
    pub const ALGORITHMS: [i64; 3] = [EDDSA, ES256, RS256];

    pub(crate) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, PasskeyError> {
        let (mut kty, mut alg, mut curve) = (None, None, None);
        let (mut first, mut x, mut y) = (None, None, None);
        cbor::map(decoder, cbor::number, |label, decoder| {
            match label {
                1 => kty = Some(cbor::number(decoder)?),
                3 => alg = Some(cbor::number(decoder)?),
                // The curve of a key on one, the modulus of another.
                -1 if kty == Some(3) => first = Some(cbor::bytes(decoder)?),
                -1 => curve = Some(cbor::number(decoder)?),
                -2 => x = Some(cbor::bytes(decoder)?),
                -3 => y = Some(cbor::bytes(decoder)?),
                _ => return Some(false),
            }
            Some(true)
        })?;
        let half = |bytes: Option<&[u8]>| bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let shape = match (kty, alg, curve) {
            (Some(2), Some(ES256), Some(1)) => half(x).zip(half(y)).map(|(x, y)| Shape::P256(x, y)),
            (Some(1), Some(EDDSA), Some(6)) => half(x).map(Shape::Ed25519),
            (Some(3), Some(RS256), None) => {
                let (modulus, exponent) = first.zip(x).unwrap_or_default();
                let fits = (256..=1024).contains(&modulus.len()) && (1..=8).contains(&exponent.len());
                fits.then(|| Shape::Rsa(modulus.to_vec(), exponent.to_vec()))
            }
            _ => None,
        };
        shape.map(Self).ok_or(PasskeyError::Unsupported)
    }

    /// As it is kept.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut encoder = Encoder::new(&mut bytes);
        // Writing to memory does not fail.
        let _ = match &self.0 {
            Shape::P256(x, y) => encode(&mut encoder, 2, ES256, Some(1), &[x, y]),
            Shape::Ed25519(x) => encode(&mut encoder, 1, EDDSA, Some(6), &[x]),
            Shape::Rsa(modulus, exponent) => encode(&mut encoder, 3, RS256, None, &[modulus, exponent]),
        };
        bytes
    }

    /// Whether its private half has signed something.
    pub(crate) fn has_signed(&self, signed: &[u8], signature: &[u8]) -> bool {
        match &self.0 {
            Shape::P256(x, y) => {
                let point = [&[4][..], x, y].concat();
                UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, point).verify(signed, signature).is_ok()
            }
            Shape::Ed25519(x) => UnparsedPublicKey::new(&ED25519, x).verify(signed, signature).is_ok(),
            Shape::Rsa(n, e) => {
                RsaPublicKeyComponents { n, e }.verify(&RSA_PKCS1_2048_8192_SHA256, signed, signature).is_ok()
            }
        }
    }
}

type Encoding = Result<(), minicbor::encode::Error<core::convert::Infallible>>;

fn encode(encoder: &mut Encoder<&mut Vec<u8>>, kty: i64, alg: i64, curve: Option<i64>, parts: &[&[u8]]) -> Encoding {
    encoder.map(2 + u64::from(curve.is_some()) + parts.len() as u64)?.i64(1)?.i64(kty)?.i64(3)?.i64(alg)?;
    if let Some(curve) = curve {
        encoder.i64(-1)?.i64(curve)?;
    }
    let begin = if curve.is_some() { -2 } else { -1 };
    for (place, part) in parts.iter().enumerate() {
        encoder.i64(begin - place as i64)?.bytes(part)?;
    }
    Ok(())
}
