//! What must be counted. A benchmark that counts wrong is worth nothing.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use anyhow::ensure;
use model::{EpochMillis, EpochSeconds, PageviewAggregate, Postcode, Window, partition};

use crate::events::{Event, Recipe};

/// The true counts of a topic.
#[derive(Debug)]
pub(crate) struct Tally {
    postcodes: Vec<(Postcode, usize)>,
    /// By postcode.
    windows: BTreeMap<Window, Vec<u64>>,
    /// By partition.
    stream_times: Vec<EpochMillis>,
}

/// The counts that a contestant has written, rows added up.
pub(crate) type Counts = HashMap<(Postcode, Window), u64>;

impl Tally {
    /// Nothing yet.
    pub(crate) fn new(recipe: &Recipe, partitions: i32) -> anyhow::Result<Self> {
        let postcode = |name: &String| -> anyhow::Result<_> {
            let partition = partition(name.as_bytes(), partitions);
            Ok((Postcode::parse(name)?, usize::try_from(partition)?))
        };
        Ok(Self {
            postcodes: recipe.postcodes.iter().map(postcode).collect::<Result<_, _>>()?,
            windows: BTreeMap::new(),
            stream_times: vec![EpochMillis(0); usize::try_from(partitions)?],
        })
    }

    /// Counts an event, and returns its partition.
    pub(crate) fn add(&mut self, event: &Event) -> usize {
        let (_, partition) = self.postcodes[event.postcode];
        let counts = self.windows.entry(Window::containing(event.happened));
        counts.or_insert_with(|| vec![0; self.postcodes.len()])[event.postcode] += 1;
        let time = &mut self.stream_times[partition];
        *time = (*time).max(event.ingested.min(event.happened.to_millis()));
        partition
    }

    /// The rows that must be there once everything was read: those of the windows that stream time has closed.
    pub(crate) fn closed(&self, grace: Duration) -> Counts {
        let through: Vec<EpochSeconds> =
            self.stream_times.iter().map(|time| time.minus(grace).to_seconds()).collect();
        let rows = self.windows.iter().flat_map(|(window, counts)| {
            let rows = self.postcodes.iter().zip(counts);
            rows.filter(|((_, partition), count)| **count > 0 && window.end() <= through[*partition])
                .map(|((postcode, _), count)| ((*postcode, *window), *count))
        });
        rows.collect()
    }
}

/// Adds a row to `counts`.
pub(crate) fn add_row(counts: &mut Counts, row: PageviewAggregate) {
    *counts.entry((row.postcode, row.window_start)).or_default() += row.pageview_count;
}

/// How many of `closed` are not in `counts` yet, or not in full.
pub(crate) fn missing(counts: &Counts, closed: &Counts) -> usize {
    closed.iter().filter(|(key, count)| counts.get(key).is_none_or(|found| found < count)).count()
}

/// Compares what was counted with what had to be.
///
/// # Errors
/// Names a count that is wrong.
pub(crate) fn check(counts: &Counts, closed: &Counts) -> anyhow::Result<()> {
    for ((postcode, window), count) in closed {
        let found = counts.get(&(*postcode, *window)).copied().unwrap_or_default();
        ensure!(
            found == *count,
            "{postcode} has {count} pageviews in {window}, and {found} were counted; {} of {} counts are short",
            missing(counts, closed),
            closed.len()
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::postcodes;

    fn tally() -> Tally {
        let recipe = Recipe {
            seed: 1,
            events: 6000,
            postcodes: postcodes(20),
            start: EpochMillis(1_611_662_640_000),
            span: Duration::from_secs(300),
            disorder: 10,
        };
        let mut tally = Tally::new(&recipe, 6).unwrap();
        for index in 0..recipe.events {
            tally.add(&recipe.event(index));
        }
        tally
    }

    #[test]
    fn windows_are_closed_by_stream_time() {
        let tally = tally();
        // Five minutes from a full minute on, the ten seconds before it, and the last that is still open.
        assert_eq!(tally.windows.len(), 6);
        let windows = |grace| {
            let closed = tally.closed(Duration::from_secs(grace));
            closed.into_keys().map(|(_, window)| window).collect::<std::collections::BTreeSet<_>>().len()
        };
        assert_eq!((windows(30), windows(90)), (5, 4));
    }

    #[test]
    fn a_count_that_is_short_is_found() {
        let closed = tally().closed(Duration::from_secs(30));
        let mut counts = closed.clone();
        assert!(check(&counts, &closed).is_ok());
        *counts.values_mut().next().unwrap() -= 1;
        assert_eq!(missing(&counts, &closed), 1);
        assert!(check(&counts, &closed).unwrap_err().to_string().contains("1 of "));
    }
}
