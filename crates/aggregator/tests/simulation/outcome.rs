//! What came out, and what should have.

use std::collections::BTreeMap;

use model::{PageviewAggregate, Window};
use proptest::prelude::*;

use crate::cluster::{Cluster, PARTITIONS, Postcodes};
use crate::log::Record;
use crate::naive;

/// What a record came out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Counted,
    Late,
    DeadLetter,
    /// Not at all, as another with its event id was counted.
    Repeat,
}

/// What may be forgotten of event ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdsAre {
    /// Of the records with one id that were read while their window was open, one is counted.
    Exact,
    /// Some may count again; none is lost.
    Forgettable,
}

/// Every record, as itself: under a postcode of its own, a count is the trace of one record.
pub(crate) struct Outcome<'a> {
    cluster: &'a Cluster,
    counts: [BTreeMap<String, u64>; 2],
}

impl<'a> Outcome<'a> {
    pub(crate) fn of(cluster: &'a Cluster) -> Self {
        let by_postcode = |rows: &[PageviewAggregate]| {
            let mut counts = BTreeMap::new();
            for row in rows {
                *counts.entry(row.postcode.to_string()).or_default() += row.pageview_count;
            }
            counts
        };
        let output = &cluster.broker.output;
        Self { cluster, counts: [by_postcode(&output.aggregates), by_postcode(&output.late)] }
    }

    fn fates(&self, record: &Record) -> Vec<Fate> {
        let postcode = Postcodes::OneEach.of(record.id).to_string();
        let times = |fate, times: u64| (0..times).map(move |_| fate);
        let counted = |output: usize| self.counts[output].get(&postcode).copied().unwrap_or_default();
        let dead = self.cluster.broker.output.dead_letters.iter().filter(|dead| **dead == record.id).count();
        times(Fate::Counted, counted(0))
            .chain(times(Fate::Late, counted(1)))
            .chain(times(Fate::DeadLetter, dead as u64))
            .collect()
    }

    /// As if one process had read the logs from their start to their end, once and undisturbed.
    pub(crate) fn is_as_the_naive_model_says(&self) -> Result<(), TestCaseError> {
        for (record, expected) in self.cluster.broker.logs.iter().flat_map(naive::fates) {
            let expected = if expected == Fate::Repeat { vec![] } else { vec![expected] };
            prop_assert_eq!(self.fates(&record), expected, "{:?}", record);
        }
        Ok(())
    }

    /// No record comes out twice, and those that are still in the log come out.
    pub(crate) fn has_every_record_once(&self, ids: IdsAre) -> Result<(), TestCaseError> {
        for partition in 0..PARTITIONS {
            self.partition_has_every_record_once(partition, ids)?;
        }
        Ok(())
    }

    fn partition_has_every_record_once(&self, partition: usize, ids: IdsAre) -> Result<(), TestCaseError> {
        let log = &self.cluster.broker.logs[partition];
        let mut counted: BTreeMap<(Window, u8), u64> = BTreeMap::new();
        for record in log.surviving().chain(log.lost()) {
            let fates = self.fates(&record);
            prop_assert!(fates.len() <= 1, "{:?} came out as {:?}", record, fates);
            if let (Some(id), [Fate::Counted]) = (event_id(&record), fates.as_slice()) {
                *counted.entry(id).or_default() += 1;
            }
        }
        let mut repeats = 0;
        for record in log.surviving().filter(|record| self.fates(record).is_empty()) {
            let counted = event_id(&record).and_then(|id| counted.get(&id)).copied();
            prop_assert!(counted.is_some_and(|times| times > 0), "{:?} is lost", record);
            repeats += 1;
        }
        if ids == IdsAre::Exact {
            prop_assert!(counted.values().all(|times| *times == 1), "counted again: {:?}", counted);
        }
        // What is lost may have been a repeat, and may have been read or not.
        if log.lost().next().is_none() {
            let told = self.cluster.broker.resume_point(partition).repeats;
            prop_assert_eq!(told, repeats, "repeats of partition {}", partition);
        }
        Ok(())
    }
}

fn event_id(record: &Record) -> Option<(Window, u8)> {
    Some((Window::containing(record.event_time?), record.event_id?))
}

/// What an auditor sees, who cannot tell one record from the other.
pub(crate) fn the_balance_is_even(cluster: &Cluster) -> Result<(), TestCaseError> {
    let broker = &cluster.broker;
    prop_assert!(broker.unbalanced.is_empty(), "{:?}", broker.unbalanced);
    let counts = broker.output.aggregates.iter().chain(&broker.output.late).map(|row| row.pageview_count);
    let points = || (0..PARTITIONS).map(|partition| broker.resume_point(partition));
    let dead: u64 = points().map(|point| point.dead).sum();
    let repeats: u64 = points().map(|point| point.repeats).sum();
    prop_assert_eq!(dead, broker.output.dead_letters.len() as u64);
    prop_assert_eq!(points().map(|point| point.open).sum::<u64>(), 0);
    let records = broker.logs.iter().flat_map(|log| log.surviving()).count() as u64;
    prop_assert_eq!(counts.sum::<u64>() + dead + repeats, records);
    Ok(())
}

/// Of a postcode there is one count a window, if the memory valve never fired.
pub(crate) fn a_window_is_one_row(cluster: &Cluster) -> Result<(), TestCaseError> {
    let mut rows: Vec<_> =
        cluster.broker.output.aggregates.iter().map(|row| (row.postcode, row.window_start)).collect();
    rows.sort_unstable();
    let twice = rows.windows(2).find(|pair| pair[0] == pair[1]);
    prop_assert_eq!(twice, None, "emitted twice");
    Ok(())
}
