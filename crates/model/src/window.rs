//! One-minute tumbling windows, aligned to the epoch.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{Date, PrimitiveDateTime};

use crate::time::EpochSeconds;

const FORMAT: &[BorrowedFormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]");

/// The minute `[start, start + 60 s)`. Written as its start in UTC without a suffix: `2021-01-26T12:04:00`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Window {
    start: i64,
}

/// Text that is no window start.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no window start: write the minute as 2021-01-26T12:04:00")]
pub struct InvalidWindow(String);

impl Window {
    /// How long a window lasts, in seconds.
    pub const SECONDS: i64 = 60;

    /// The window that `time` falls into.
    #[must_use]
    pub const fn containing(time: EpochSeconds) -> Self {
        Self { start: time.0.saturating_sub(time.0.rem_euclid(Self::SECONDS)) }
    }

    /// The first second in it.
    #[must_use]
    pub const fn start(self) -> EpochSeconds {
        EpochSeconds(self.start)
    }

    /// The first second after it.
    #[must_use]
    pub const fn end(self) -> EpochSeconds {
        EpochSeconds(self.start.saturating_add(Self::SECONDS))
    }

    /// The UTC day that it starts on.
    #[must_use]
    pub fn day(self) -> Date {
        self.start().to_millis().to_utc().date()
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let utc = self.start().to_millis().to_utc();
        let text = PrimitiveDateTime::new(utc.date(), utc.time()).format(FORMAT).map_err(|_| fmt::Error)?;
        f.write_str(&text)
    }
}

impl FromStr for Window {
    type Err = InvalidWindow;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidWindow(text.to_owned());
        let start = PrimitiveDateTime::parse(text, FORMAT).map_err(|_| invalid())?;
        let start = start.assume_utc().unix_timestamp();
        let window = Self::containing(EpochSeconds(start));
        if window.start == start { Ok(window) } else { Err(invalid()) }
    }
}

impl Serialize for Window {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_readme_example_falls_into_its_minute() {
        let window = Window::containing(EpochSeconds(1_611_662_684));
        assert_eq!(window.to_string(), "2021-01-26T12:04:00");
        assert_eq!(window.end().0, 1_611_662_700);
    }

    #[test]
    fn a_start_off_the_minute_is_refused() {
        assert!("2021-01-26T12:04:01".parse::<Window>().is_err());
        assert!("2021-01-26T12:04:00Z".parse::<Window>().is_err());
    }

    proptest! {
        #[test]
        fn every_second_is_in_exactly_its_window(second in 0..EpochSeconds::MAX.0) {
            let window = Window::containing(EpochSeconds(second));
            prop_assert!(window.start().0 <= second && second < window.end().0);
            prop_assert_eq!(window.to_string().parse::<Window>().unwrap(), window);
        }
    }
}
