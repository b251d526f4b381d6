//! Lengths of time as people type them: `45s`, `30m`, `12h`, `30d`, `2w`, `1y`.

use std::time::Duration;

use thiserror::Error;

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{0}` is not a length of time such as 45s, 30m, 12h, 30d, 2w or 1y")]
pub struct DurationError(String);

/// Reads a whole number and a unit; a year is 365 days.
///
/// # Errors
/// [`DurationError`] for anything else, also for a number too large to count in seconds.
pub fn parse_duration(text: &str) -> Result<Duration, DurationError> {
    let error = || DurationError(text.chars().take(100).collect());
    let unit = text.chars().last().ok_or_else(error)?;
    let seconds: u64 = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        'w' => 7 * 86_400,
        'y' => 365 * 86_400,
        _ => return Err(error()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| error())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_with_a_unit_are_lengths_of_time() {
        assert_eq!(parse_duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("30d"), Ok(Duration::from_secs(30 * 86_400)));
        assert_eq!(parse_duration("1y"), parse_duration("365d"));
        for text in ["", "d", "30", "-1d", "1.5h", "30 d", "9999999999d", "3ä"] {
            assert!(parse_duration(text).is_err(), "{text:?}");
        }
    }
}
