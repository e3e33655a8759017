//! Whether the entries of a partition tile it from its genesis to its frontier: no hole, no overlap.

use crate::ledger::{Entry, Genesis};

/// Everything the ledger holds of one partition, in the order of offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionLedger {
    /// Where it starts; `None` when no sink was ever assigned the partition.
    pub genesis: Option<Genesis>,
    /// The ranges fixed.
    pub entries: Vec<Entry>,
}

/// Where a partition's entries do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// There are entries, but nothing says where the first has to start.
    #[error("there are entries, but no genesis")]
    NoGenesis,
    /// No entry covers `[from, to)`.
    #[error("no entry covers [{from}, {to})")]
    Hole {
        /// The first offset not covered.
        from: i64,
        /// The first covered again.
        to: i64,
    },
    /// Two entries cover `[from, to)`.
    #[error("two entries cover [{from}, {to})")]
    Overlap {
        /// The first offset covered twice.
        from: i64,
        /// The first that is not.
        to: i64,
    },
}

impl PartitionLedger {
    /// The next offset to be written: the end of the last range.
    #[must_use]
    pub fn frontier(&self) -> Option<i64> {
        self.entries
            .last()
            .map(|entry| entry.end)
            .or_else(|| self.genesis.as_ref().map(|genesis| genesis.start))
    }

    /// Every place where it is not tiled, in the order of offsets.
    #[must_use]
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let Some(first) = self.entries.first() else { return faults };
        let mut covered = self.genesis.as_ref().map_or(first.start, |genesis| genesis.start);
        if self.genesis.is_none() {
            faults.push(Fault::NoGenesis);
        }
        for entry in &self.entries {
            if entry.start > covered {
                faults.push(Fault::Hole { from: covered, to: entry.start });
            } else if entry.start < covered {
                faults.push(Fault::Overlap { from: entry.start, to: covered.min(entry.end) });
            }
            covered = covered.max(entry.end);
        }
        faults
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Content;

    fn ledger(genesis: Option<i64>, ranges: &[(i64, i64)]) -> PartitionLedger {
        let topic = "pageviews".to_owned();
        let entry = |&(start, end): &(i64, i64)| Entry {
            topic: topic.clone(),
            partition: 0,
            start,
            end,
            content: Content::Lost,
        };
        PartitionLedger {
            genesis: genesis.map(|start| Genesis { topic: topic.clone(), partition: 0, start }),
            entries: ranges.iter().map(entry).collect(),
        }
    }

    #[test]
    fn a_tiled_partition_has_no_fault() {
        let tiled = ledger(Some(5), &[(5, 9), (9, 10), (10, 30)]);
        assert_eq!((tiled.faults(), tiled.frontier()), (vec![], Some(30)));
        assert_eq!(ledger(Some(5), &[]).frontier(), Some(5));
        assert_eq!(ledger(None, &[]).frontier(), None);
    }

    #[test]
    fn each_fault_is_named_with_its_offsets() {
        assert_eq!(
            ledger(Some(0), &[(2, 5), (7, 9)]).faults(),
            [Fault::Hole { from: 0, to: 2 }, Fault::Hole { from: 5, to: 7 }]
        );
        assert_eq!(
            ledger(Some(0), &[(0, 9), (4, 6), (8, 12)]).faults(),
            [Fault::Overlap { from: 4, to: 6 }, Fault::Overlap { from: 8, to: 9 }]
        );
        assert_eq!(ledger(None, &[(3, 4)]).faults(), [Fault::NoGenesis]);
    }
}
