//! How far an event may be ahead of its own record, over a change of that setting.

use std::time::Duration;

use model::{EpochMillis, EpochSeconds};

/// On top of the setting: the HTTP check runs a little before the record gets its timestamp, and on another clock.
/// What one of our own services let in must never become a dead letter.
pub const CLOCK_TOLERANCE: Duration = Duration::from_secs(60);

/// Refuses events too far ahead of their record. Both times are in the record, so a replay decides the same; for as
/// long as records are replayed that an earlier setting decided about, it goes on deciding about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// How far an event may be ahead.
    pub skew: Duration,
    /// Records below this offset are decided by an earlier setting.
    pub earlier: Option<(i64, Duration)>,
}

impl Guard {
    /// The default of `pipeline.max_future_skew`: what holds where a resume point says nothing.
    pub const DEFAULT_SKEW: Duration = Duration::from_secs(300);

    /// One setting for all records.
    #[must_use]
    pub const fn of(skew: Duration) -> Self {
        Self { skew, earlier: None }
    }

    /// The guard of a partition that is read again from `offset`, and for the first time from `next`, under a setting
    /// of `skew`. Of two changes in a row the second waits until nothing is left that the first one concerns.
    pub(super) fn adopt(self, skew: Duration, offset: i64, next: i64) -> Self {
        let this = self.needed_from(offset);
        if this.skew == skew || this.earlier.is_some() {
            return this;
        }
        Self { skew, earlier: Some((next, this.skew)) }.needed_from(offset)
    }

    /// Without what only concerns records below `offset`.
    pub(super) fn needed_from(self, offset: i64) -> Self {
        Self { earlier: self.earlier.filter(|(end, _)| offset < *end), ..self }
    }

    /// Whether the event of the record at `offset` is too far ahead.
    pub(super) fn refuses(
        self,
        offset: i64,
        event_time: EpochSeconds,
        record_timestamp: EpochMillis,
    ) -> bool {
        let skew = match self.earlier {
            Some((end, earlier)) if offset < end => earlier,
            _ => self.skew,
        };
        event_time.to_millis() > record_timestamp.plus(skew).plus(CLOCK_TOLERANCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: Duration = Duration::from_secs(1);
    const B: Duration = Duration::from_secs(2);
    const C: Duration = Duration::from_secs(3);

    #[test]
    fn a_change_concerns_new_records_only_and_one_change_waits_for_the_other() {
        let changed = Guard::of(A).adopt(B, 10, 20);
        assert_eq!(changed, Guard { skew: B, earlier: Some((20, A)) });
        assert_eq!(changed.adopt(C, 15, 30), changed, "records below 20 are still read again");
        assert_eq!(changed.adopt(C, 20, 30), Guard { skew: C, earlier: Some((30, B)) });
        assert_eq!(Guard::of(A).adopt(B, 20, 20), Guard::of(B), "nothing is read again");
    }

    #[test]
    fn a_record_is_decided_by_the_setting_of_its_time() {
        let guard = Guard { skew: A, earlier: Some((20, C)) };
        let ahead = |offset| guard.refuses(offset, EpochSeconds(62), EpochMillis(0));
        assert!(!ahead(19));
        assert!(ahead(20));
    }
}
