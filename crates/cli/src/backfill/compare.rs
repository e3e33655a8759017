//! Holding what was counted against what there is to count.

use model::{PageviewAggregate, Postcode, Window};
use serde::Serialize;

use crate::minutes::{Minute, Minutes, Tally};

/// A minute of a postcode whose count is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    pub(super) window_start: Window,
    pub(super) postcode: Postcode,
    /// All events, retries too.
    pub(super) events: u64,
    /// Without retries.
    pub(super) distinct: u64,
    /// What `aggregates/` and `late/` say.
    pub(super) counted: u64,
    /// How many were not counted: it says less than the distinct events.
    pub(super) missing: u64,
    /// How many were counted that are none: it says more than all events.
    pub(super) excess: u64,
}

/// Every minute whose count is not between its distinct events and all of them, in their order: a retry that came after
/// its minute was closed counts again. Where events wait to be counted, none are missing yet.
pub(super) fn differences(minutes: &Minutes) -> Vec<Difference> {
    let compare = |(&(window_start, postcode), tally): (&Minute, &Tally)| {
        let Tally { events, distinct, counted, is_open, .. } = *tally;
        let missing = if is_open { 0 } else { distinct.saturating_sub(counted) };
        let excess = counted.saturating_sub(events);
        let difference = Difference { window_start, postcode, events, distinct, counted, missing, excess };
        (missing > 0 || excess > 0).then_some(difference)
    };
    let mut differences: Vec<_> = minutes.tallies.iter().filter_map(compare).collect();
    differences.sort_by_key(|difference| (difference.window_start, difference.postcode));
    differences
}

/// The rows that make the sums right where events are missing.
pub(super) fn missing(differences: &[Difference]) -> Vec<PageviewAggregate> {
    let short = differences.iter().filter(|difference| difference.missing > 0);
    let row = |difference: &Difference| PageviewAggregate {
        postcode: difference.postcode,
        window_start: difference.window_start,
        pageview_count: difference.missing,
    };
    short.map(row).collect()
}

/// The rows that say what there is to count, by window and postcode.
pub(super) fn recounted(minutes: &Minutes) -> Vec<PageviewAggregate> {
    let with_events = minutes.tallies.iter().filter(|(_, tally)| tally.distinct > 0);
    let row = |(&(window_start, postcode), tally): (&Minute, &Tally)| PageviewAggregate {
        postcode,
        window_start,
        pageview_count: tally.distinct,
    };
    let mut rows: Vec<_> = with_events.map(row).collect();
    rows.sort_by_key(|row| (row.window_start, row.postcode));
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn minutes(tallies: &[(&str, u64, u64, u64)]) -> Minutes {
        let mut minutes = Minutes::default();
        for (postcode, distinct, events, counted) in tallies {
            let minute = ("2026-11-24T12:00:00".parse().unwrap(), postcode.parse().unwrap());
            let tally = Tally { events: *events, distinct: *distinct, counted: *counted, ..Tally::default() };
            minutes.tallies.insert(minute, tally);
        }
        minutes
    }

    #[test]
    fn a_count_lies_between_the_distinct_events_and_all_of_them() {
        for (distinct, events, counted, found) in [
            (3, 5, 3, None),
            (3, 5, 5, None),
            (3, 5, 2, Some((1, 0))),
            (3, 5, 0, Some((3, 0))),
            (3, 5, 6, Some((0, 1))),
            (0, 0, 2, Some((0, 2))),
        ] {
            let differences = differences(&minutes(&[("N1", distinct, events, counted)]));
            let differences = differences.iter().map(|difference| (difference.missing, difference.excess));
            assert_eq!(
                differences.collect::<Vec<_>>(),
                Vec::from_iter(found),
                "{distinct} {events} {counted}"
            );
        }
    }

    #[test]
    fn what_waits_to_be_counted_is_not_missing() {
        let mut minutes = minutes(&[("N1", 3, 3, 1)]);
        minutes.tallies.values_mut().for_each(|tally| tally.is_open = true);
        assert_eq!(differences(&minutes), []);
    }

    #[test]
    fn rows_make_up_for_what_is_missing_or_take_the_place_of_all() {
        let minutes = minutes(&[("N1", 3, 5, 1), ("E1", 2, 2, 9), ("W1", 0, 0, 1)]);
        let rows = |rows: Vec<PageviewAggregate>| -> Vec<_> {
            rows.iter().map(|row| (row.postcode.to_string(), row.pageview_count)).collect()
        };
        assert_eq!(rows(missing(&differences(&minutes))), [("N1".to_owned(), 2)]);
        assert_eq!(rows(recounted(&minutes)), [("E1".to_owned(), 2), ("N1".to_owned(), 3)]);
    }
}
