//! The world that the protocol runs in.

mod bucket;
mod owner;
mod verdict;

use std::time::{Duration, Instant};

use model::EpochMillis;
use s3_sink::hint::Hint;

use bucket::Bucket;
use owner::Owner;

/// What is wrong with the world, for runs that have to find it.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Faults {
    /// A PUT replaces what is there, whatever its condition.
    pub(crate) overwrites: bool,
    /// A list does not show the newest key.
    pub(crate) stale_lists: bool,
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
    /// `None` is a control record: it takes an offset and is never delivered.
    log: Vec<Option<Logged>>,
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
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            random: Random(seed),
            log: Vec::new(),
            committed: None,
            commits: Vec::new(),
            bucket: Bucket::new(faults),
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
        verdict::of(&self.log, &self.bucket)
    }

    fn any_move(&mut self) -> Result<(), String> {
        match self.random.below(100) {
            0..18 => self.append(),
            18..21 => self.expire_or_reset(),
            21..24 => self.stale_commit(),
            24..26 => self.bucket.land_late(&mut self.random),
            26..27 => self.delete_on_purpose(),
            27..32 if self.owners.len() < OWNERS => {
                let size = self.any_size();
                self.owners.push(Owner::start(&self.bucket, size));
            }
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
            50..75 => owner.deliver(&self.log, self.now),
            _ => self.bucket.step(owner.id(), &mut self.random),
        }
        owner.work(&self.log, self.committed.as_ref(), &mut self.commits)
    }

    /// A record, sometimes of a later hour, sometimes one that no line of NDJSON can hold; or a control record.
    fn append(&mut self) {
        let offset = self.log.len();
        let hour = (offset / 7) as i64;
        let timestamp = EpochMillis(1_795_525_200_000 + hour * HOUR - self.random.below(3) as i64 * HOUR / 2);
        let value = match self.random.below(12) {
            0 => None,
            1 => Some(format!("{{\n\"offset\":{offset}}}").into_bytes()),
            _ => Some(format!("{{\"offset\":{offset}}}").into_bytes()),
        };
        self.log.push((self.random.below(6) > 0).then_some(Logged { timestamp, value }));
    }

    fn any_size(&mut self) -> usize {
        [20, 60, 200][self.random.below(3)]
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
        self.log
            .push(Some(Logged { timestamp: EpochMillis(1_795_525_200_000), value: Some(b"{}".to_vec()) }));
        let size = self.any_size();
        let mut owner = Owner::start(&self.bucket, size);
        for _ in 0..20_000 {
            owner.work(&self.log, self.committed.as_ref(), &mut self.commits)?;
            if owner.has_written_to(self.log.len() as i64) {
                self.bucket.land_all();
                return Ok(());
            }
            self.bucket.land_one(owner.id());
            owner.deliver(&self.log, self.now);
            if owner.has_read_to(self.log.len() as i64) {
                self.now += Duration::from_secs(60);
                owner.time_passes(self.now);
            }
        }
        Err(format!("the last owner never gets to the end: {owner:?}"))
    }
}

/// SplitMix64: a generator of one line, the same everywhere.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) % bound.max(1) as u64) as usize
    }
}
