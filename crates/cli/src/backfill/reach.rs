//! The minutes that are counted again, and in which ranges their events and rows can lie.

use std::time::Duration;

use aggregator::windows::CLOCK_TOLERANCE;
use model::{EpochSeconds, Window};
use s3_sink::ledger::{Content, Entry};

use crate::span::Span;
use crate::verdict::Misused;

/// What has to be read for a span of minutes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reach {
    /// The minutes.
    pub(super) span: Span,
    /// How far events may be ahead of their ingestion.
    margin: Duration,
    /// Events that were ingested later are left out.
    pub(super) until: Option<EpochSeconds>,
}

impl Reach {
    /// The minutes that start in `[from, to)`.
    ///
    /// # Errors
    /// When there are none, or parts of some, or they have not all begun `now`.
    pub(super) fn new(
        (from, to): (EpochSeconds, EpochSeconds),
        until: Option<EpochSeconds>,
        max_future_skew: Duration,
        now: EpochSeconds,
    ) -> Result<Self, Misused> {
        let is_whole = |time: EpochSeconds| Window::containing(time).start() == time;
        if !is_whole(from) || !is_whole(to) {
            return Err(Misused(
                "--from and --to are whole minutes, as windows begin and end with them".to_owned(),
            ));
        }
        if to > now {
            return Err(Misused(format!(
                "--to {to} lies ahead: only minutes that are over can be counted again"
            )));
        }
        let span = Span::new(Some(from), Some(to))?;
        Ok(Self { span, margin: max_future_skew + CLOCK_TOLERANCE, until })
    }

    /// Whether a range of events, or of dead letters, may have something of these minutes: nobody knows how late an event
    /// may come.
    pub(super) fn reads(&self, entry: &Entry) -> bool {
        let Content::Written(written) = &entry.content else { return false };
        self.span.begins_by(written.last_timestamp.plus(self.margin))
            && self.until.is_none_or(|until| written.first_timestamp < until.to_millis())
    }
}

#[cfg(test)]
mod tests {
    use s3_sink::ledger::{Recipe, Written};

    use super::*;

    const NOON: i64 = 1_795_521_600;

    fn reach(from: i64, to: i64, until: Option<i64>) -> Result<Reach, Misused> {
        let time = |second| EpochSeconds(NOON + second);
        Reach::new((time(from), time(to)), until.map(time), Duration::from_secs(300), time(7200))
    }

    fn range(first: i64, last: i64) -> Entry {
        let time = |second| EpochSeconds(NOON + second).to_millis();
        let written = Written {
            recipe: Recipe { format: "ndjson.gz".to_owned(), layout: 1, rules: 1 },
            records: 0,
            first_timestamp: time(first),
            last_timestamp: time(last),
            objects: vec![],
        };
        let content = Content::Written(written);
        Entry { topic: "pageviews".to_owned(), partition: 0, start: 0, end: 1, content }
    }

    #[test]
    fn only_whole_minutes_that_are_over_can_be_counted() {
        assert!(reach(0, 3600, None).is_ok());
        for (from, to) in [(0, 0), (60, 0), (30, 120), (0, 90), (0, 7260)] {
            assert!(reach(from, to, None).is_err(), "{from} {to}");
        }
    }

    #[test]
    fn an_event_may_have_come_a_little_before_its_minute_and_long_after() {
        let all = reach(0, 3600, None).unwrap();
        let until = reach(0, 3600, Some(3700)).unwrap();
        for (first, last, reads, reads_until) in [
            (-900, -361, false, false),
            (-900, -360, true, true),
            (10, 20, true, true),
            (3699, 9000, true, true),
            (3700, 9000, true, false),
        ] {
            let range = range(first, last);
            assert_eq!((all.reads(&range), until.reads(&range)), (reads, reads_until), "{first} {last}");
            let lost = Entry { content: Content::Lost, ..range };
            assert!(!all.reads(&lost));
        }
    }
}
