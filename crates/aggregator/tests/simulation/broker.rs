//! The brokers as far as they matter: logs, committed offsets, transactions, and a group whose generation fences them.

use aggregator::resume_point::ResumePoint;
use aggregator::windows::Flush;
use model::PageviewAggregate;

use crate::log::Log;

/// A committed offset.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) metadata: String,
}

/// What one partition adds to a transaction, and its dead letters' ids.
pub(crate) type Part = (usize, Flush, Vec<usize>);

/// Which process of a member writes: of two with one transactional id, the younger fences the older.
pub(crate) type Producer = (usize, u64);

pub(crate) struct Broker {
    pub(crate) logs: Vec<Log>,
    committed: Vec<Commit>,
    /// Transactions whose offsets were accepted, but which have not ended.
    pending: Vec<(Producer, Vec<Part>)>,
    pub(crate) generation: u64,
    /// Which member has a partition.
    pub(crate) owners: Vec<usize>,
    /// How often each member was expelled: it comes back under another member id.
    pub(crate) expelled: Vec<u64>,
    pub(crate) output: Output,
    /// Of each partition, how many records are in the output.
    written: Vec<u64>,
    /// Commits that do not account for every record.
    pub(crate) unbalanced: Vec<String>,
}

/// What a reader of committed records sees.
#[derive(Default)]
pub(crate) struct Output {
    pub(crate) aggregates: Vec<PageviewAggregate>,
    pub(crate) late: Vec<PageviewAggregate>,
    /// Ids of records.
    pub(crate) dead_letters: Vec<usize>,
}

impl Broker {
    pub(crate) fn new(partitions: usize, members: usize) -> Self {
        let committed = Commit { offset: 0, metadata: ResumePoint::at(0).to_string() };
        Self {
            logs: (0..partitions).map(|_| Log::default()).collect(),
            committed: vec![committed; partitions],
            pending: Vec::new(),
            generation: 0,
            owners: (0..partitions).map(|partition| partition % members).collect(),
            expelled: vec![0; members],
            output: Output::default(),
            written: vec![0; partitions],
            unbalanced: Vec::new(),
        }
    }

    /// What is committed; `None` while a transaction is open on it.
    pub(crate) fn committed(&self, partition: usize) -> Option<Commit> {
        let is_pending = self.pending.iter().flat_map(|(_, parts)| parts).any(|part| part.0 == partition);
        (!is_pending).then(|| self.committed[partition].clone())
    }

    pub(crate) fn resume_point(&self, partition: usize) -> ResumePoint {
        self.committed[partition].metadata.parse().expect("our own metadata")
    }

    /// `send_offsets_to_transaction`: the one moment at which the group is asked. `false`: another generation rules.
    #[must_use]
    pub(crate) fn send_offsets(&mut self, producer: Producer, generation: u64, parts: Vec<Part>) -> bool {
        let accepted = generation == self.generation;
        if accepted {
            self.pending.push((producer, parts));
        }
        accepted
    }

    /// `commit_transaction`, which asks no group any more; `false`: the transaction was aborted meanwhile.
    #[must_use]
    pub(crate) fn commit(&mut self, producer: Producer) -> bool {
        let Some(index) = self.pending.iter().position(|(of, _)| *of == producer) else {
            return false;
        };
        for (partition, flush, dead_letters) in self.pending.swap_remove(index).1 {
            let counts = flush.rows.iter().chain(&flush.late).map(|row| row.pageview_count);
            self.written[partition] += counts.sum::<u64>() + dead_letters.len() as u64;
            self.check_balance(partition, &flush.resume_point);
            self.output.aggregates.extend(flush.rows);
            self.output.late.extend(flush.late);
            self.output.dead_letters.extend(dead_letters);
            let metadata = flush.resume_point.to_string();
            self.committed[partition] = Commit { offset: flush.offset, metadata };
        }
        true
    }

    /// Of every record that was read it is known what became of it, at any moment.
    fn check_balance(&mut self, partition: usize, point: &ResumePoint) {
        if let Some(records) = self.logs[partition].all_before(point.next) {
            let accounted = self.written[partition] + point.open + point.repeats;
            if accounted != records {
                self.unbalanced.push(format!("{accounted} of {records} records of {partition}: {point:?}"));
            }
        }
    }

    /// `abort_transaction`, or `init_transactions` of a successor.
    pub(crate) fn abort(&mut self, producer: Producer) {
        self.pending.retain(|(of, _)| *of != producer);
    }

    /// Every open transaction has timed out.
    pub(crate) fn time_out(&mut self) {
        self.pending.clear();
    }

    /// The member has been silent for too long: its partitions go to the others.
    pub(crate) fn expel(&mut self, member: usize) {
        let members = self.expelled.len();
        for owner in self.owners.iter_mut().filter(|owner| **owner == member) {
            *owner = (member + 1) % members;
        }
        self.expelled[member] += 1;
        self.generation += 1;
    }
}
