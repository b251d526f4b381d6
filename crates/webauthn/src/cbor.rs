//! The few things that are read of CBOR (RFC 8949), within what was sent.

use minicbor::Decoder;
use minicbor::data::Type;

use crate::PasskeyError;

const UNREADABLE: PasskeyError = PasskeyError::Unreadable("it is no CBOR of the right form");

/// How many entries a map may have.
const MOST: u64 = 64;

/// Goes through a map of definite length; `entry` reads a value for a key that it takes, or says that it takes none.
pub(crate) fn map<'b, K>(
    decoder: &mut Decoder<'b>,
    key: impl Fn(&mut Decoder<'b>) -> Option<K>,
    mut entry: impl FnMut(K, &mut Decoder<'b>) -> Option<bool>,
) -> Result<(), PasskeyError> {
    // Lengths that are not said beforehand are not canonical (CTAP2 §6), and nobody sends them.
    let length = decoder.map().ok().flatten().filter(|length| *length <= MOST).ok_or(UNREADABLE)?;
    for _ in 0..length {
        let key = key(decoder).ok_or(UNREADABLE)?;
        if !entry(key, decoder).ok_or(UNREADABLE)? {
            decoder.skip().map_err(|_| UNREADABLE)?;
        }
    }
    Ok(())
}

/// A whole number.
pub(crate) fn number(decoder: &mut Decoder<'_>) -> Option<i64> {
    decoder.i64().ok()
}

/// Bytes of definite length.
pub(crate) fn bytes<'b>(decoder: &mut Decoder<'b>) -> Option<&'b [u8]> {
    if decoder.datatype().ok()? != Type::Bytes {
        return None;
    }
    decoder.bytes().ok()
}
