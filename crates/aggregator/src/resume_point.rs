//! What is committed with a partition's offset, in the commit's metadata.
//!
//! The committed offset `P` is the first record that an open window still needs; the metadata says how far the
//! output has come. With windows open and three dead letters so far:
//! ```text
#![doc = include_str!("../fixtures/resume-point.txt")]
//! ```
//! Before any event moved stream time:
//! ```text
#![doc = include_str!("../fixtures/resume-point-unset.txt")]
//! ```
//! After the memory valve has written counts early, it says how many rows that were:
//! ```text
#![doc = include_str!("../fixtures/resume-point-partial.txt")]
//! ```
//! Where `pipeline.max_future_skew` is not its default, it is said, too; and after a change, which records the earlier
//! setting decides about:
//! ```text
#![doc = include_str!("../fixtures/resume-point-skew.txt")]
//! ```
//! A version that is not `v1` belongs to another program and must not be guessed at, and neither must a field that is
//! not known: an older version of this program stops at what a newer one wrote.

use std::fmt;
use std::iter::Peekable;
use std::str::{FromStr, Split};
use std::time::Duration;

use model::{EpochMillis, EpochSeconds};

use crate::windows::Guard;

/// How far a partition's output has come. Offsets are the next to read, times on the wire are in milliseconds, `-`
/// is unset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResumePoint {
    /// Every record below is in the output already, or counted in an open window.
    pub next: i64,
    /// The highest end of a closed window.
    pub closed: Option<EpochSeconds>,
    /// Stream time: the highest of each record's earlier one of event time and record timestamp.
    pub time: Option<EpochMillis>,
    /// Open windows' records below are in the output as partial counts; zero if there are none to read again.
    pub flushed: i64,
    /// Events counted in open windows, not in the output yet.
    pub open: u64,
    /// Repeated events dropped in this partition so far.
    pub repeats: u64,
    /// Dead letters written for this partition so far.
    pub dead: u64,
    /// Rows of counts that the memory valve has written early for this partition so far.
    pub partial: u64,
    /// How far ahead of their records events may be.
    pub guard: Guard,
}

/// Commit metadata that is no resume point of this version.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidResumePoint {
    /// Another version of this program, or another program, wrote it.
    #[error("{0:?} is no resume point of version v1")]
    Version(String),
    /// The version is right, but a field is missing, wrong or too many.
    #[error("{metadata:?} has no valid {field:?} in its place")]
    Field {
        /// The metadata as it was found.
        metadata: String,
        /// The field at fault.
        field: &'static str,
    },
}

impl ResumePoint {
    /// Where a partition stands whose commit has no metadata: nothing is known but the offset itself.
    #[must_use]
    pub const fn at(offset: i64) -> Self {
        Self {
            next: offset,
            closed: None,
            time: None,
            flushed: 0,
            open: 0,
            repeats: 0,
            dead: 0,
            partial: 0,
            guard: Guard::of(Guard::DEFAULT_SKEW),
        }
    }
}

impl fmt::Display for ResumePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let closed = Unset(self.closed.map(|end| end.to_millis().0));
        let time = Unset(self.time.map(|time| time.0));
        let Self { next, flushed, open, repeats, dead, .. } = self;
        write!(
            f,
            "v1 next={next} closed={closed} time={time} flushed={flushed} open={open} repeats={repeats} dead={dead}"
        )?;
        if self.partial > 0 {
            write!(f, " partial={}", self.partial)?;
        }
        if self.guard.skew != Guard::DEFAULT_SKEW {
            write!(f, " skew={}", self.guard.skew.as_millis())?;
        }
        match self.guard.earlier {
            Some((end, skew)) => write!(f, " skew-below={end}:{}", skew.as_millis()),
            None => Ok(()),
        }
    }
}

impl FromStr for ResumePoint {
    type Err = InvalidResumePoint;

    fn from_str(metadata: &str) -> Result<Self, Self::Err> {
        let Some(fields) = metadata.strip_prefix("v1 ") else {
            return Err(InvalidResumePoint::Version(metadata.to_owned()));
        };
        let mut fields = Fields { metadata, rest: fields.split(' ').peekable() };
        let point = Self {
            next: fields.number("next")?,
            closed: fields.time("closed")?.map(EpochMillis::to_seconds),
            time: fields.time("time")?,
            flushed: fields.number("flushed")?,
            open: fields.number("open")?,
            repeats: fields.number("repeats")?,
            dead: fields.number("dead")?,
            partial: fields.optional_number("partial")?.unwrap_or(0),
            guard: Guard {
                skew: fields.optional_number("skew")?.map_or(Guard::DEFAULT_SKEW, Duration::from_millis),
                earlier: fields.skew_below()?,
            },
        };
        if fields.rest.next().is_some() { Err(fields.invalid("dead")) } else { Ok(point) }
    }
}

/// The fields of one metadata text, in their order.
struct Fields<'a> {
    metadata: &'a str,
    rest: Peekable<Split<'a, char>>,
}

