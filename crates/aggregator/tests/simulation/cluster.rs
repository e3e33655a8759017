//! The broker as far as it matters: a log, a group whose generation fences, transactions, and a committed offset.

use std::collections::BTreeMap;
use std::time::Duration;

use aggregator::resume_point::ResumePoint;
use aggregator::windows::Limits;
use model::{EpochMillis, EpochSeconds, PageviewAggregate, Postcode};

use crate::log::Log;
use crate::member::{Member, Transaction};
use crate::steps::Step;

pub(crate) const FIRST_GRACE: i64 = 30;
pub(crate) const MAX_FUTURE_SKEW: i64 = 40;
const IDLE_TIMEOUT: i64 = 50;

/// What a record came out as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Counted,
    Late,
    DeadLetter,
}

/// How records get their postcodes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Postcodes {
    OneEach,
    Shared,
}

impl Postcodes {
    pub(crate) fn of(self, id: usize) -> Postcode {
        let text = match self {
            Self::OneEach => format!("R{id}"),
            Self::Shared => ["A", "B", "C"][id % 3].to_owned(),
        };
        Postcode::parse(&text).expect("a postcode")
    }
}

/// A committed offset.
#[derive(Debug, Clone)]
pub(crate) struct Commit {
    pub(crate) offset: i64,
    pub(crate) metadata: String,
}

pub(crate) struct Cluster {
    log: Log,
    now: i64,
    grace: i64,
    skew: i64,
    postcodes: Postcodes,
    generation: u64,
    committed: Commit,
    owner: Member,
    zombies: Vec<Member>,
    aggregates: Vec<PageviewAggregate>,
    late: Vec<PageviewAggregate>,
    dead_letters: Vec<usize>,
}

impl Cluster {
    pub(crate) fn new(postcodes: Postcodes) -> Self {
        let committed = Commit { offset: 0, metadata: ResumePoint::at(0).to_string() };
        let log = Log::default();
        let owner = Member::restore(0, &committed, &log, limits(FIRST_GRACE, MAX_FUTURE_SKEW), postcodes);
        Self {
            log,
            now: 10_000,
            grace: FIRST_GRACE,
            skew: MAX_FUTURE_SKEW,
            postcodes,
            generation: 0,
            committed,
            owner,
            zombies: Vec::new(),
            aggregates: Vec::new(),
            late: Vec::new(),
            dead_letters: Vec::new(),
        }
    }

    /// Lives through `steps`, then reads what is left and lets every window close.
    pub(crate) fn run(&mut self, steps: &[Step]) {
        steps.iter().for_each(|step| self.step(step));
        while self.owner.read(&self.log) {}
        self.finish_flushing();
        self.idle();
        self.now += 10_000;
        self.idle();
        self.finish_flushing();
        assert_eq!(self.owner.open_windows(), 0, "the wall clock closes what nothing else does");
    }

    fn step(&mut self, step: &Step) {
        match *step {
            Step::Append { behind, after } => {
                self.log.append(Some(EpochSeconds(self.now - behind)), self.wall_clock());
                self.now += after;
            }
            Step::AppendGarbage => self.log.append(None, self.wall_clock()),
            Step::AppendControl => self.log.append_control(),
            Step::Wait(seconds) => self.now += seconds,
            Step::Read => {
                self.owner.read(&self.log);
            }
            Step::Begin => self.owner.begin(),
            Step::Commit => self.commit(),
            Step::Abort => {
                if self.owner.transaction.is_some() {
                    self.owner = self.restored();
                }
            }
            Step::Idle => self.idle(),
            Step::Crash { into_zombie, grace, skew } => {
                self.skew = skew.unwrap_or(self.skew);
                self.crash(into_zombie, grace);
            }
            Step::ZombieReads => self.zombies.iter_mut().for_each(|zombie| {
                zombie.read(&self.log);
            }),
            Step::ZombieBegins => self.zombies.iter_mut().for_each(Member::begin),
            Step::ZombieCommits => self.zombies_commit(),
            Step::LoseHead { share } => {
                // Retention does not outrun the readers here; what it costs when it does is in `lost`.
                let end = self.log.end() * i64::from(share) / 100;
                self.log.lose_head(end);
            }
            Step::LoseTail { share } => {
                self.log.lose_tail(self.log.end() * i64::from(share) / 100);
                self.owner = self.restored();
                self.finish_flushing();
            }
        }
    }

