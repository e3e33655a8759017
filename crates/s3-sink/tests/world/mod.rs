//! The world that the protocol runs in.

mod bucket;
mod owner;
mod verdict;

use std::time::{Duration, Instant};

use model::EpochMillis;
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use s3_sink::format::Format;
use s3_sink::frontier::Log;
use s3_sink::hint::Hint;

use bucket::Bucket;
use owner::Owner;

/// What is wrong with the world, or with the owners in it, for runs that have to find it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bug {
    /// A PUT replaces what is there, whatever its condition.
    Overwrites,
    /// A list does not show the newest key.
    StaleLists,
    /// An owner starts where the committed offset says.
    TrustsCommits,
    /// An owner commits before it writes.
    CommitsFirst,
    /// An owner writes the objects before the entry.
    ObjectsFirst,
    /// An owner writes a range again in the format of its own configuration.
    OwnFormat,
    /// An owner whose position has left the log goes on at the log's start, as `auto.offset.reset=earliest` does.
    JumpsAhead,
    /// An owner believes that there is nothing to write again.
    NeverAgain,
}

impl Bug {
    pub(crate) const ALL: [Self; 8] = [
        Self::Overwrites,
        Self::StaleLists,
        Self::TrustsCommits,
        Self::CommitsFirst,
        Self::ObjectsFirst,
        Self::OwnFormat,
        Self::JumpsAhead,
        Self::NeverAgain,
    ];
}

/// A record of the log.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    pub(crate) timestamp: EpochMillis,
    pub(crate) value: Option<Vec<u8>>,
}

/// One partition of a topic, its committed offset, the bucket, and whoever thinks that it owns the partition.
pub(crate) struct World {
    random: Random,
    bug: Option<Bug>,
    /// `None` is a control record: it takes an offset and is never delivered.
    log: Vec<Option<Logged>>,
    /// Retention has dropped what lies before.
    log_start: i64,
    committed: Option<(i64, String)>,
    /// Commits sent, which may be applied at any time, or again, or never.
    commits: Vec<Hint>,
    bucket: Bucket,
    owners: Vec<Owner>,
    now: Instant,
}

const OWNERS: usize = 3;
const HOUR: i64 = 3_600_000;

impl World {
    pub(crate) fn new(seed: u64, bug: Option<Bug>) -> Self {
        Self {
            random: Random::new(seed),
            bug,
            log: Vec::new(),
            log_start: 0,
            committed: None,
            commits: Vec::new(),
            bucket: Bucket::new(bug),
            owners: Vec::new(),
            now: service::clock::monotonic(),
        }
    }

    /// Some chaos, then calm, then the verdict.
    pub(crate) fn run(mut self) -> Result<(), String> {
        let moves = [40, 100, 250][self.random.below(3)];
        for _ in 0..moves {
            self.any_move()?;
        }
        self.calm()?;
        verdict::of(&self.log, self.log_start, &self.bucket)
    }

    fn any_move(&mut self) -> Result<(), String> {
        match self.random.below(100) {
            0..18 => self.append(),
            18..21 => self.expire_or_reset(),
            21..24 => self.stale_commit(),
            24..26 => self.bucket.land_late(&mut self.random),
            26..27 => self.delete_on_purpose(),
            27..32 if self.owners.len() < OWNERS => {
                let owner = self.any_owner();
                self.owners.push(owner);
            }
            32 if self.random.below(4) == 0 => self.truncate(),
            32..34 => self.now += Duration::from_secs(40),
            roll => return self.owner_moves(roll),
        }
        Ok(())
    }

    fn owner_moves(&mut self, roll: usize) -> Result<(), String> {
        if self.owners.is_empty() {
            return Ok(());
        }
        let index = self.random.below(self.owners.len());
        let log = self.log_bounds();
        let owner = &mut self.owners[index];
        match roll {
            0..36 => {
                self.bucket.crash(owner.id(), &mut self.random);
                self.owners.swap_remove(index);
                return Ok(());
            }
            36..38 => owner.revoke(),
            38..40 => owner.reassign(),
            40..43 => owner.memory_is_short(),
            43..47 => owner.lose_position(),
            47..48 => owner.drain(),
            48..50 => owner.time_passes(self.now),
            50..72 => owner.deliver(&self.log, self.log_start, self.now),
            72..78 => owner.encode(&mut self.random),
            _ => self.bucket.step(owner.id(), &mut self.random),
        }
        owner.work(log, self.now, self.committed.as_ref(), &mut self.commits)
    }