impl<'a> Fields<'a> {
    fn value(&mut self, field: &'static str) -> Result<&'a str, InvalidResumePoint> {
        let value = self.rest.next().and_then(|text| text.strip_prefix(field)?.strip_prefix('='));
        value.ok_or_else(|| self.invalid(field))
    }

    fn number<N: TryFrom<u64>>(&mut self, field: &'static str) -> Result<N, InvalidResumePoint> {
        let value = self.value(field)?.parse::<u64>().ok().and_then(|number| N::try_from(number).ok());
        value.ok_or_else(|| self.invalid(field))
    }

    fn time(&mut self, field: &'static str) -> Result<Option<EpochMillis>, InvalidResumePoint> {
        match self.value(field)? {
            "-" => Ok(None),
            millis => millis.parse().map(|millis| Some(EpochMillis(millis))).map_err(|_| self.invalid(field)),
        }
    }

    /// A field that may be left out.
    fn optional(&mut self, field: &'static str) -> Option<&'a str> {
        let value = self.rest.peek()?.strip_prefix(field)?.strip_prefix('=')?;
        self.rest.next();
        Some(value)
    }

    fn optional_number(&mut self, field: &'static str) -> Result<Option<u64>, InvalidResumePoint> {
        let Some(value) = self.optional(field) else { return Ok(None) };
        value.parse().map(Some).map_err(|_| self.invalid(field))
    }

    fn skew_below(&mut self) -> Result<Option<(i64, Duration)>, InvalidResumePoint> {
        let Some(value) = self.optional("skew-below") else { return Ok(None) };
        let parsed = value.split_once(':').and_then(|(end, skew)| Some((end.parse().ok()?, millis(skew)?)));
        parsed.map(Some).ok_or_else(|| self.invalid("skew-below"))
    }

    fn invalid(&self, field: &'static str) -> InvalidResumePoint {
        InvalidResumePoint::Field { metadata: self.metadata.to_owned(), field }
    }
}

fn millis(text: &str) -> Option<Duration> {
    text.parse().ok().map(Duration::from_millis)
}

/// A number, or `-` where there is none yet.
struct Unset(Option<i64>);

impl fmt::Display for Unset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(number) => number.fmt(f),
            None => f.write_str("-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_fixtures_are_read_and_written_to_the_byte() {
        let full = ResumePoint {
            next: 4711,
            closed: Some(EpochSeconds(1_611_662_640)),
            time: Some(EpochMillis(1_611_662_714_250)),
            flushed: 0,
            open: 42,
            repeats: 0,
            dead: 3,
            partial: 0,
            guard: Guard::of(Guard::DEFAULT_SKEW),
        };
        let partial = ResumePoint { flushed: 4700, open: 2, partial: 17, ..full };
        let skew = ResumePoint {
            guard: Guard { skew: Duration::from_secs(60), earlier: Some((4700, Duration::from_secs(120))) },
            ..full
        };
        let unset = ResumePoint { dead: 1, ..ResumePoint::at(17) };
        for (point, fixture) in [
            (full, include_str!("../fixtures/resume-point.txt")),
            (partial, include_str!("../fixtures/resume-point-partial.txt")),
            (skew, include_str!("../fixtures/resume-point-skew.txt")),
            (unset, include_str!("../fixtures/resume-point-unset.txt")),
        ] {
            assert_eq!(point.to_string(), fixture.trim_end());
            assert_eq!(fixture.trim_end().parse(), Ok(point));
        }
    }

    /// Taken from a real group, which the binaries of commit 7b53689 had committed for. Never changed.
    #[test]
    fn what_release_0_1_committed_is_read_and_would_be_written_the_same() {
        let committed = include_str!("../fixtures/v1/resume-points.txt");
        let points: Vec<ResumePoint> = committed.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(
            points.iter().map(|point| (point.next, point.dead)).collect::<Vec<_>>(),
            [(81, 9), (36, 0)]
        );
        assert!(points.iter().map(ToString::to_string).eq(committed.lines()));
    }

    #[test]
    fn what_others_wrote_is_refused() {
        for metadata in ["", "v2 next=1", "NO_METADATA", "v1"] {
            let error = metadata.parse::<ResumePoint>().unwrap_err();
            assert_eq!(error, InvalidResumePoint::Version(metadata.to_owned()));
        }
        let fixture = include_str!("../fixtures/resume-point.txt").trim_end();
        for (metadata, field) in [
            (fixture.replace("next=4711", "next=-1"), "next"),
            (fixture.replace(" closed=1611662640000", ""), "closed"),
            (fixture.replace("open=42", "open=many"), "open"),
            (fixture.replace(" dead=3", ""), "dead"),
            (format!("{fixture} more=1"), "dead"),
            (format!("{fixture} partial=some"), "partial"),
            (format!("{fixture} skew=1s"), "skew"),
            (format!("{fixture} skew-below=7"), "skew-below"),
        ] {
            let error = metadata.parse::<ResumePoint>().unwrap_err();
            assert_eq!(error, InvalidResumePoint::Field { metadata, field });
        }
    }

    proptest! {
        #[test]
        fn every_point_survives_the_round_trip_far_below_the_brokers_limit(
            next in 0..=i64::MAX,
            closed in proptest::option::of(0..=EpochSeconds::MAX.0),
            time in proptest::option::of(any::<i64>()),
            flushed in 0..=i64::MAX,
            (open, repeats, dead, partial) in any::<(u64, u64, u64, u64)>(),
            skew in any::<u64>(),
            earlier in proptest::option::of((0..=i64::MAX, any::<u64>())),
        ) {
            let earlier = earlier.map(|(end, skew)| (end, Duration::from_millis(skew)));
            let guard = Guard { skew: Duration::from_millis(skew), earlier };
            let (closed, time) = (closed.map(EpochSeconds), time.map(EpochMillis));
            let point = ResumePoint { next, closed, time, flushed, open, repeats, dead, partial, guard };
            let metadata = point.to_string();
            prop_assert!(metadata.is_ascii() && metadata.len() < 512);
            prop_assert_eq!(metadata.parse(), Ok(point));
        }
    }
}
