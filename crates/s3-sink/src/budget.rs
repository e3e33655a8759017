//! Memory of all writers together: who has to cut, and when everybody pauses.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::Kind;

/// The most that librdkafka may prefetch for one writer.
const MOST_PREFETCH: usize = 16 << 20;

/// What ranges get, however small the limit is: below it nothing could be written at all.
const LEAST: usize = 8 << 20;

/// What `sink.memory_limit` leaves for records, shared by the writers.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: usize,
    prefetch: usize,
    filling: [AtomicUsize; Kind::ALL.len()],
    largest: [AtomicUsize; Kind::ALL.len()],
    writing: [AtomicUsize; Kind::ALL.len()],
    redo: Arc<Semaphore>,
}

/// What memory asks of a writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pressure {
    /// Nothing; what is paused may go on.
    None,
    /// To cut its largest range: it is the largest of all.
    Cut,
    /// To take no more, and to cut its largest range if that is the largest of all.
    Pause {
        /// Whether it is.
        cut: bool,
    },
    /// To stay as it is.
    Stay,
}

/// Bytes that are being written, until dropped.
#[derive(Debug)]
pub(crate) struct Writing {
    budget: Arc<Budget>,
    kind: Kind,
    bytes: usize,
}

impl Budget {
    /// Shares `limit` bytes: a sixteenth for what librdkafka prefetches for each writer, the rest for ranges.
    #[must_use]
    pub(crate) fn new(limit: u64, writers: usize) -> Self {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let prefetch = (limit / 16).clamp(1 << 20, MOST_PREFETCH);
        Self {
            limit: limit.saturating_sub(prefetch * writers).max(LEAST),
            prefetch,
            filling: Default::default(),
            largest: Default::default(),
            writing: Default::default(),
            redo: Arc::new(Semaphore::new(1)),
        }
    }

    /// What librdkafka may prefetch for one writer, in bytes.
    #[must_use]
    pub(crate) const fn prefetch(&self) -> usize {
        self.prefetch
    }

    /// A writer tells what its ranges hold, and the largest of them that it could cut; it is told what to do. Ranges
    /// are cut from three quarters of the limit on, for a cut frees memory only once it is uploaded.
    pub(crate) fn report(&self, kind: Kind, filling: usize, largest: usize) -> Pressure {
        self.filling[kind as usize].store(filling, Ordering::Relaxed);
        self.largest[kind as usize].store(largest, Ordering::Relaxed);
        let used = self.used();
        let cut = largest > 0 && self.largest.iter().all(|other| other.load(Ordering::Relaxed) <= largest);
        if used >= self.limit {
            Pressure::Pause { cut }
        } else if used < self.limit / 4 * 3 {
            Pressure::None
        } else if cut {
            Pressure::Cut
        } else {
            Pressure::Stay
        }
    }

    /// Counts `bytes` as being written by `kind` until the guard is dropped.
    #[must_use]
    pub(crate) fn writing(self: &Arc<Self>, kind: Kind, bytes: usize) -> Writing {
        self.writing[kind as usize].fetch_add(bytes, Ordering::Relaxed);
        Writing { budget: Arc::clone(self), kind, bytes }
    }

    /// The bytes that `kind` is writing.
    pub(crate) fn written_by(&self, kind: Kind) -> usize {
        self.writing[kind as usize].load(Ordering::Relaxed)
    }

    /// The permit to write one range again, however large; there is one for all writers, or the ranges of several
    /// dead owners could fill the memory and wait for each other.
    #[must_use]
    pub(crate) fn redo(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.redo).try_acquire_owned().ok()
    }

    fn used(&self) -> usize {
        self.filling.iter().chain(&self.writing).map(|bytes| bytes.load(Ordering::Relaxed)).sum()
    }
}

impl Drop for Writing {
    fn drop(&mut self) {
        self.budget.writing[self.kind as usize].fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    /// 256 MiB less 16 for each of 4 writers: 192 for ranges, cut from 144 on.
    fn budget() -> Arc<Budget> {
        Arc::new(Budget::new(256 << 20, 4))
    }

    #[test]
    fn the_largest_of_all_writers_is_cut() {
        let budget = budget();
        assert_eq!(budget.report(Kind::Raw, 100 * MIB, 30 * MIB), Pressure::None);
        assert_eq!(budget.report(Kind::Late, 50 * MIB, 10 * MIB), Pressure::Stay);
        assert_eq!(budget.report(Kind::Raw, 100 * MIB, 30 * MIB), Pressure::Cut);
        assert_eq!(budget.report(Kind::Raw, 100 * MIB, 0), Pressure::Stay, "everything is being written");
        assert_eq!(budget.report(Kind::Late, 50 * MIB, 10 * MIB), Pressure::Cut);
    }

    #[test]
    fn what_is_being_written_counts_until_it_is() {
        let budget = budget();
        let writing = budget.writing(Kind::Raw, 192 * MIB);
        assert_eq!(budget.report(Kind::Raw, 0, 0), Pressure::Pause { cut: false });
        assert_eq!(budget.report(Kind::Raw, 1, 1), Pressure::Pause { cut: true });
        drop(writing);
        assert_eq!(budget.report(Kind::Raw, 1, 1), Pressure::None);
    }

    #[test]
    fn one_range_is_written_again_at_a_time() {
        let budget = budget();
        let permit = budget.redo().unwrap();
        assert!(budget.redo().is_none());
        drop(permit);
        assert!(budget.redo().is_some());
    }

    #[test]
    fn a_small_limit_leaves_something() {
        let budget = Budget::new(1, 4);
        assert_eq!(budget.prefetch(), MIB);
        assert_eq!(budget.report(Kind::Raw, 0, 0), Pressure::None);
    }
}
