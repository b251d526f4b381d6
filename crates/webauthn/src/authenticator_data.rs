//! What the authenticator says of itself (§6.1).

use minicbor::Decoder;

use crate::{PasskeyError, PublicKey};

/// What the authenticator says.
#[derive(Debug)]
pub(crate) struct AuthenticatorData<'a> {
    pub(crate) party_hash: [u8; 32],
    flags: u8,
    pub(crate) counter: u32,
    /// The passkey that was made, if one was.
    pub(crate) made: Option<(&'a [u8], PublicKey)>,
}

const UNREADABLE: PasskeyError = PasskeyError::Unreadable("what the authenticator says is cut off");

impl<'a> AuthenticatorData<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, PasskeyError> {
        let (party_hash, rest) = bytes.split_first_chunk::<32>().ok_or(UNREADABLE)?;
        let (&[flags], rest) = rest.split_first_chunk::<1>().ok_or(UNREADABLE)?;
        let (counter, rest) = rest.split_first_chunk::<4>().ok_or(UNREADABLE)?;
        let mut data = Self { party_hash: *party_hash, flags, counter: u32::from_be_bytes(*counter), made: None };
        if data.is(ATTESTED) {
            // Which model it is, is not asked.
            let (_, rest) = rest.split_first_chunk::<16>().ok_or(UNREADABLE)?;
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(UNREADABLE)?;
            let length = usize::from(u16::from_be_bytes(*length));
            if length == 0 || length > LONGEST_ID {
                return Err(PasskeyError::Unreadable("its id is too long, or empty"));
            }
            let (id, rest) = rest.split_at_checked(length).ok_or(UNREADABLE)?;
            data.made = Some((id, PublicKey::decode(&mut Decoder::new(rest))?));
        }
        Ok(data)
    }

    /// Whether somebody was there.
    pub(crate) fn user_present(&self) -> bool {
        self.is(PRESENT)
    }

    /// Whether the authenticator made sure who that was: by a PIN, a finger, a face.
    pub(crate) fn user_verified(&self) -> bool {
        self.is(VERIFIED)
    }

    /// Whether its owner has it on other devices, too.
    pub(crate) fn backed_up(&self) -> bool {
        self.is(BACKED_UP)
    }

    fn is(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}

const PRESENT: u8 = 1;
const VERIFIED: u8 = 1 << 2;
const BACKED_UP: u8 = 1 << 4;
const ATTESTED: u8 = 1 << 6;
/// Bytes of an id (§4).
const LONGEST_ID: usize = 1023;
