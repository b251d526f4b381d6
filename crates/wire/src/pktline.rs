//! Git's pkt-lines: four hexadecimal digits of length, then that many bytes less four (gitprotocol-common).

use thiserror::Error;

/// One pkt-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PktLine<'a> {
    /// `0000`: the end of a list.
    Flush,
    /// `0001`: the end of a section, in protocol v2.
    Delimiter,
    /// `0002`: the end of an answer, in protocol v2 over a stateless connection.
    ResponseEnd,
    /// Bytes, possibly none.
    Data(&'a [u8]),
}

/// Why bytes are not a pkt-line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum PktError {
    /// The first four bytes are not hexadecimal digits.
    #[error("a pkt-line begins with four bytes that are not hexadecimal digits")]
    NotHexadecimal,
    /// `0003`, or more than a pkt-line may hold.
    #[error("a pkt-line claims a length of {0}, which no pkt-line has")]
    Length(usize),
}

impl<'a> PktLine<'a> {
    /// The longest pkt-line, its length included.
    pub const LONGEST: usize = 65_520;

    /// The first pkt-line of `bytes` and how many bytes it takes; `None` if more bytes are needed to tell.
    ///
    /// # Errors
    /// [`PktError`] as soon as the bytes cannot begin a pkt-line, also before the rest of it is there.
    pub fn read(bytes: &'a [u8]) -> Result<Option<(Self, usize)>, PktError> {
        let digits = &bytes[..bytes.len().min(4)];
        if !digits.iter().all(u8::is_ascii_hexdigit) {
            return Err(PktError::NotHexadecimal);
        }
        if digits.len() < 4 {
            return Ok(None);
        }
        let length = digits.iter().fold(0, |length, digit| length * 16 + hexadecimal(*digit));
        match length {
            0 => Ok(Some((Self::Flush, 4))),
            1 => Ok(Some((Self::Delimiter, 4))),
            2 => Ok(Some((Self::ResponseEnd, 4))),
            3 => Err(PktError::Length(length)),
            _ if length > Self::LONGEST => Err(PktError::Length(length)),
            _ => Ok(bytes.get(4..length).map(|data| (Self::Data(data), length))),
        }
    }

    /// One packet of a side band (gitprotocol-pack, "side-band-64k").
    ///
    /// # Panics
    /// If the bytes are more than one packet can hold.
    pub fn side_band(band: u8, data: &[u8]) -> Vec<u8> {
        let mut line = Vec::with_capacity(data.len() + 5);
        Self::write(&[&[band], data].concat(), &mut line);
        line
    }

    /// Appends a pkt-line with these bytes.
    ///
    /// # Panics
    /// If the bytes are more than one pkt-line can hold: what is written here is our own and short.
    pub fn write(data: &[u8], out: &mut Vec<u8>) {
        let length = data.len() + 4;
        assert!(length <= Self::LONGEST, "{length} bytes do not fit into a pkt-line");
        out.extend_from_slice(format!("{length:04x}").as_bytes());
        out.extend_from_slice(data);
    }
}

fn hexadecimal(digit: u8) -> usize {
    char::from(digit).to_digit(16).map_or(0, |value| value as usize)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn special_lengths_have_their_meaning() {
        assert_eq!(PktLine::read(b"0000rest"), Ok(Some((PktLine::Flush, 4))));
        assert_eq!(PktLine::read(b"0001"), Ok(Some((PktLine::Delimiter, 4))));
        assert_eq!(PktLine::read(b"0002"), Ok(Some((PktLine::ResponseEnd, 4))));
        assert_eq!(PktLine::read(b"0003"), Err(PktError::Length(3)));
        assert_eq!(PktLine::read(b"0004"), Ok(Some((PktLine::Data(b""), 4))));
    }

    #[test]
    fn lying_lengths_are_found_before_anything_is_read() {
        assert_eq!(PktLine::read(b"fff1"), Err(PktError::Length(65_521)));
        assert_eq!(PktLine::read(b"ffff"), Err(PktError::Length(65_535)));
        assert_eq!(PktLine::read(b"fff0"), Ok(None));
        assert_eq!(PktLine::read(b"PACK"), Err(PktError::NotHexadecimal));
        assert_eq!(PktLine::read(b"00G"), Err(PktError::NotHexadecimal));
        assert_eq!(PktLine::read(b"+0 4"), Err(PktError::NotHexadecimal));
        assert_eq!(PktLine::read(b"00"), Ok(None));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(data in proptest::collection::vec(any::<u8>(), 0..1000), tail in any::<Vec<u8>>()) {
            let mut bytes = Vec::new();
            PktLine::write(&data, &mut bytes);
            let length = bytes.len();
            bytes.extend(tail);
            prop_assert_eq!(PktLine::read(&bytes), Ok(Some((PktLine::Data(&data), length))));
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = PktLine::read(&bytes);
        }
    }
}
