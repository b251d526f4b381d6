//! What the browser says of the question that a passkey has answered (§5.8.1).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::{Party, PasskeyError};

/// What a passkey is asked to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ceremony {
    /// To be made.
    Create,
    /// To show that it is there.
    Get,
}

/// What the browser says of the question.
#[derive(Debug)]
pub struct ClientData {
    pub(crate) ceremony: Ceremony,
    /// The challenge that was answered. Whoever gave it out has to know it again.
    pub challenge: Vec<u8>,
    pub(crate) hash: [u8; 32],
}

#[derive(Deserialize)]
struct Said {
    #[serde(rename = "type")]
    kind: String,
    challenge: String,
    origin: String,
    #[serde(default, rename = "crossOrigin")]
    cross_origin: bool,
}

impl ClientData {
    /// Reads it, and makes sure that it is about this ceremony at this server.
    ///
    /// # Errors
    /// [`PasskeyError`] if it is not.
    pub fn read(json: &[u8], ceremony: Ceremony, party: &Party) -> Result<Self, PasskeyError> {
        if json.len() > LONGEST {
            return Err(PasskeyError::Unreadable("it is too long"));
        }
        let said: Said =
            serde_json::from_slice(json).map_err(|_| PasskeyError::Unreadable("it is no JSON of the right form"))?;
        let kind = match ceremony {
            Ceremony::Create => "webauthn.create",
            Ceremony::Get => "webauthn.get",
        };
        if said.kind != kind {
            return Err(PasskeyError::Elsewhere("another ceremony"));
        }
        if said.origin != party.origin() || said.cross_origin {
            return Err(PasskeyError::Elsewhere("another site"));
        }
        let challenge = URL_SAFE_NO_PAD
            .decode(said.challenge)
            .map_err(|_| PasskeyError::Unreadable("the challenge is no base 64"))?;
        Ok(Self { ceremony, challenge, hash: Sha256::digest(json).into() })
    }
}

/// Bytes of it.
const LONGEST: usize = 16 * 1024;
