//! One partition's log.

use model::{EpochMillis, EpochSeconds};

/// What was produced, or a commit marker of somebody's transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    Record(Record),
    Control,
}

/// A record; `event_time` is `None` where it is garbage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// Its name in the test: offsets are used again when a log lost its tail.
    pub(crate) id: usize,
    pub(crate) event_time: Option<EpochSeconds>,
    pub(crate) timestamp: EpochMillis,
}

/// The entries of `[start, end)`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    start: usize,
    records: usize,
    lost: Vec<usize>,
}

impl Log {
    pub(crate) fn append(&mut self, event_time: Option<EpochSeconds>, timestamp: EpochMillis) {
        let id = self.records;
        self.records += 1;
        self.entries.push(Entry::Record(Record { id, event_time, timestamp }));
    }

    pub(crate) fn append_control(&mut self) {
        self.entries.push(Entry::Control);
    }

    pub(crate) fn start(&self) -> i64 {
        self.start as i64
    }

    pub(crate) fn end(&self) -> i64 {
        self.entries.len() as i64
    }

    pub(crate) fn get(&self, offset: i64) -> Option<Entry> {
        self.entries.get(offset as usize).copied()
    }

    /// Retention deletes everything below `start`.
    pub(crate) fn lose_head(&mut self, start: i64) {
        let from = self.start;
        self.start = self.start.max(start as usize);
        self.lose(from, self.start);
    }

    /// An unclean leader election: what lay at `end` and above is gone, and others will lie there.
    pub(crate) fn lose_tail(&mut self, end: i64) {
        let end = (end as usize).clamp(self.start, self.entries.len());
        self.lose(end, self.entries.len());
        self.entries.truncate(end);
    }

    fn lose(&mut self, from: usize, to: usize) {
        let ids = self.entries[from..to].iter().filter_map(|entry| match entry {
            Entry::Record(record) => Some(record.id),
            Entry::Control => None,
        });
        self.lost.extend(ids);
    }

    /// The records that are still there, by id.
    pub(crate) fn surviving(&self) -> impl Iterator<Item = (usize, Record)> {
        self.entries[self.start..].iter().filter_map(|entry| match entry {
            Entry::Record(record) => Some((record.id, *record)),
            Entry::Control => None,
        })
    }

    /// The ids of those that are not.
    pub(crate) fn lost(&self) -> impl Iterator<Item = usize> {
        self.lost.iter().copied()
    }
}
