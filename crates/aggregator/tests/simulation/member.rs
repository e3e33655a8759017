//! One thread of the aggregator: it reads, counts and flushes, and may be a zombie without knowing it.

use std::collections::{BTreeMap, BTreeSet};

use aggregator::windows::{Event, Fate, Identity, Ids, Limits, LogBounds, PartitionWindows};
use model::{EpochMillis, Reason};

use crate::broker::{Broker, Part, Producer};
use crate::cluster::Postcodes;
use crate::log::{Entry, Log, Record};

#[derive(Debug)]
struct Partition {
    windows: PartitionWindows,
    /// The consumer's position, which control records move and the windows do not see.
    consumer_position: i64,
    dead_letters: Vec<usize>,
}

/// How far this thread has come with its transaction.
enum Transaction {
    Begun(Vec<Part>),
    OffsetsSent,
}

pub(crate) struct Member {
    producer: Producer,
    /// What it last heard of the group: the generation that fences it, and how often it was expelled.
    generation: u64,
    expelled: u64,
    limits: Limits,
    postcodes: Postcodes,
    partitions: BTreeMap<usize, Partition>,
    /// Assigned, but to be restored when Kafka allows.
    forgotten: BTreeSet<usize>,
    transaction: Option<Transaction>,
}

impl Member {
    /// A new process; whatever its predecessor left open is aborted.
    pub(crate) fn start(producer: Producer, limits: Limits, postcodes: Postcodes, broker: &Broker) -> Self {
        Self {
            producer,
            generation: broker.generation,
            expelled: broker.expelled[producer.0],
            limits,
            postcodes,
            partitions: BTreeMap::new(),
            forgotten: BTreeSet::new(),
            transaction: None,
        }
    }

    pub(crate) const fn producer(&self) -> Producer {
        self.producer
    }

    /// Takes what the group has to say. Between two flushes only: a thread does one thing at a time.
    pub(crate) fn hear(&mut self, broker: &Broker) {
        if self.transaction.is_some() {
            return;
        }
        let me = self.producer.0;
        if std::mem::replace(&mut self.expelled, broker.expelled[me]) != broker.expelled[me] {
            self.forget_all();
        }
        let is_mine = |partition: &usize| broker.owners[*partition] == me;
        self.partitions.retain(|partition, _| is_mine(partition));
        let all = 0..broker.owners.len();
        self.forgotten =
            all.filter(is_mine).filter(|partition| !self.partitions.contains_key(partition)).collect();
        self.generation = broker.generation;
        self.restore(broker);
    }

    fn restore(&mut self, broker: &Broker) {
        for partition in std::mem::take(&mut self.forgotten) {
            let Some(commit) = broker.committed(partition) else {
                self.forgotten.insert(partition);
                continue;
            };
            let point = commit.metadata.parse().expect("our own metadata");
            let log = bounds(&broker.logs[partition]);
            let windows = PartitionWindows::restore(commit.offset, point, log, self.limits).windows;
            windows.check_invariants();
            let consumer_position = windows.position();
            self.partitions
                .insert(partition, Partition { windows, consumer_position, dead_letters: Vec::new() });
        }
    }

    fn forget_all(&mut self) {
        self.forgotten.extend(std::mem::take(&mut self.partitions).into_keys());
    }

    /// Reads one record of some partition; `false` where all logs are at their end.
    pub(crate) fn read(&mut self, from: usize, broker: &Broker) -> bool {
        // While it flushes, a thread does not poll.
        if self.transaction.is_some() {
            return false;
        }
        let postcodes = self.postcodes;
        let owned: Vec<usize> = self.partitions.keys().copied().collect();
        let next = (0..owned.len()).map(|index| owned[(from + index) % owned.len()]);
        next.into_iter().any(|partition| {
            let state = self.partitions.get_mut(&partition).expect("it is owned");
            state.read(&broker.logs[partition], postcodes)
        })
    }

