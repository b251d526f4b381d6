//! Text in an address, where some letters stand as `%` and two digits (RFC 3986, section 2.1).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// A text with `%40` and the like as what they stand for; what is not UTF-8 becomes `�`.
pub fn percent_decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// The same as bytes, whatever they are.
pub fn percent_decoded_bytes(text: &str) -> Vec<u8> {
    percent_decode_str(text).collect()
}

/// A text as it stands in one part of an address: a slash in it is encoded, too.
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// Everything but what is unreserved (RFC 3986, section 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_comes_back_as_it_was() {
        assert_eq!(percent_encoded("a/b c@d.e~"), "a%2Fb%20c%40d.e~");
        for text in ["feature/ä=%", "", "%zz"] {
            assert_eq!(percent_decoded(&percent_encoded(text)), text);
        }
        assert_eq!(percent_decoded("100%"), "100%");
    }
}