    fn log_bounds(&self) -> Log {
        Log { start: self.log_start, end: self.log.len() as i64 }
    }

    /// A record, sometimes of a later hour, sometimes one that no line of NDJSON can hold, or that is no pageview; or a
    /// control record.
    fn append(&mut self) {
        let offset = self.log.len();
        let hour = (offset / 7) as i64;
        let timestamp = EpochMillis(1_795_525_200_000 + hour * HOUR - self.random.below(3) as i64 * HOUR / 2);
        let value = match self.random.below(12) {
            0 => None,
            1 => Some(event(offset).replace(',', ",\n").into_bytes()),
            2 => Some(format!("{{\"offset\":{offset}}}").into_bytes()),
            _ => Some(event(offset).into_bytes()),
        };
        self.log.push((self.random.below(6) > 0).then_some(Logged { timestamp, value }));
    }

    /// Retention drops the beginning of the log, written or not.
    fn truncate(&mut self) {
        let rest = self.log.len() - self.log_start as usize;
        self.log_start += self.random.below(rest.min(6) + 1) as i64;
    }

    fn any_owner(&mut self) -> Owner {
        let size = [20, 160, 500][self.random.below(3)];
        let format = Format::ALL[self.random.below(Format::ALL.len())];
        Owner::start(&self.bucket, size, format, self.bug)
    }

    fn expire_or_reset(&mut self) {
        self.committed = match self.random.below(3) {
            0 => None,
            1 => Some((0, String::new())),
            _ => Some((self.random.below(self.log.len() + 1) as i64, String::new())),
        };
    }

    fn stale_commit(&mut self) {
        if !self.commits.is_empty() {
            let hint = self.commits[self.random.below(self.commits.len())];
            self.committed = Some((hint.committed, hint.metadata()));
        }
    }

    /// Somebody deletes an object of a range that was completed: of one that the committed hint names, or of any
    /// before it.
    fn delete_on_purpose(&mut self) {
        let hint = self.committed.as_ref().and_then(|(offset, metadata)| Hint::parse(*offset, metadata));
        if let Some(hint) = hint {
            self.bucket.delete_object_up_to(hint.ledger, &mut self.random);
        }
    }

    /// Everybody dies, what was on its way lands before or after, and one owner reads to the end.
    fn calm(&mut self) -> Result<(), String> {
        for owner in std::mem::take(&mut self.owners) {
            self.bucket.crash(owner.id(), &mut self.random);
        }
        let late_first = self.random.below(2) == 0;
        if late_first {
            self.bucket.land_all();
        }
        let last = event(self.log.len()).into_bytes();
        self.log.push(Some(Logged { timestamp: EpochMillis(1_795_525_200_000), value: Some(last) }));
        let mut owner = self.any_owner();
        for _ in 0..20_000 {
            owner.work(self.log_bounds(), self.now, self.committed.as_ref(), &mut self.commits)?;
            if owner.has_written_to(self.log.len() as i64) {
                self.bucket.land_all();
                return Ok(());
            }
            self.bucket.land_one(owner.id());
            owner.deliver(&self.log, self.log_start, self.now);
            owner.encode(&mut self.random);
            if owner.has_read_to(self.log.len() as i64) {
                self.now += Duration::from_secs(60);
                owner.time_passes(self.now);
            }
        }
        Err(format!("the last owner never gets to the end: {owner:?}"))
    }
}

fn event(offset: usize) -> String {
    format!(r#"{{"user_id":{offset},"postcode":"sw19","webpage":"a","timestamp":1611662684}}"#)
}

/// Chance, the same for the same seed.
#[derive(Debug)]
pub(crate) struct Random(StdRng);

impl Random {
    fn new(seed: u64) -> Self {
        Self(StdRng::seed_from_u64(seed))
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0.random_range(0..bound.max(1))
    }
}
