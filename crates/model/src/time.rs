//! Points in time on the wire: events carry whole seconds, Kafka records carry milliseconds.

use std::fmt;
use std::time::Duration;

use ::time::OffsetDateTime;
use ::time::format_description::well_known::Rfc3339;

/// Whole seconds since 1970-01-01T00:00:00Z: the unit of an event's `timestamp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochSeconds(pub i64);

/// Milliseconds since 1970-01-01T00:00:00Z: the unit of a Kafka record's timestamp and of our wall clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EpochMillis(pub i64);

impl EpochSeconds {
    /// 9999-12-31T23:59:59Z, the last second that a four-digit year can name.
    pub const MAX: Self = Self(253_402_300_799);

    /// The same point in milliseconds.
    #[must_use]
    pub const fn to_millis(self) -> EpochMillis {
        EpochMillis(self.0.saturating_mul(1000))
    }
}

impl EpochMillis {
    /// The second this point falls into.
    #[must_use]
    pub const fn to_seconds(self) -> EpochSeconds {
        EpochSeconds(self.0.div_euclid(1000))
    }

    /// This point plus `duration`, saturating.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This point minus `duration`, saturating.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// The time from `earlier` to this point, zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// The UTC date and time, clamped to years 0 to 9999.
    #[must_use]
    pub fn to_utc(self) -> OffsetDateTime {
        let clamped = self.0.clamp(0, EpochSeconds::MAX.to_millis().0);
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(clamped) * 1_000_000)
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

/// RFC 3339 in UTC, to the second: `2021-01-26T12:04:44Z`.
impl fmt::Display for EpochSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.to_millis().to_utc().format(&Rfc3339).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn milliseconds_before_the_epoch_fall_into_the_second_they_are_in() {
        assert_eq!(EpochMillis(-1).to_seconds(), EpochSeconds(-1));
        assert_eq!(EpochMillis(1999).to_seconds(), EpochSeconds(1));
    }

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(EpochMillis(i64::MAX).plus(Duration::MAX), EpochMillis(i64::MAX));
        assert_eq!(EpochMillis(5).since(EpochMillis(9)), Duration::ZERO);
    }

    #[test]
    fn seconds_print_as_rfc_3339() {
        assert_eq!(EpochSeconds(1_611_662_684).to_string(), "2021-01-26T12:04:44Z");
    }
}
