//! One partition's log.

use model::{EpochMillis, EpochSeconds};

/// What was produced, or a commit marker of somebody's transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Entry {
    Record(Record),
    Control,
}

/// What a producer sends.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NewRecord {
    /// `None` where it is garbage.
    pub(crate) event_time: Option<EpochSeconds>,
    pub(crate) event_id: Option<u8>,
    pub(crate) timestamp: EpochMillis,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Record {
    /// Its name in the test: offsets are used again when a log lost its tail.
    pub(crate) id: usize,
    pub(crate) event_time: Option<EpochSeconds>,
    pub(crate) event_id: Option<u8>,
    pub(crate) timestamp: EpochMillis,
}

/// The entries of `[start, end)`.
#[derive(Debug, Default)]
pub(crate) struct Log {
    entries: Vec<Entry>,
    start: usize,
    lost: Vec<Record>,
}

impl Log {
    pub(crate) fn append(&mut self, id: usize, record: NewRecord) {
        let NewRecord { event_time, event_id, timestamp } = record;
        self.entries.push(Entry::Record(Record { id, event_time, event_id, timestamp }));
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
        let lost = records(&self.entries[from..to]);
        self.lost.extend(lost);
    }

    /// How many records there are below `offset`; `None` if some were lost.
    pub(crate) fn all_before(&self, offset: i64) -> Option<u64> {
        let end = (offset as usize).min(self.entries.len());
        (self.start == 0 && self.lost.is_empty()).then(|| records(&self.entries[..end]).count() as u64)
    }

    /// The records that are still there.
    pub(crate) fn surviving(&self) -> impl Iterator<Item = Record> {
        records(&self.entries[self.start..])
    }

    /// Those that are not.
    pub(crate) fn lost(&self) -> impl Iterator<Item = Record> {
        self.lost.iter().copied()
    }
}

fn records(entries: &[Entry]) -> impl Iterator<Item = Record> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Record(record) => Some(*record),
        Entry::Control => None,
    })
}
