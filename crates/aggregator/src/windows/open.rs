//! The open windows of one partition: their counts, and the identities of events that may come again.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap, HashSet};

use foldhash::fast::RandomState;
use model::{EpochMillis, EpochSeconds, PageviewAggregate, Postcode, Window};

use super::event::{Event, Identity};
use super::valve::{Ids, Memory};

/// Counts by postcode. The hasher is seeded per process, as clients choose the postcodes.
type Counts = HashMap<Postcode, u64, RandomState>;

/// Where a record lies in the log, and when it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) offset: i64,
    pub(super) timestamp: EpochMillis,
}

/// Open windows, in the order in which they close: a handful at a time, as most events are of the last minute or two.
#[derive(Debug, Default)]
pub(super) struct OpenWindows {
    windows: BTreeMap<Window, OpenWindow>,
    events: u64,
    keys: usize,
    identified: Identified,
}

/// How many identities there are, in how many windows.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Identified {
    ids: usize,
    windows: usize,
}

impl Identified {
    /// Takes `identity` into a window's `ids`; `false` if it is there already.
    fn learn(&mut self, ids: &mut HashSet<Identity, RandomState>, identity: Identity) -> bool {
        let is_new = ids.insert(identity);
        self.ids += usize::from(is_new);
        self.windows += usize::from(is_new && ids.len() == 1);
        is_new
    }

    fn of<'a>(windows: impl Iterator<Item = &'a OpenWindow>) -> Self {
        windows.filter(|open| !open.ids.is_empty()).fold(Self::default(), |sum, open| Self {
            ids: sum.ids + open.ids.len(),
            windows: sum.windows + 1,
        })
    }
}

#[derive(Debug)]
struct OpenWindow {
    /// The first record that it still needs.
    first: Mark,
    counts: Counts,
    ids: HashSet<Identity, RandomState>,
}

impl OpenWindow {
    fn at(first: Mark) -> Self {
        Self { first, counts: Counts::default(), ids: HashSet::default() }
    }
}

impl OpenWindows {
    /// Adds one to the count of the event's postcode in `window`, for the record at `mark`; `false` if it is a repeat of
    /// an event that is in the window already.
    pub(super) fn count(&mut self, window: Window, event: &Event, mark: Mark) -> bool {
        let open = self.windows.entry(window).or_insert_with(|| OpenWindow::at(mark));
        if let Some(identity) = event.identity
            && !self.identified.learn(&mut open.ids, identity)
        {
            return false;
        }
        match open.counts.entry(event.postcode) {
            Entry::Occupied(count) => *count.into_mut() += 1,
            Entry::Vacant(place) => {
                place.insert(1);
                self.keys += 1;
            }
        }
        self.events += 1;
        true
    }

    /// Takes in the identity of an event whose count is in the output already.
    pub(super) fn rebuild(&mut self, window: Window, event: &Event, mark: Mark) {
        if let Some(identity) = event.identity {
            let open = self.windows.entry(window).or_insert_with(|| OpenWindow::at(mark));
            self.identified.learn(&mut open.ids, identity);
        }
    }

    /// Closes every window whose end is `closed` or before, appending its counts to `rows`; tells whether there was one.
    pub(super) fn close_through(&mut self, closed: EpochSeconds, rows: &mut Vec<PageviewAggregate>) -> bool {
        let before = self.windows.len();
        while let Some(entry) = self.windows.first_entry() {
            let window = *entry.key();
            if window.end() > closed {
                break;
            }
            let open = entry.remove();
            self.keys -= open.counts.len();
            self.identified.ids -= open.ids.len();
            self.identified.windows -= usize::from(!open.ids.is_empty());
            for (postcode, pageview_count) in open.counts {
                self.events -= pageview_count;
                rows.push(PageviewAggregate { postcode, window_start: window, pageview_count });
            }
        }
        self.windows.len() < before
    }

    /// Appends all counts to `rows` and starts them anew. Windows are left where identities are kept in them.
    pub(super) fn drain(&mut self, ids: Ids, rows: &mut Vec<PageviewAggregate>) {
        rows.reserve(self.keys);
        self.windows.retain(|&window, open| {
            // Not `drain`, which would keep the table.
            for (postcode, pageview_count) in std::mem::take(&mut open.counts) {
                rows.push(PageviewAggregate { postcode, window_start: window, pageview_count });
            }
            ids == Ids::Keep && !open.ids.is_empty()
        });
        (self.events, self.keys) = (0, 0);
        self.identified = Identified::of(self.windows.values());
    }

    /// The first record that an open window still needs.
    pub(super) fn first_needed(&self) -> Option<Mark> {
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

    /// How many counts they hold.
    pub(super) const fn keys(&self) -> usize {
        self.keys
    }

    /// How many identities they hold.
    pub(super) const fn ids(&self) -> usize {
        self.identified.ids
    }

    /// What they take. Each entry is charged as in a table that has just doubled, which is the most that it can take; a
    /// window is charged to what keeps it.
    pub(super) fn memory(&self) -> Memory {
        const WINDOW: usize = 512;
        let Identified { ids, windows } = self.identified;
        Memory {
            counts: (self.windows.len() - windows) * WINDOW + self.keys * in_table::<(Postcode, u64)>(),
            ids: windows * WINDOW + ids * in_table::<Identity>(),
        }
    }

    /// # Panics
    /// When one of its invariants is broken.
    pub(super) fn check_invariants(&self) {
        let all = || self.windows.values();
        let counts = || all().flat_map(|open| open.counts.values());
        assert_eq!(counts().sum::<u64>(), self.events, "the running total is the sum of the counts");
        assert_eq!(counts().count(), self.keys, "every count is charged");
        assert_eq!(Identified::of(all()), self.identified, "every identity is charged, and its window");
        let is_empty = |open: &OpenWindow| open.counts.is_empty() && open.ids.is_empty();
        assert!(!all().any(is_empty), "a window is open because something is in it");
        assert!(counts().all(|count| *count > 0), "no count is zero");
    }
}

/// Bytes of an entry in one of std's tables, at the most: they double when seven eighths are taken, and have a control
/// byte for each place.
const fn in_table<T>() -> usize {
    (size_of::<T>() + 1) * 16 / 7
}
