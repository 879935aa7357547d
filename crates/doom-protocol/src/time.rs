//! Instants as they travel: RFC 3339, UTC, always six digits of a second.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z. On the wire `2026-01-02T03:04:05.123456Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From the system's clock; an instant outside of the years 1970 to 9999 is clamped to them.
    #[must_use]
    pub fn from_system(time: std::time::SystemTime) -> Self {
        let since = time.duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_micros()).unwrap_or(i64::MAX).min(253_402_300_799_999_999))
    }

    /// Now, by the system's clock.
    #[must_use]
    pub fn now() -> Self {
        Self::from_system(std::time::SystemTime::now())
    }

    /// So many microseconds since 1970.
    #[must_use]
    pub fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn as_micros(self) -> i64 {
        self.0
    }
}

/// One past the last microsecond of the year 9999.
const END: i64 = 253_402_300_800_000_000;

impl std::str::FromStr for Timestamp {
    type Err = String;
    fn from_str(s: &str) -> Result<Self, String> {
        s.parse::<jiff::Timestamp>().map(|t| Self(t.as_microsecond())).map_err(|e| format!("{s:?} is no time (RFC 3339): {e}"))
    }
}

impl Timestamp {
    /// The wire's text. By hand, since it is written three times for every event: a general calendar takes ten times as long.
    /// `None` before 1970 and after 9999.
    fn text(self) -> Option<[u8; 27]> {
        let micros = u64::try_from(self.0).ok().filter(|_| self.0 < END)?;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = date(days);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        let fields =
            [(0..4, year), (5..7, month), (8..10, day), (11..13, second / 3600), (14..16, second / 60 % 60), (17..19, second % 60)];
        for (place, mut number) in fields.into_iter().chain([(20..26, micros)]) {
            for digit in text.get_mut(place)?.iter_mut().rev() {
                *digit = b'0' + (number % 10) as u8;
                number /= 10;
            }
        }
        Some(text)
    }
}

/// Year, month and day of a day since 1970-01-01, in the calendar of today: years begin in March, so that the leap day is their last,
/// and 400 of them are an era of 146,097 days.
fn date(days: u64) -> (u64, u64, u64) {
    // From 0000-03-01.
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(text) = self.text() {
            return f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?);
        }
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(t) => write!(f, "{t:.6}"),
            Err(_) => Err(fmt::Error),
        }
    }
}

impl Serialize for Timestamp {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        match self.text().as_ref().and_then(|text| std::str::from_utf8(text).ok()) {
            Some(text) => s.serialize_str(text),
            None => s.collect_str(self),
        }
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        jiff::Timestamp::deserialize(d).map(|t| Self(t.as_microsecond()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_digits_even_on_a_whole_second() {
        let t = Timestamp(1_767_323_045_000_000);
        assert_eq!(t.to_string(), "2026-01-02T03:04:05.000000Z");
        assert_eq!(serde_json::from_str::<Timestamp>("\"2026-01-02T03:04:05Z\"").unwrap(), t);
    }

    #[test]
    fn every_day_is_written_as_the_calendar_has_it() {
        // Each day of the years 1970 to 2400, at a time of day that moves on, and the ends of what the other calendar can write.
        let days = (0..157_054i64).map(|day| day * 86_400_000_000 + day * 549_755_813 % 86_400_000_000);
        for micros in days.chain([0, 86_399_999_999, 253_402_207_200_000_000]) {
            let expected = format!("{:.6}", jiff::Timestamp::from_microsecond(micros).unwrap());
            assert_eq!(Timestamp(micros).to_string(), expected);
        }
        assert_eq!(Timestamp(END - 1).to_string(), "9999-12-31T23:59:59.999999Z");
        assert_eq!(Timestamp(-1).to_string(), "1969-12-31T23:59:59.999999Z");
    }
}
