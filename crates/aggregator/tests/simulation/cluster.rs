//! Threads, and what happens to them.

use std::time::Duration;

use aggregator::windows::Limits;
use model::{EpochMillis, EpochSeconds, Postcode};

use crate::broker::Broker;
use crate::log::NewRecord;
use crate::member::Member;
use crate::steps::Step;

pub(crate) const PARTITIONS: usize = 3;
pub(crate) const MEMBERS: usize = 2;
pub(crate) const FIRST_GRACE: i64 = 30;
pub(crate) const MAX_FUTURE_SKEW: i64 = 40;
const IDLE_TIMEOUT: i64 = 50;
const MAX_OPEN: i64 = 120;

/// How records get their postcodes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Postcodes {
    /// A count is the trace of one record.
    OneEach,
    /// Records share postcodes, as real ones do.
    Shared,
}

impl Postcodes {
    pub(crate) fn of(self, id: usize) -> Postcode {
        let text = match self {
            Self::OneEach => format!("R{id}"),
            // A key is always in the same partition, and so are all records with its event id.
            Self::Shared => format!("{}-{}", id % PARTITIONS, id / PARTITIONS % 2),
        };
        Postcode::parse(&text).expect("a postcode")
    }
}

pub(crate) struct Cluster {
    pub(crate) broker: Broker,
    now: i64,
    limits: Limits,
    postcodes: Postcodes,
    members: Vec<Member>,
    zombies: Vec<Member>,
    /// Records so far, by partition: their ids tell the partition.
    records: [usize; PARTITIONS],
}

impl Cluster {
    pub(crate) fn new(postcodes: Postcodes) -> Self {
        let limits = Limits {
            grace: seconds(FIRST_GRACE),
            idle_timeout: seconds(IDLE_TIMEOUT),
            max_future_skew: seconds(MAX_FUTURE_SKEW),
            max_open: seconds(MAX_OPEN),
        };
        let broker = Broker::new(PARTITIONS, MEMBERS);
        let members = (0..MEMBERS).map(|member| Member::start((member, 0), limits, postcodes, &broker));
        let members = members.collect();
        let mut this = Self {
            broker,
            now: 10_000,
            limits,
            postcodes,
            members,
            zombies: Vec::new(),
            records: [0; PARTITIONS],
        };
        this.members.iter_mut().for_each(|member| member.hear(&this.broker));
        this
    }

    /// Lives through `steps`, then reads what is left and lets every window close.
    pub(crate) fn run(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(step));
        self.settle();
        for _ in 0..2 {
            self.idle();
            self.now += 10_000;
        }
        self.flush();
        let open: usize = self.members.iter().map(Member::open_windows).sum();
        assert_eq!(open, 0, "the wall clock closes what nothing else does");
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { partition, behind, after, event_id } => {
                let event_time = Some(EpochSeconds(self.now - behind));
                self.append(partition, event_time, event_id);
                self.now += after;
            }
            Step::AppendGarbage { partition } => self.append(partition, None, None),
            Step::AppendControl { partition } => self.broker.logs[partition].append_control(),
            Step::Wait(seconds) => self.now += seconds,
            Step::Read { member, from } => {
                self.members[member].read(from, &self.broker);
            }
            Step::Begin { member } => self.members[member].begin(),
            Step::SendOffsets { member } => self.members[member].send_offsets(&mut self.broker),
            Step::Commit { member } => self.members[member].commit(&mut self.broker),
            Step::Abort { member } => {
                if self.members[member].has_transaction() {
                    self.members[member].abort(&mut self.broker);
                }
            }
            Step::Idle => self.idle(),
            Step::Relieve { member, ids } => self.members[member].relieve(ids),
            Step::RelieveOpenTooLong { member } => self.members[member].relieve_open_too_long(),
            Step::Crash { member, zombie, grace, skew } => {
                self.limits.grace = grace.map_or(self.limits.grace, seconds);
                self.limits.max_future_skew = skew.map_or(self.limits.max_future_skew, seconds);
                self.crash(member, zombie);
            }
            Step::Move { partition, to } => self.move_partition(partition, to),
            Step::Expel { member } => self.broker.expel(member),
            Step::Hear { member } => self.members[member].hear(&self.broker),
            Step::TimeOut => self.broker.time_out(),
            Step::ZombiesRead { from } => self.zombies.iter_mut().for_each(|zombie| {
                zombie.read(from, &self.broker);
            }),
            Step::ZombiesBegin => self.zombies.iter_mut().for_each(Member::begin),
            Step::ZombiesSendOffsets => {
                self.zombies.iter_mut().for_each(|zombie| zombie.send_offsets(&mut self.broker));
            }
            Step::ZombiesCommit => {
                self.zombies.iter_mut().for_each(|zombie| zombie.commit(&mut self.broker));
            }
            Step::LoseHead { partition, share } => {
                let log = &mut self.broker.logs[partition];
                log.lose_head(log.end() * i64::from(share) / 100);
            }
            Step::LoseTail { partition, share } => self.lose_tail(partition, share),
        }
    }

    fn append(&mut self, partition: usize, event_time: Option<EpochSeconds>, event_id: Option<u8>) {
        let id = self.records[partition] * PARTITIONS + partition;
        self.records[partition] += 1;
        let timestamp = self.wall_clock();
        self.broker.logs[partition].append(id, NewRecord { event_time, event_id, timestamp });
    }

    /// The process is gone, or takes itself to be alive still: then it has a transactional id of its own, as one without
    /// an instance id has, and only the group fences it.
    fn crash(&mut self, member: usize, zombie: bool) {
        let (_, life) = self.members[member].producer();
        if !zombie {
            self.broker.abort((member, life));
        }
        self.broker.expel(member);
        let reborn = Member::start((member, life + 1), self.limits, self.postcodes, &self.broker);
        let crashed = std::mem::replace(&mut self.members[member], reborn);
        if zombie {
            self.zombies.push(crashed);
        }
    }

    /// Incrementally: the old owner has let go before the new one hears.
    fn move_partition(&mut self, partition: usize, to: usize) {
        let from = self.broker.owners[partition];
        if from == to || self.members[from].has_transaction() {
            return;
        }
        self.broker.owners[partition] = to;
        self.broker.generation += 1;
        self.members[from].hear(&self.broker);
    }

    /// An unclean leader election, which its partition's owner learns of.
    fn lose_tail(&mut self, partition: usize, share: u8) {
        self.broker.time_out();
        self.members.iter_mut().for_each(|member| member.abort(&mut self.broker));
        let log = &mut self.broker.logs[partition];
        log.lose_tail(log.end() * i64::from(share) / 100);
        self.flush();
    }

    fn settle(&mut self) {
        self.zombies.clear();
        self.broker.time_out();
        self.flush();
        for member in &mut self.members {
            while member.read(0, &self.broker) {}
        }
        self.flush();
    }

    fn flush(&mut self) {
        for _ in 0..2 {
            for member in &mut self.members {
                member.send_offsets(&mut self.broker);
                member.commit(&mut self.broker);
                member.hear(&self.broker);
                member.begin();
            }
        }
    }

    fn idle(&mut self) {
        let now = self.wall_clock();
        self.members.iter_mut().for_each(|member| member.idle(now, &self.broker));
    }

    fn wall_clock(&self) -> EpochMillis {
        EpochSeconds(self.now).to_millis()
    }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}
