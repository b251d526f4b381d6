//! Codes of authenticator apps (RFC 6238): six digits by SHA-1, a new one every 30 seconds, as all apps make them.

use doorward_rules::Timestamp;
use qrcodegen::{QrCode, QrCodeEcc};
use secrecy::{ExposeSecret, SecretSlice, SecretString};
use subtle::ConstantTimeEq;
use totp_rs::{Algorithm, Secret, TOTP};

/// A new secret.
pub(super) fn new_secret() -> SecretSlice<u8> {
    let mut secret = vec![0; 20];
    getrandom::fill(&mut secret).expect("the operating system gives random bytes");
    secret.into()
}

/// A secret, as people type it into an app.
pub(super) fn key(secret: &SecretSlice<u8>) -> SecretString {
    Secret::Raw(secret.expose_secret().to_vec()).to_encoded().to_string().into()
}

/// What an app reads from a picture: whose secret it is, and where.
pub(super) fn picture(secret: &SecretSlice<u8>, account: &str, host: &str) -> Option<QrCode> {
    let (key, account) = (key(secret), doorward_wire::percent_encoded(account));
    let host = doorward_wire::percent_encoded(host);
    let address =
        format!("otpauth://totp/Doorward%20{host}:{account}?secret={}&issuer=Doorward%20{host}", key.expose_secret());
    QrCode::encode_text(&address, QrCodeEcc::Medium).ok()
}

/// The number of the moment of a code, if it is one of now, or of 30 seconds before or after: clocks differ.
pub(super) fn step_of(secret: &SecretSlice<u8>, code: &str, now: Timestamp) -> Option<i64> {
    let code: String = code.chars().filter(|letter| !letter.is_whitespace()).collect();
    let totp = TOTP::new(Algorithm::SHA1, 6, 0, STEP, secret.expose_secret().to_vec()).ok()?;
    let present = now.0.div_euclid(1000).unsigned_abs() / STEP;
    let is = |step: u64| bool::from(totp.generate(step * STEP).as_bytes().ct_eq(code.as_bytes()));
    let found = [present, present.saturating_sub(1), present + 1].into_iter().filter(|step| is(*step)).max();
    found.and_then(|step| i64::try_from(step).ok())
}

const STEP: u64 = 30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_rfc_6238_for_a_minute_and_a_half() {
        let secret: SecretSlice<u8> = b"12345678901234567890".to_vec().into();
        // Appendix B, the last six digits.
        for (seconds, code) in [(59, "287082"), (1_111_111_109, "081804"), (1_234_567_890, "005924")] {
            let at = |offset: i64| Timestamp((seconds + offset) * 1000);
            assert_eq!(step_of(&secret, code, at(0)), Some(seconds / 30));
            assert_eq!(step_of(&secret, code, at(30)), Some(seconds / 30));
            assert_eq!(step_of(&secret, code, at(90)), None);
        }
        assert_eq!(step_of(&secret, "28 70 82", Timestamp(59_000)), Some(1));
        assert_eq!(step_of(&secret, "", Timestamp(59_000)), None);
        assert_eq!(key(&secret).expose_secret(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
