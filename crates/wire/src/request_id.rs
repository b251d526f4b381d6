//! Names of requests: what an answer carries as `X-Request-Id`, and what `doorward why` takes.

use std::fmt;
use std::str::FromStr;

use doorward_rules::Timestamp;

/// The name of one request: when it was answered, what it was counted under, and random bits.
///
/// Refusals and changes are recorded one by one, under their id. Reads that were allowed are only counted, per
/// credential, repository and minute: for them the id carries a tag of that count, so that the one record can be found
/// for each of thousands of requests, and the record needs no list of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RequestId {
    at: Timestamp,
    tag: u32,
    random: u64,
}

impl RequestId {
    /// An id for a request that arrives now; of `random` the lower 48 bits are used.
    pub fn new(at: Timestamp, random: u64) -> Self {
        Self { at: Timestamp(at.0.clamp(0, (1 << 48) - 1)), tag: 0, random: random & RANDOM }
    }

    /// The same id with the tag of the count that the request goes into.
    #[must_use]
    pub fn tagged(self, tag: u32) -> Self {
        Self { tag, ..self }
    }

    /// When the request was answered, to the millisecond.
    pub fn at(self) -> Timestamp {
        self.at
    }

    /// The tag of the count that it went into; 0 if it is recorded by itself.
    pub fn tag(self) -> u32 {
        self.tag
    }
}

/// 26 characters of Crockford's base 32; ids of later requests sort later.
impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = (self.at.0.unsigned_abs() as u128) << 80 | u128::from(self.tag) << 48 | u128::from(self.random);
        let letters = (0..LENGTH).rev().map(|place| char::from(ALPHABET[(bits >> (5 * place)) as usize & 31]));
        letters.into_iter().try_for_each(|letter| fmt::Write::write_char(f, letter))
    }
}

impl FromStr for RequestId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fault = "a request id has 26 letters and digits, as in the X-Request-Id of an answer";
        if text.len() != LENGTH as usize {
            return Err(fault);
        }
        let bits = text.to_ascii_lowercase().bytes().try_fold(0_u128, |bits, letter| {
            let value = ALPHABET.iter().position(|known| *known == letter)?;
            Some(bits << 5 | value as u128)
        });
        let bits = bits.ok_or(fault)?;
        let at = Timestamp((bits >> 80 & ((1 << 48) - 1)) as i64);
        Ok(Self { at, tag: (bits >> 48) as u32, random: bits as u64 & RANDOM })
    }
}

const LENGTH: u32 = 26;
const RANDOM: u64 = (1 << 48) - 1;
const ALPHABET: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_from_its_text_with_time_and_tag() {
        let id = RequestId::new(Timestamp(1_790_000_000_123), u64::MAX).tagged(0xdead_beef);
        let read: RequestId = id.to_string().to_uppercase().parse().expect("an id");
        assert_eq!(read, id);
        assert_eq!((read.at(), read.tag()), (Timestamp(1_790_000_000_123), 0xdead_beef));
        assert!("".parse::<RequestId>().is_err() && "u".repeat(26).parse::<RequestId>().is_err());
    }

    #[test]
    fn ids_of_later_requests_sort_later() {
        let early = RequestId::new(Timestamp(5), u64::MAX).tagged(u32::MAX).to_string();
        assert!(early < RequestId::new(Timestamp(6), 0).to_string());
    }
}
