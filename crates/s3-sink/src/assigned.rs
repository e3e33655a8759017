//! A partition that a writer owns, and what its planner asked for that is not done yet.

use std::fmt;
use std::time::{Duration, Instant};

use tokio::sync::OwnedSemaphorePermit;

use crate::hint::Hint;
use crate::planner::Partition;
use crate::tasks::LookUp;

/// How long something may fail before people are told: a rebalance takes less.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) struct Assigned {
    /// Tells this assignment from an earlier one of the same partition.
    pub(crate) id: u64,
    pub(crate) partition: Partition,
    pub(crate) find_at: Option<Instant>,
    pub(crate) finding: Option<LookUp>,
    pub(crate) seek: Option<Seek>,
    pub(crate) redo: Option<OwnedSemaphorePermit>,
    /// What Kafka was told last, as far as is known.
    pub(crate) committed: Option<Hint>,
    /// Where the consumer stood at the last look.
    pub(crate) stood: Option<i64>,
    pub(crate) parked: Option<String>,
    pub(crate) trouble: Option<Trouble>,
}

/// A seek that is due.
#[derive(Clone, Copy)]
pub(crate) struct Seek {
    pub(crate) from: i64,
    pub(crate) at: Instant,
    pub(crate) failures: u32,
}

/// What is tried again and again.
pub(crate) struct Trouble {
    since: Instant,
    reason: String,
}

impl Assigned {
    pub(crate) const fn new(id: u64, partition: Partition) -> Self {
        Self {
            id,
            partition,
            find_at: None,
            finding: None,
            seek: None,
            redo: None,
            committed: None,
            stood: None,
            parked: None,
            trouble: None,
        }
    }

    /// Whether the consumer stands where the planner thinks. While a seek is due it may deliver from where it stood
    /// before: of what comes then a range would have a hole, and its position would be committed as if all before it
    /// were in S3.
    pub(crate) const fn in_place(&self) -> bool {
        self.seek.is_none()
    }

    /// The hint to commit, if Kafka does not have it: a commit may fail, and idle there is no next one.
    pub(crate) fn uncommitted(&self, position: Option<i64>) -> Option<Hint> {
        let hint = self.partition.idle_at(position).filter(|_| self.in_place())?;
        let known = self.committed.is_some_and(|committed| committed.completed(hint.ledger, hint.committed));
        (!known).then_some(hint)
    }

    /// Something failed that will be tried again.
    pub(crate) fn failed(&mut self, what: &str, error: &impl fmt::Display, now: Instant) {
        let since = self.trouble.as_ref().map_or(now, |trouble| trouble.since);
        self.trouble = Some(Trouble { since, reason: format!("cannot {what}: {error}") });
    }

    /// Why it stands still, if somebody should know.
    pub(crate) fn stuck(&self, now: Instant) -> Option<&str> {
        let trouble = self.trouble.as_ref().filter(|trouble| now - trouble.since >= PATIENCE);
        self.parked.as_deref().or(trouble.map(|trouble| trouble.reason.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use crate::format::Format;
    use crate::frontier::Found;
    use crate::planner::Cuts;
    use crate::range::Source;

    fn idle() -> (Assigned, Instant) {
        let source = Source { kind: Kind::Raw, topic: "t".to_owned(), partition: 0 };
        let (mut partition, _) =
            Partition::assigned(source, Cuts { size: 1, age: PATIENCE, format: Format::NdjsonGz });
        let now = service::clock::monotonic();
        let found =
            Found::Continue { from: 20, reads: 20, completed: Some(10), committed: false, loss: None };
        partition.found(now, found);
        assert!(partition.cut(crate::action::Cause::Memory).is_empty());
        (Assigned::new(1, partition), now)
    }

    #[test]
    fn the_last_hint_is_committed_until_kafka_has_it() {
        let (mut assigned, _) = idle();
        let last = Hint { committed: 20, ledger: 10 };
        assert_eq!(assigned.uncommitted(None), Some(last));
        assigned.committed = Some(last);
        assert_eq!(assigned.uncommitted(None), None);
        assert_eq!(assigned.uncommitted(Some(25)), Some(Hint { committed: 25, ledger: 10 }));
        assigned.committed = Some(Hint { committed: 25, ledger: 10 });
        assert_eq!(assigned.uncommitted(None), None, "never back");
        assigned.committed = None;
        assert_eq!(assigned.uncommitted(None), Some(last), "that commit failed");
    }

    #[test]
    fn where_the_consumer_stood_before_a_seek_is_committed_by_nobody() {
        let (mut assigned, now) = idle();
        assigned.seek = Some(Seek { from: 20, at: now, failures: 0 });
        assert!(!assigned.in_place());
        assert_eq!(assigned.uncommitted(Some(99)), None);
    }

    #[test]
    fn trouble_is_told_once_it_lasts() {
        let (mut assigned, now) = idle();
        assigned.failed("seek", &"state", now);
        assert_eq!(assigned.stuck(now + PATIENCE / 2), None);
        assigned.failed("seek", &"timed out", now + PATIENCE / 2);
        assert_eq!(assigned.stuck(now + PATIENCE), Some("cannot seek: timed out"));
        assigned.trouble = None;
        assert_eq!(assigned.stuck(now + PATIENCE), None);
        assigned.parked = Some("parked".to_owned());
        assert_eq!(assigned.stuck(now), Some("parked"));
    }
}
