//! A moment, as the kernel sees it.

use core::time::Duration;

/// Whole milliseconds since 1970-01-01 UTC, without leap seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(pub i64);

/// A text that is no moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeError;

impl Timestamp {
    /// The first moment of a day of the Gregorian calendar, in UTC.
    pub const fn utc(year: i64, month: i64, day: i64) -> Self {
        Self(day_number(year, month, day) * 86_400_000)
    }

    /// The last moment that is written with four digits for the year, as most formats want it.
    pub const LAST: Self = Self(Self::utc(10_000, 1, 1).0 - 1);

    /// The moment this much later; the last one there is if that is too far.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(milliseconds(duration)))
    }

    /// The moment this much earlier; the first one there is if that is too far.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(milliseconds(duration)))
    }
}

/// Reads RFC 3339, `2026-07-28T06:15:00Z` or with an offset, also to the minute; and a day alone, which is its first
/// moment in UTC.
impl core::str::FromStr for Timestamp {
    type Err = TimeError;

    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (date, rest) = text.split_at_checked(10).ok_or(TimeError)?;
        let mut parts = date.split('-');
        let (year, month, day) = (digits(parts.next(), 4)?, digits(parts.next(), 2)?, digits(parts.next(), 2)?);
        let number = day_number(year, month, day);
        if parts.next().is_some() || civil(number) != (year, month, day) {
            return Err(TimeError);
        }
        let milliseconds = if rest.is_empty() { 0 } else { time_of_day(rest)? };
        Ok(Self(number * 86_400_000 + milliseconds))
    }
}

impl core::fmt::Display for TimeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("not a moment such as 2026-07-28 or 2026-07-28T06:15:00Z")
    }
}

impl core::error::Error for TimeError {}

/// Days and times as RFC 3339 writes them, in UTC and to the second: `2026-07-28T00:00:00Z`.
impl core::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let seconds = self.0.div_euclid(1000);
        let (day, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
        let (year, month, day) = civil(day);
        write!(f, "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
    }
}

fn milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// `T06:15:00Z`, `T06:15:00.5+02:00`, `T06:15Z`: milliseconds since the day began in UTC.
fn time_of_day(text: &str) -> Result<i64, TimeError> {
    let text = text.strip_prefix(['T', 't', ' ']).ok_or(TimeError)?;
    let zone = text.find(['Z', 'z', '+', '-']).ok_or(TimeError)?;
    let (clock, zone) = text.split_at(zone);
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, "0"));
    let mut parts = clock.split(':');
    let (hour, minute) = (digits(parts.next(), 2)?, digits(parts.next(), 2)?);
    let second = parts.next().map_or(Ok(0), |part| digits(Some(part), 2))?;
    let fits = parts.next().is_none() && hour < 24 && minute < 60 && second < 60;
    if !fits || fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(TimeError);
    }
    let milliseconds = (0..3)
        .fold(0, |sum, place| sum * 10 + fraction.as_bytes().get(place).map_or(0, |digit| i64::from(digit - b'0')));
    Ok((hour * 3600 + minute * 60 + second) * 1000 + milliseconds - offset(zone)?)
}

/// `Z`, `+02:00`: milliseconds that the clock is ahead of UTC.
fn offset(zone: &str) -> Result<i64, TimeError> {
    if zone.eq_ignore_ascii_case("z") {
        return Ok(0);
    }
    let (sign, clock) = zone.split_at_checked(1).ok_or(TimeError)?;
    let (hour, minute) = clock.split_once(':').ok_or(TimeError)?;
    let (hour, minute) = (digits(Some(hour), 2)?, digits(Some(minute), 2)?);
    if hour > 23 || minute > 59 {
        return Err(TimeError);
    }
    let milliseconds = (hour * 60 + minute) * 60_000;
    Ok(if sign == "-" { -milliseconds } else { milliseconds })
}

fn digits(text: Option<&str>, length: usize) -> Result<i64, TimeError> {
    let text = text.filter(|text| text.len() == length && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.ok_or(TimeError)?.parse().map_err(|_| TimeError)
}

/// The day's number, counted from 1970-01-01: the reverse of [`civil`].
const fn day_number(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, year_of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let month_from_march = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of a day counted from 1970-01-01, in the Gregorian calendar.
///
/// Counted in eras of 400 years that begin on 1 March, so that the leap day is the last day of its year.
fn civil(day: i64) -> (i64, i64, i64) {
    let day = day + 719_468;
    let (era, day_of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day_of_month = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day_of_month)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use std::string::ToString;

    use super::Timestamp;

    #[test]
    fn a_moment_is_written_as_rfc_3339_in_utc() {
        for (milliseconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (-1, "1969-12-31T23:59:59Z"),
            (951_782_399_000, "2000-02-28T23:59:59Z"),
            (951_782_400_000, "2000-02-29T00:00:00Z"),
            (1_785_196_800_999, "2026-07-28T00:00:00Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Timestamp(milliseconds).to_string(), text);
        }
    }
    #[test]
    fn a_moment_is_read_back_and_what_is_none_is_refused() {
        for text in ["1970-01-01T00:00:00Z", "2000-02-29T23:59:59Z", "2026-07-28T06:15:00Z", "9999-12-31T23:59:59Z"] {
            assert_eq!(text.parse::<Timestamp>().map(|at| at.to_string()), Ok(text.to_string()));
        }
        let quarter_past_six = "2026-07-28T06:15:00Z".parse();
        for text in
            ["2026-07-28T06:15Z", "2026-07-28T08:15:00+02:00", "2026-07-28t01:15:00-05:00", "2026-07-28 06:15:00z"]
        {
            assert_eq!(text.parse::<Timestamp>(), quarter_past_six, "{text}");
        }
        assert_eq!("2026-07-28".parse(), Ok(Timestamp::utc(2026, 7, 28)));
        assert_eq!("1970-01-01T00:00:00.25Z".parse(), Ok(Timestamp(250)));
        for text in [
            "",
            "2026-7-28",
            "2026-02-29",
            "2026-07-28T",
            "2026-07-28T06:15:00",
            "2026-07-28T24:00:00Z",
            "2026-07-28T06:15:00.Z",
            "2026-07-28Z",
            "2026-07-2é",
            "2026-07-28T06:15:00+2:00",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text}");
        }
    }
}
