//! The open windows of one partition and their counts.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use model::{EpochSeconds, PageviewAggregate, Postcode, Window};

/// Counts by postcode. The hasher is seeded per process, as clients choose the postcodes.
type Counts = HashMap<Postcode, u64, RandomState>;

/// Open windows, in the order in which they close: a handful at a time, as most events are of the last minute or two.
#[derive(Debug, Default)]
pub(super) struct OpenWindows {
    windows: BTreeMap<Window, OpenWindow>,
    events: u64,
}

#[derive(Debug)]
struct OpenWindow {
    /// The offset of the first record counted in it.
    first: i64,
    counts: Counts,
}

impl OpenWindows {
    /// Adds one to the count of `postcode` in `window`, for the record at `offset`.
    pub(super) fn count(&mut self, window: Window, postcode: Postcode, offset: i64) {
        let open = self
            .windows
            .entry(window)
            .or_insert_with(|| OpenWindow { first: offset, counts: Counts::default() });
        *open.counts.entry(postcode).or_default() += 1;
        self.events += 1;
    }

    /// Closes every window whose end is `closed` or before, appending its counts to `rows`.
    pub(super) fn close_through(&mut self, closed: EpochSeconds, rows: &mut Vec<PageviewAggregate>) {
        while let Some(entry) = self.windows.first_entry() {
            let window = *entry.key();
            if window.end() > closed {
                break;
            }
            for (postcode, pageview_count) in entry.remove().counts {
                self.events -= pageview_count;
                rows.push(PageviewAggregate { postcode, window_start: window, pageview_count });
            }
        }
    }

    /// The offset of the first record that an open window still needs.
    pub(super) fn first_needed(&self) -> Option<i64> {
        self.windows.values().map(|open| open.first).min()
    }

    /// The lowest end of an open window.
    pub(super) fn lowest_end(&self) -> Option<EpochSeconds> {
        self.windows.keys().next().map(|window| window.end())
    }

    /// The highest end of an open window that is `limit` or before.
    pub(super) fn highest_end_through(&self, limit: EpochSeconds) -> Option<EpochSeconds> {
        self.windows.keys().rev().map(|window| window.end()).find(|end| *end <= limit)
    }

    /// How many windows are open.
    pub(super) fn len(&self) -> usize {
        self.windows.len()
    }

    /// How many events they count.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// # Panics
    /// When one of its invariants is broken.
    pub(super) fn check_invariants(&self) {
        let counted: u64 = self.windows.values().flat_map(|open| open.counts.values()).sum();
        assert_eq!(counted, self.events, "the running total is the sum of the counts");
        let all = || self.windows.values();
        assert!(all().all(|open| !open.counts.is_empty()), "a window is open because an event is in it");
        assert!(all().flat_map(|open| open.counts.values()).all(|count| *count > 0), "no count is zero");
    }
}
