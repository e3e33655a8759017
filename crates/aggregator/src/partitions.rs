//! The partitions of one thread: their windows, and the dead letters that wait for the next transaction.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use model::{Pageview, Reason};
use service::clock;
use service::kafka::records::Record;

use crate::dead_letter::{DeadLetter, Original};
use crate::transaction::PartitionFlush;
use crate::windows::{Fate, Identities, Ids, PartitionWindows, to_relieve};

/// Rows and bytes that may wait for the next flush: a thread that catches up closes many windows within a second.
const FULL_ROWS: usize = 50_000;
const FULL_BYTES: usize = 8 << 20;

/// What became of a record that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Read {
    /// It is taken in.
    Done,
    /// The fetch has gone back by itself, as it does after a truncation of the log: the partition must be restored.
    WentBack,
}

/// The partitions that this thread has restored and counts.
#[derive(Default)]
pub(crate) struct Partitions {
    owned: BTreeMap<i32, Partition>,
    identities: Identities,
    tally: Tally,
}

struct Partition {
    windows: PartitionWindows,
    /// Since when it reads records again.
    replaying: Option<Instant>,
    dead_letters: Vec<DeadLetter>,
    dead_letter_bytes: usize,
}

/// What was read since the last look.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) consumed: u64,
    pub(crate) replayed: u64,
}

/// A partition whose open counts were let out before their windows closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Relieved {
    pub(crate) partition: i32,
    pub(crate) cause: Cause,
    pub(crate) ids_dropped: usize,
}

/// Why the memory valve fired.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cause {
    /// Open windows had outgrown `pipeline.window.memory_limit`.
    Memory,
    /// A window was open for longer than `pipeline.window.max_open`.
    OpenTooLong,
}

impl Partitions {
    /// Takes in a record. Records of partitions that are not restored yet are passed over: the restore seeks back.
    pub(crate) fn read(&mut self, topic: &str, record: Record<'_>) -> Read {
        let Some(partition) = self.owned.get_mut(&record.partition()) else {
            return Read::Done;
        };
        let windows = &mut partition.windows;
        if record.offset() < windows.position() {
            return Read::WentBack;
        }
        self.tally.consumed += 1;
        self.tally.replayed += u64::from(windows.is_replaying());
        let event = match record.value() {
            Some(json) => Pageview::parse(json).map(|pageview| self.identities.event(&pageview)),
            None => Err(Reason::Tombstone),
        };
        // A record without a timestamp gives no yardstick for its event's clock: its event is ahead of it.
        if let Fate::DeadLetter(reason) = windows.push(record.offset(), record.timestamp(), event) {
            let original = Original {
                topic,
                partition: record.partition(),
                offset: record.offset(),
                key: record.key(),
                value: record.value(),
                headers: &record.headers(),
            };
            let dead_letter = DeadLetter::new(&original, reason);
            partition.dead_letter_bytes += dead_letter.bytes();
            partition.dead_letters.push(dead_letter);
        }
        Read::Done
    }

    /// Starts counting a partition.
    pub(crate) fn insert(&mut self, partition: i32, windows: PartitionWindows) {
        let replaying = windows.is_replaying().then(clock::monotonic);
        let state = Partition { windows, replaying, dead_letters: Vec::new(), dead_letter_bytes: 0 };
        self.owned.insert(partition, state);
    }

    /// The partitions that have caught up with what was committed since this was last asked, and how long they took.
    pub(crate) fn take_caught_up(&mut self) -> Vec<(i32, Duration)> {
        let caught_up = self.owned.iter_mut().filter_map(|(partition, state)| {
            let since = state.replaying.take_if(|_| !state.windows.is_replaying())?;
            Some((*partition, since.elapsed()))
        });
        caught_up.collect()
    }

    /// Lets out counts of one partition, if all together take more than `limit` bytes. Flush, then ask again.
    pub(crate) fn relieve(&mut self, limit: usize) -> Option<Relieved> {
        let memory = self.owned.iter().map(|(partition, state)| (*partition, state.windows.memory()));
        let (partition, ids) = to_relieve(memory, limit)?;
        let ids_dropped = self.owned.get_mut(&partition)?.windows.relieve(ids);
        Some(Relieved { partition, cause: Cause::Memory, ids_dropped })
    }

    /// Lets out counts of windows that are open for too long.
    pub(crate) fn relieve_open_too_long(&mut self) -> Vec<Relieved> {
        let old = self.owned.iter_mut().filter(|(_, state)| state.windows.is_open_too_long());
        let relieved = old.map(|(partition, state)| Relieved {
            partition: *partition,
            cause: Cause::OpenTooLong,
            ids_dropped: state.windows.relieve(Ids::Drop),
        });
        relieved.collect()
    }

    /// Forgets what was read of a partition since it was last committed; tells whether it was here.
    pub(crate) fn forget(&mut self, partition: i32) -> bool {
        self.owned.remove(&partition).is_some()
    }

    /// Forgets what was read of all partitions, and tells which.
    pub(crate) fn forget_all(&mut self) -> Vec<i32> {
        std::mem::take(&mut self.owned).into_keys().collect()
    }

    /// Whether so much waits for the output that it should go there now.
    pub(crate) fn is_full(&self) -> bool {
        let rows: usize = self.owned.values().map(|partition| partition.windows.pending_rows()).sum();
        let bytes: usize = self.owned.values().map(|partition| partition.dead_letter_bytes).sum();
        rows >= FULL_ROWS || bytes >= FULL_BYTES
    }

    /// Takes what is due for the output, of every partition that has anything.
    pub(crate) fn take_flush(&mut self) -> Vec<PartitionFlush> {
        let due = self.owned.iter_mut().filter(|(_, partition)| partition.windows.wants_flush());
        due.map(|(partition, state)| {
            state.dead_letter_bytes = 0;
            PartitionFlush {
                partition: *partition,
                flush: state.windows.take_flush(),
                dead_letters: std::mem::take(&mut state.dead_letters),
            }
        })
        .collect()
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = i32> {
        self.owned.keys().copied()
    }

    pub(crate) fn get_mut(&mut self, partition: i32) -> Option<&mut PartitionWindows> {
        self.owned.get_mut(&partition).map(|partition| &mut partition.windows)
    }

    pub(crate) fn windows(&self) -> impl Iterator<Item = &PartitionWindows> {
        self.owned.values().map(|partition| &partition.windows)
    }

    pub(crate) fn by_number(&self) -> impl Iterator<Item = (i32, &PartitionWindows)> {
        self.owned.iter().map(|(partition, state)| (*partition, &state.windows))
    }

    pub(crate) fn windows_mut(&mut self) -> impl Iterator<Item = (i32, &mut PartitionWindows)> {
        self.owned.iter_mut().map(|(partition, state)| (*partition, &mut state.windows))
    }

    pub(crate) fn take_tally(&mut self) -> Tally {
        std::mem::take(&mut self.tally)
    }
}
