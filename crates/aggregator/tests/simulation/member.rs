//! One member of the group: a process that reads, counts and flushes, and may be a zombie without knowing it.

use aggregator::windows::{Fate, Flush, Limits, LogBounds, PartitionWindows};
use model::{EpochMillis, Postcode, Reason};

use crate::cluster::{Commit, Postcodes};
use crate::log::{Entry, Log, Record};

/// A transaction that was begun: what one partition adds to it, and the dead letters' ids.
pub(crate) struct Transaction {
    pub(crate) flush: Flush,
    pub(crate) dead_letters: Vec<usize>,
}

pub(crate) struct Member {
    pub(crate) generation: u64,
    windows: PartitionWindows,
    /// The consumer's position, which control records move and the windows do not see.
    consumer_position: i64,
    dead_letters: Vec<usize>,
    pub(crate) transaction: Option<Transaction>,
    postcodes: Postcodes,
}

impl Member {
    pub(crate) fn restore(
        generation: u64,
        committed: &Commit,
        log: &Log,
        limits: Limits,
        postcodes: Postcodes,
    ) -> Self {
        let bounds = LogBounds { start: log.start(), end: log.end() };
        let point = committed.metadata.parse().expect("our own metadata");
        let windows = PartitionWindows::restore(committed.offset, point, bounds, limits).windows;
        windows.check_invariants();
        Self {
            generation,
            consumer_position: windows.position(),
            windows,
            dead_letters: Vec::new(),
            transaction: None,
            postcodes,
        }
    }

    /// Reads one record; `false` at the log's end.
    pub(crate) fn read(&mut self, log: &Log) -> bool {
        self.consumer_position = self.consumer_position.max(log.start());
        self.pass_control_records(log);
        let offset = self.consumer_position;
        let Some(Entry::Record(record)) = log.get(offset) else {
            return false;
        };
        self.consumer_position += 1;
        let event = self.parse(&record);
        if let Fate::DeadLetter(_) = self.windows.push(offset, record.timestamp, event) {
            self.dead_letters.push(record.id);
        }
        self.windows.check_invariants();
        true
    }

    pub(crate) fn idle(&mut self, now: EpochMillis, log: &Log) {
        if !self.windows.is_idle(now) {
            return;
        }
        self.pass_control_records(log);
        if self.consumer_position == log.end() {
            self.windows.skip_to(self.consumer_position);
            self.windows.close_idle(now);
            self.windows.check_invariants();
        }
    }

    pub(crate) fn begin(&mut self) {
        if self.transaction.is_none() && self.windows.wants_flush() {
            let dead_letters = std::mem::take(&mut self.dead_letters);
            self.transaction = Some(Transaction { flush: self.windows.take_flush(), dead_letters });
            self.windows.check_invariants();
        }
    }

    pub(crate) fn open_windows(&self) -> usize {
        self.windows.open_windows()
    }

    fn pass_control_records(&mut self, log: &Log) {
        while matches!(log.get(self.consumer_position), Some(Entry::Control)) {
            self.consumer_position += 1;
        }
    }

    fn parse(&self, record: &Record) -> Result<(Postcode, model::EpochSeconds), Reason> {
        let event_time = record.event_time.ok_or(Reason::MalformedJson)?;
        Ok((self.postcodes.of(record.id), event_time))
    }
}
