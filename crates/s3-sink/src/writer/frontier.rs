//! Where each partition goes on: looking it up in the ledger, and seeking there.

use std::fmt;
use std::time::Instant;

use service::clock;

use super::{Ended, PAUSE, TICK, Writer};
use crate::assigned::{Assigned, Seek};
use crate::frontier::Found;
use crate::hint::Hint;
use crate::identity::Doubt;
use crate::planner::Partition;

/// How many seeks may fail, a tick apart, before the partition is assigned to the consumer anew.
const SEEKS: u32 = 40;

impl Writer {
    pub(super) fn found(&mut self, now: Instant, number: i32, found: Found, committed: Option<Hint>) {
        tracing::info!(writer = %self.kind, topic = self.topic, partition = number, "frontier: {found}");
        if let Some(assigned) = self.assigned.get_mut(&number) {
            assigned.trouble = None;
            assigned.committed = committed;
        }
        self.ask(number, |partition| partition.found(now, found));
    }

    /// Seeks where planners want to read. A partition that was just assigned may not be ready for it, and one whose
    /// position left the log never is: that is assigned to the consumer anew.
    pub(super) fn seek(&mut self, now: Instant) {
        for number in self.numbers() {
            if self.is_late(now) {
                return;
            }
            let Some(assigned) = self.assigned.get_mut(&number) else { continue };
            let Some(Seek { from, failures, .. }) = assigned.seek.filter(|seek| seek.at <= now) else {
                continue;
            };
            let done = match failures {
                0..SEEKS => self.consumer.read_from(number, from),
                _ => self.consumer.start_at(number, from),
            };
            assigned.seek = match done {
                Ok(()) => {
                    assigned.trouble = None;
                    None
                }
                Err(error) => {
                    tracing::debug!(writer = %self.kind, partition = number, from, %error, "seek");
                    assigned.failed("seek", &error, now);
                    Some(Seek { from, at: now + TICK, failures: (failures + 1) % (SEEKS + 1) })
                }
            };
        }
    }

    /// Starts looking for the frontiers that planners ask for, and lets one of them write a range again.
    pub(super) fn find(&mut self, now: Instant) -> Result<(), Ended> {
        let due = |assigned: &Assigned| assigned.find_at.is_some_and(|at| at <= now);
        let numbers: Vec<_> =
            self.assigned.iter().filter(|(_, assigned)| due(assigned)).map(|(n, _)| *n).collect();
        if !numbers.is_empty() && self.is_ours(now, &numbers)? {
            match self.consumer.hints(&numbers) {
                Ok(hints) => {
                    numbers.into_iter().zip(hints).for_each(|(number, hint)| self.look_up(now, number, hint))
                }
                Err(error) => numbers.into_iter().for_each(|number| self.find_later(number, &error)),
            }
        }
        for number in self.numbers() {
            let Some(assigned) = self.assigned.get_mut(&number) else { continue };
            if assigned.partition.wants_redo() {
                assigned.redo = self.surroundings.budget.redo();
                if assigned.redo.is_some() {
                    self.ask(number, Partition::permit);
                }
            }
        }
        Ok(())
    }

    /// Whether the topic is still the one whose ledger was claimed: another one of the same name must not be read into
    /// it. If nobody can say, `numbers` look for their frontiers later.
    pub(super) fn is_ours(&mut self, now: Instant, numbers: &[i32]) -> Result<bool, Ended> {
        match self.identity.confirm(now, || self.consumer.origin()) {
            Ok(()) => Ok(true),
            Err(Doubt::Foreign(found)) => {
                let claimed = Box::new(self.identity.claimed().clone());
                Err(Ended::Foreign { claimed, found: Box::new(found) })
            }
            Err(Doubt::Unanswered(error)) => {
                numbers.iter().for_each(|number| self.find_later(*number, &error));
                Ok(false)
            }
        }
    }

    fn look_up(&mut self, now: Instant, number: i32, hint: Option<Hint>) {
        if self.is_late(now) {
            return self.find_later(number, &"others took long");
        }
        let log = match self.consumer.log(number) {
            Ok(log) => log,
            Err(error) => return self.find_later(number, &error),
        };
        let Some(assigned) = self.assigned.get_mut(&number) else { return };
        let keys = assigned.partition.source().ledger();
        assigned.find_at = None;
        assigned.finding = Some(self.tasks.look_up(number, assigned.id, keys, hint, log.start));
    }

    pub(super) fn find_later(&mut self, number: i32, error: &impl fmt::Display) {
        tracing::debug!(writer = %self.kind, partition = number, %error, "cannot look for the frontier yet");
        if let Some(assigned) = self.assigned.get_mut(&number) {
            let now = clock::monotonic();
            assigned.failed("look for the frontier", error, now);
            assigned.find_at = Some(now + PAUSE);
        }
    }
}
