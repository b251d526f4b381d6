//! Ranges of addresses as people write them: `10.0.0.0/8, 2001:db8::/32, 192.0.2.1`.

use std::net::IpAddr;

use doorward_rules::IpNet;
use thiserror::Error;

/// A text that is no list of ranges.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not an address or range such as 10.0.0.0/8, 192.0.2.1 or 2001:db8::/32")]
pub struct RangeError(String);

/// Reads ranges with commas or spaces between them. An address alone is a range of one; bits beyond a range's length do
/// not count; an IPv4 address that is written as an IPv6 one is the IPv4 address.
///
/// # Errors
/// [`RangeError`] with the first part that is none.
pub fn parse_ranges(text: &str) -> Result<Vec<IpNet>, RangeError> {
    let parts = text.split([',', ' ']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| range(part).ok_or_else(|| RangeError(part.chars().take(100).collect()))).collect()
}

fn range(text: &str) -> Option<IpNet> {
    let range = match text.parse::<IpNet>() {
        Ok(range) => range.trunc(),
        Err(_) => text.parse::<IpAddr>().ok()?.into(),
    };
    match (range.addr().to_canonical(), range.prefix_len()) {
        (IpAddr::V4(address), length @ 96..) if range.addr().is_ipv6() => IpNet::new(address.into(), length - 96).ok(),
        _ => Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::parse_ranges;

    #[test]
    fn ranges_are_read_as_people_write_them() {
        let read = |text: &str| {
            parse_ranges(text).map(|ranges| ranges.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "))
        };
        for (text, ranges) in [
            ("", ""),
            ("10.0.0.0/8,::1", "10.0.0.0/8 ::1/128"),
            (" 192.0.2.7/24 , 2001:DB8::/32 ", "192.0.2.0/24 2001:db8::/32"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("0.0.0.0/0 ::/0", "0.0.0.0/0 ::/0"),
        ] {
            assert_eq!(read(text), Ok(ranges.to_owned()), "{text}");
        }
        for text in ["10.0.0.300", "10.0.0.0/33", "::/129", "example.org", "10.0.0.0-10.0.0.9", "10"] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
