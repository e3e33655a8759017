//! Adding up rows of `aggregates/` and `late/`.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use model::{PageviewAggregate, Postcode, Window};

use crate::span::Span;

/// Which rows are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Filter {
    pub(super) postcode: Option<Postcode>,
    /// Windows that start in it.
    pub(super) span: Span,
}

/// Where a row lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Folder {
    Aggregates,
    Late,
}

/// What was counted in time, and what came late. The count is the sum, always.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Count {
    pub(super) aggregates: u64,
    pub(super) late: u64,
}

/// The count of every postcode in every window.
#[derive(Debug, Clone, Default)]
pub(super) struct Sums(BTreeMap<(Window, Postcode), Count>);

impl Filter {
    /// Whether a row is asked for.
    pub(super) fn takes(&self, row: &PageviewAggregate) -> bool {
        self.postcode.is_none_or(|postcode| postcode == row.postcode)
            && self.span.has_start_of(row.window_start)
    }
}

impl Count {
    pub(super) const fn total(self) -> u64 {
        self.aggregates + self.late
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.aggregates += other.aggregates;
        self.late += other.late;
    }
}

impl Sums {
    pub(super) fn add(&mut self, folder: Folder, row: &PageviewAggregate) {
        let count = self.0.entry((row.window_start, row.postcode)).or_default();
        match folder {
            Folder::Aggregates => count.aggregates += row.pageview_count,
            Folder::Late => count.late += row.pageview_count,
        }
    }

    /// The count of everything.
    pub(super) fn total(&self) -> Count {
        let mut total = Count::default();
        self.0.values().for_each(|count| total += *count);
        total
    }

    /// By window, then by postcode.
    pub(super) fn rows(&self) -> impl Iterator<Item = (Window, Postcode, Count)> {
        self.0.iter().map(|((window, postcode), count)| (*window, *postcode, *count))
    }

    /// The `n` postcodes with the most pageviews in all windows, the most first.
    pub(super) fn top(&self, n: usize) -> Vec<(Postcode, Count)> {
        let mut postcodes = BTreeMap::<_, Count>::new();
        self.rows().for_each(|(_, postcode, count)| *postcodes.entry(postcode).or_default() += count);
        let mut postcodes: Vec<_> = postcodes.into_iter().collect();
        postcodes.sort_by_key(|(_, count)| std::cmp::Reverse(count.total()));
        postcodes.truncate(n);
        postcodes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(postcode: &str, window: &str, pageview_count: u64) -> PageviewAggregate {
        PageviewAggregate {
            postcode: postcode.parse().unwrap(),
            window_start: window.parse().unwrap(),
            pageview_count,
        }
    }

    #[test]
    fn a_count_is_aggregates_plus_late() {
        let mut sums = Sums::default();
        sums.add(Folder::Aggregates, &row("SW19", "2021-01-26T12:04:00", 40));
        sums.add(Folder::Aggregates, &row("EC1", "2021-01-26T12:04:00", 9));
        sums.add(Folder::Late, &row("SW19", "2021-01-26T12:04:00", 2));
        sums.add(Folder::Late, &row("SW19", "2021-01-26T12:05:00", 7));
        let totals: Vec<_> =
            sums.rows().map(|(_, postcode, count)| (postcode.to_string(), count.total())).collect();
        assert_eq!(totals, [("EC1".to_owned(), 9), ("SW19".to_owned(), 42), ("SW19".to_owned(), 7)]);
        assert_eq!(sums.total(), Count { aggregates: 49, late: 9 });
        let top: Vec<_> =
            sums.top(1).into_iter().map(|(postcode, count)| (postcode.to_string(), count)).collect();
        assert_eq!(top, [("SW19".to_owned(), Count { aggregates: 40, late: 9 })]);
    }

    #[test]
    fn rows_of_another_postcode_or_time_are_not_asked_for() {
        let time = |window: &str| Some(window.parse::<Window>().unwrap().start());
        let span = Span::new(time("2021-01-26T12:04:00"), time("2021-01-26T12:06:00")).unwrap();
        let filter = Filter { postcode: Some("sw19".parse().unwrap()), span };
        for (postcode, window, taken) in [
            ("SW19", "2021-01-26T12:03:00", false),
            ("SW19", "2021-01-26T12:04:00", true),
            ("SW19", "2021-01-26T12:05:00", true),
            ("SW19", "2021-01-26T12:06:00", false),
            ("EC1", "2021-01-26T12:05:00", false),
        ] {
            assert_eq!(filter.takes(&row(postcode, window, 1)), taken, "{postcode} {window}");
        }
    }
}