    pub(crate) fn idle(&mut self, now: EpochMillis, broker: &Broker) {
        if self.transaction.is_none() {
            for (partition, state) in &mut self.partitions {
                state.idle(now, &broker.logs[*partition]);
            }
        }
    }

    /// The memory valve fires.
    pub(crate) fn relieve(&mut self, ids: Ids) {
        if self.transaction.is_none() {
            for state in self.partitions.values_mut() {
                state.windows.relieve(ids);
                state.windows.check_invariants();
            }
        }
    }

    /// Windows that are open for too long are closed to what they hold.
    pub(crate) fn relieve_open_too_long(&mut self) {
        if self.transaction.is_none() {
            for state in self.partitions.values_mut().filter(|state| state.windows.is_open_too_long()) {
                state.windows.relieve(Ids::Drop);
                assert!(!state.windows.is_open_too_long(), "once is enough");
                state.windows.check_invariants();
            }
        }
    }

    pub(crate) fn begin(&mut self) {
        if self.transaction.is_some() {
            return;
        }
        let due = self.partitions.iter_mut().filter(|(_, state)| state.windows.wants_flush());
        let parts: Vec<Part> = due
            .map(|(partition, state)| {
                let dead_letters = std::mem::take(&mut state.dead_letters);
                let flush = state.windows.take_flush();
                state.windows.check_invariants();
                (*partition, flush, dead_letters)
            })
            .collect();
        if !parts.is_empty() {
            self.transaction = Some(Transaction::Begun(parts));
        }
    }

    pub(crate) fn send_offsets(&mut self, broker: &mut Broker) {
        match self.transaction.take() {
            Some(Transaction::Begun(parts)) => {
                if broker.send_offsets(self.producer, self.generation, parts) {
                    self.transaction = Some(Transaction::OffsetsSent);
                } else {
                    self.abort(broker);
                }
            }
            other => self.transaction = other,
        }
    }

    pub(crate) fn commit(&mut self, broker: &mut Broker) {
        if let Some(Transaction::OffsetsSent) = self.transaction {
            self.transaction = None;
            if !broker.commit(self.producer) {
                self.forget_all();
            }
        }
    }

    /// Forgets what was read since the last commit.
    pub(crate) fn abort(&mut self, broker: &mut Broker) {
        self.transaction = None;
        broker.abort(self.producer);
        self.forget_all();
    }

    pub(crate) fn has_transaction(&self) -> bool {
        self.transaction.is_some()
    }

    pub(crate) fn open_windows(&self) -> usize {
        self.partitions.values().map(|state| state.windows.open_windows()).sum()
    }
}

impl Partition {
    fn read(&mut self, log: &Log, postcodes: Postcodes) -> bool {
        if self.consumer_position < log.start() {
            self.windows.skip_to(self.consumer_position);
            self.windows.pass_over(bounds(log)).expect("the log starts above the position");
            self.consumer_position = log.start();
        }
        self.pass_control_records(log);
        let offset = self.consumer_position;
        let Some(Entry::Record(record)) = log.get(offset) else {
            return false;
        };
        self.consumer_position += 1;
        if let Fate::DeadLetter(_) = self.windows.push(offset, record.timestamp, parse(&record, postcodes)) {
            self.dead_letters.push(record.id);
        }
        self.windows.check_invariants();
        true
    }

    fn idle(&mut self, now: EpochMillis, log: &Log) {
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

    fn pass_control_records(&mut self, log: &Log) {
        while matches!(log.get(self.consumer_position), Some(Entry::Control)) {
            self.consumer_position += 1;
        }
    }
}

fn parse(record: &Record, postcodes: Postcodes) -> Result<Event, Reason> {
    let time = record.event_time.ok_or(Reason::MalformedJson)?;
    let identity = record.event_id.map(|id| Identity(id.into()));
    Ok(Event { postcode: postcodes.of(record.id), time, identity })
}

fn bounds(log: &Log) -> LogBounds {
    LogBounds { start: log.start(), end: log.end() }
}
