//! A span of time, as `--from` and `--to` give it.

use std::fmt;

use model::{EpochMillis, EpochSeconds, Window};
use time::Date;

use crate::verdict::Misused;

/// From a time on, up to another, that one left out. Either may be open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Span {
    from: Option<EpochSeconds>,
    to: Option<EpochSeconds>,
}

impl Span {
    /// The span of two options.
    pub(crate) fn new(from: Option<EpochSeconds>, to: Option<EpochSeconds>) -> Result<Self, Misused> {
        match (from, to) {
            (Some(from), Some(to)) if from >= to => Err(Misused("--to must be later than --from".to_owned())),
            _ => Ok(Self { from, to }),
        }
    }

    /// Whether it has no end and no beginning.
    pub(crate) fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// Whether `window` begins in it.
    pub(crate) fn has_start_of(&self, window: Window) -> bool {
        self.from.is_none_or(|from| window.start() >= from) && self.to.is_none_or(|to| window.start() < to)
    }

    /// Whether all of `window` is in it.
    pub(crate) fn covers(&self, window: Window) -> bool {
        self.from.is_none_or(|from| window.start() >= from) && self.to.is_none_or(|to| window.end() <= to)
    }

    /// Whether something of it lies between `first` and `last`, both included.
    pub(crate) fn meets(&self, first: EpochMillis, last: EpochMillis) -> bool {
        self.begins_by(last) && self.to.is_none_or(|to| first < to.to_millis())
    }

    /// Whether it has begun at `time`.
    pub(crate) fn begins_by(&self, time: EpochMillis) -> bool {
        self.from.is_none_or(|from| time >= from.to_millis())
    }

    /// Whether it has not ended at `time`.
    pub(crate) fn lasts_beyond(&self, time: EpochMillis) -> bool {
        self.to.is_none_or(|to| time < to.to_millis())
    }

    /// Whether something of it is in the day of the folder that the object `key` lies in. An object that lies in no
    /// day's folder may be of any day.
    pub(crate) fn meets_day_of(&self, key: &str) -> bool {
        let Some(day) = day(key) else { return true };
        let midnight = EpochSeconds(day.midnight().assume_utc().unix_timestamp());
        self.meets(midnight.to_millis(), EpochMillis(EpochSeconds(midnight.0 + 86_400).to_millis().0 - 1))
    }
}

/// The day in `…/dt=2021-01-26/…`.
fn day(key: &str) -> Option<Date> {
    let text = key.split('/').find_map(|folder| folder.strip_prefix("dt="))?;
    let mut parts = text.splitn(3, '-');
    let mut part = || parts.next();
    let (year, month, day) = (part()?.parse().ok()?, part()?.parse::<u8>().ok()?, part()?.parse().ok()?);
    Date::from_calendar_date(year, month.try_into().ok()?, day).ok()
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |time: EpochSeconds| {
            let utc = time.to_millis().to_utc();
            let (hour, minute, second) = utc.to_hms();
            format!("{}T{hour:02}:{minute:02}:{second:02}Z", utc.date())
        };
        match (self.from, self.to) {
            (None, None) => f.write_str("all times"),
            (Some(from), None) => write!(f, "times from {} on", text(from)),
            (None, Some(to)) => write!(f, "times before {}", text(to)),
            (Some(from), Some(to)) => write!(f, "times from {} to {}", text(from), text(to)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(text: &str) -> Window {
        text.parse().unwrap()
    }

    fn span(from: &str, to: &str) -> Span {
        Span::new(Some(window(from).start()), Some(window(to).start())).unwrap()
    }

    #[test]
    fn a_span_is_from_inclusive_to_exclusive() {
        let span = span("2021-01-26T12:04:00", "2021-01-26T12:06:00");
        for (minute, inside) in [
            ("2021-01-26T12:03:00", false),
            ("2021-01-26T12:04:00", true),
            ("2021-01-26T12:05:00", true),
            ("2021-01-26T12:06:00", false),
        ] {
            assert_eq!((span.covers(window(minute)), span.has_start_of(window(minute))), (inside, inside));
        }
        assert_eq!(span.to_string(), "times from 2021-01-26T12:04:00Z to 2021-01-26T12:06:00Z");
    }

    #[test]
    fn a_minute_that_is_cut_off_is_not_covered() {
        let half = Span::new(None, Some(EpochSeconds(90))).unwrap();
        let cut = Window::containing(EpochSeconds(60));
        assert!(half.has_start_of(cut) && !half.covers(cut));
    }

    #[test]
    fn what_touches_it_meets_it() {
        let span = Span::new(Some(EpochSeconds(10)), Some(EpochSeconds(20))).unwrap();
        for (first, last, meets) in
            [(0, 9_999, false), (0, 10_000, true), (12_000, 13_000, true), (19_999, 30_000, true)]
        {
            assert_eq!(span.meets(EpochMillis(first), EpochMillis(last)), meets, "{first} {last}");
        }
        assert!(!span.meets(EpochMillis(20_000), EpochMillis(30_000)));
        assert!(span.lasts_beyond(EpochMillis(19_999)) && !span.lasts_beyond(EpochMillis(20_000)));
        assert!(Span::default().is_all() && Span::default().meets(EpochMillis(0), EpochMillis(0)));
    }

    #[test]
    fn a_span_that_ends_before_it_begins_is_wrong_usage() {
        assert!(Span::new(Some(EpochSeconds(2)), Some(EpochSeconds(2))).is_err());
    }

    #[test]
    fn folders_of_other_days_do_not_meet_it() {
        let span = span("2021-01-26T23:59:00", "2021-01-28T00:00:00");
        for (key, meets) in [
            ("aggregates/dt=2021-01-25/x.ndjson.gz", false),
            ("aggregates/dt=2021-01-26/x.ndjson.gz", true),
            ("late/dt=2021-01-27/x.ndjson.gz", true),
            ("late/dt=2021-01-28/x.ndjson.gz", false),
            ("late/dt=someday/x.ndjson.gz", true),
        ] {
            assert_eq!(span.meets_day_of(key), meets, "{key}");
        }
    }
}