    fn crash(&mut self, into_zombie: bool, grace: Option<i64>) {
        self.grace = grace.unwrap_or(self.grace);
        self.generation += 1;
        let restored = self.restored();
        let crashed = std::mem::replace(&mut self.owner, restored);
        if into_zombie {
            self.zombies.push(crashed);
        }
    }

    fn restored(&self) -> Member {
        Member::restore(
            self.generation,
            &self.committed,
            &self.log,
            limits(self.grace, self.skew),
            self.postcodes,
        )
    }

    fn idle(&mut self) {
        self.owner.idle(self.wall_clock(), &self.log);
    }

    fn finish_flushing(&mut self) {
        self.commit();
        self.owner.begin();
        self.commit();
    }

    fn commit(&mut self) {
        if let Some(transaction) = self.owner.transaction.take() {
            self.write(transaction);
        }
    }

    /// The broker compares generations; a zombie learns of it and leaves.
    fn zombies_commit(&mut self) {
        for mut zombie in std::mem::take(&mut self.zombies) {
            match zombie.transaction.take() {
                None => self.zombies.push(zombie),
                Some(transaction) if zombie.generation == self.generation => self.write(transaction),
                Some(_) => {}
            }
        }
    }

    /// All of it, atomically.
    fn write(&mut self, Transaction { flush, dead_letters }: Transaction) {
        self.aggregates.extend(flush.rows);
        self.late.extend(flush.late);
        self.dead_letters.extend(dead_letters);
        self.committed = Commit { offset: flush.offset, metadata: flush.resume_point.to_string() };
    }

    fn wall_clock(&self) -> EpochMillis {
        EpochSeconds(self.now).to_millis()
    }

    pub(crate) fn log(&self) -> &Log {
        &self.log
    }

    pub(crate) fn aggregates(&self) -> &[PageviewAggregate] {
        &self.aggregates
    }

    pub(crate) fn dead_letters(&self) -> usize {
        self.dead_letters.len()
    }

    pub(crate) fn resume_point(&self) -> Option<ResumePoint> {
        self.committed.metadata.parse().ok()
    }

    /// How many events were counted, in time or late.
    pub(crate) fn counted(&self) -> u64 {
        self.aggregates.iter().chain(&self.late).map(|row| row.pageview_count).sum()
    }

    /// What the record came out as, as often as it did; each under a postcode of its own.
    pub(crate) fn fates(&self, id: usize) -> Vec<Fate> {
        let postcode = self.postcodes.of(id);
        let counts = |rows: &[PageviewAggregate]| -> u64 {
            rows.iter().filter(|row| row.postcode == postcode).map(|row| row.pageview_count).sum()
        };
        let outputs = BTreeMap::from([
            (0, (Fate::Counted, counts(&self.aggregates))),
            (1, (Fate::Late, counts(&self.late))),
            (2, (Fate::DeadLetter, self.dead_letters.iter().filter(|dead| **dead == id).count() as u64)),
        ]);
        outputs.into_values().flat_map(|(fate, times)| (0..times).map(move |_| fate)).collect()
    }
}

fn limits(grace: i64, skew: i64) -> Limits {
    Limits { grace: seconds(grace), idle_timeout: seconds(IDLE_TIMEOUT), max_future_skew: seconds(skew) }
}

fn seconds(seconds: i64) -> Duration {
    Duration::from_secs(seconds.unsigned_abs())
}
