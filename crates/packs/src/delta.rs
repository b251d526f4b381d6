//! Deltas (gitformat-pack, "Deltified representation"): an object as what changes in another.

use crate::PackError;
use crate::inflate::LARGEST;

/// The object that a delta makes of its base.
///
/// # Errors
/// [`PackError::Damaged`] if it is no delta of this base, [`PackError::TooMuch`] if it makes more than is held in memory.
pub fn apply(base: &[u8], delta: &[u8]) -> Result<Vec<u8>, PackError> {
    let (from, rest) = size(delta)?;
    let (to, mut rest) = size(rest)?;
    if from != base.len() as u64 {
        return Err(DAMAGED);
    }
    let to = usize::try_from(to).ok().filter(|to| *to <= LARGEST);
    let to = to.ok_or(PackError::TooMuch("an object is larger than is held in memory"))?;
    let mut out = Vec::with_capacity(to);
    while let Some((&command, after)) = rest.split_first() {
        rest = after;
        if command & 0x80 == 0 {
            let new = rest.get(..usize::from(command)).filter(|new| !new.is_empty()).ok_or(DAMAGED)?;
            out.extend_from_slice(new);
            rest = &rest[new.len()..];
        } else {
            let mut number = |bits: u8, shift: u8| -> Result<usize, PackError> {
                let mut number = 0;
                for bit in (0..bits).filter(|bit| command >> (bit + shift) & 1 == 1) {
                    let (&byte, after) = rest.split_first().ok_or(DAMAGED)?;
                    rest = after;
                    number |= usize::from(byte) << (8 * bit);
                }
                Ok(number)
            };
            let at = number(4, 0)?;
            let length = match number(3, 4)? {
                0 => 0x10000,
                length => length,
            };
            out.extend_from_slice(base.get(at..).and_then(|base| base.get(..length)).ok_or(DAMAGED)?);
        }
        if out.len() > to {
            return Err(DAMAGED);
        }
    }
    if out.len() == to { Ok(out) } else { Err(DAMAGED) }
}

/// A size as deltas have it, seven bits in each byte, the lowest first; and what follows it.
pub(crate) fn size(bytes: &[u8]) -> Result<(u64, &[u8]), PackError> {
    let mut size = 0;
    for (place, byte) in bytes.iter().enumerate().take(9) {
        size |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            return Ok((size, &bytes[place + 1..]));
        }
    }
    Err(DAMAGED)
}

const DAMAGED: PackError = PackError::Damaged("a delta does not fit its base");

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn copies_and_insertions_make_the_new_text() {
        // From 11 bytes 13: bytes 0 to 6 of the base, five new ones, byte 10 of the base and byte 0.
        let delta = b"\x0b\x0d\x90\x06\x05there\x91\x0a\x01\x90\x01";
        assert_eq!(apply(b"hello world", delta).expect("a delta"), b"hello theredh");
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic_or_give_another_size(
            base in prop::collection::vec(any::<u8>(), 0..100),
            mut delta in prop::collection::vec(any::<u8>(), 2..60),
            size in 0_u8..128,
        ) {
            (delta[0], delta[1]) = (base.len() as u8, size);
            if let Ok(made) = apply(&base, &delta) {
                prop_assert_eq!(made.len(), usize::from(size));
            }
        }
    }
}
