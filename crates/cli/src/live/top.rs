//! The postcodes with the most pageviews in the newest minutes that were counted, added up from the topics' rows.

use std::collections::{BTreeMap, HashMap};

use foldhash::fast::RandomState;
use model::{PageviewAggregate, Postcode, Window};

/// How many minutes are added up, up to the newest one that has a row.
pub(crate) const MINUTES: i64 = 10;
/// How many counts of a postcode in a minute are kept at most: 60 bytes each.
const LIMIT: usize = 200_000;

/// The counts of the newest minutes. A count is the sum of its rows, of both topics.
#[derive(Debug, Default)]
pub(crate) struct Top {
    minutes: BTreeMap<Window, HashMap<Postcode, u64, RandomState>>,
    counts: usize,
}

/// The sum over some minutes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Ranking {
    /// The first and the last minute.
    pub(crate) first: Window,
    pub(crate) last: Window,
    /// All pageviews in them.
    pub(crate) total: u64,
    /// How many postcodes there are.
    pub(crate) postcodes: usize,
    /// Those with the most, the most first.
    pub(crate) rows: Vec<(Postcode, u64)>,
}

impl Top {
    /// Adds a row of either topic.
    pub(crate) fn add(&mut self, row: &PageviewAggregate) {
        let minute = self.minutes.entry(row.window_start).or_default();
        let before = minute.len();
        *minute.entry(row.postcode).or_default() += row.pageview_count;
        self.counts += minute.len() - before;
        while self.has_too_many() {
            self.counts -= self.minutes.pop_first().map_or(0, |(_, minute)| minute.len());
        }
    }

    /// Whether the first minute must go. The newest is kept, however many postcodes it has.
    fn has_too_many(&self) -> bool {
        let Some((first, last)) = self.minutes.keys().next().zip(self.minutes.keys().next_back()) else {
            return false;
        };
        let minutes = (last.start().0 - first.start().0) / Window::SECONDS + 1;
        minutes > MINUTES || (self.counts > LIMIT && minutes > 1)
    }

    /// The `n` first.
    pub(crate) fn ranking(&self, n: usize) -> Option<Ranking> {
        let (first, last) = (*self.minutes.first_key_value()?.0, *self.minutes.last_key_value()?.0);
        let mut sums = HashMap::<_, u64, RandomState>::default();
        for (postcode, count) in self.minutes.values().flatten() {
            *sums.entry(*postcode).or_default() += count;
        }
        let (total, postcodes) = (sums.values().sum(), sums.len());
        let mut rows: Vec<_> = sums.into_iter().collect();
        rows.sort_unstable_by_key(|(postcode, count)| (std::cmp::Reverse(*count), *postcode));
        rows.truncate(n);
        Some(Ranking { first, last, total, postcodes, rows })
    }
}

#[cfg(test)]
mod tests {
    use model::EpochSeconds;

    use super::*;

    fn add(top: &mut Top, postcode: &str, minute: i64, pageview_count: u64) {
        let window_start = Window::containing(EpochSeconds(minute * 60));
        top.add(&PageviewAggregate { postcode: postcode.parse().unwrap(), window_start, pageview_count });
    }

    #[test]
    fn rows_of_a_minute_add_up_and_the_most_are_first() {
        let mut top = Top::default();
        assert_eq!(top.ranking(3), None);
        for (postcode, minute, count) in
            [("N1", 7, 5), ("SW19", 7, 40), ("SW19", 8, 2), ("N1", 7, 1), ("EC1", 8, 6)]
        {
            add(&mut top, postcode, minute, count);
        }
        let ranking = top.ranking(2).unwrap();
        let rows: Vec<_> = ranking.rows.iter().map(|(postcode, count)| (postcode.as_str(), *count)).collect();
        assert_eq!(rows, [("SW19", 42), ("EC1", 6)]);
        assert_eq!((ranking.total, ranking.postcodes), (54, 3));
        assert_eq!((ranking.first.start().0, ranking.last.start().0), (420, 480));
    }

    #[test]
    fn the_newest_minutes_are_kept_whether_all_have_rows_or_not() {
        let mut top = Top::default();
        [0, 1, 2, 5, 11].into_iter().for_each(|minute| add(&mut top, "N1", minute, 1));
        add(&mut top, "N1", 1, 100);
        let ranking = top.ranking(1).unwrap();
        assert_eq!((ranking.first.start().0, ranking.total, top.counts), (120, 3, 3));
    }
}
