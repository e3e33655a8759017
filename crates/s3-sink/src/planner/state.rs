//! What a partition tells of itself.

use std::time::Instant;

use super::open::Open;
use super::{Flow, Partition, State};
use crate::action::Cause;
use crate::hint::Hint;

impl Partition {
    /// Whether a drain has nothing left to write. A range to be written *again* is left to the next owner.
    #[must_use]
    pub const fn drained(&self) -> bool {
        self.writing.is_none() && !matches!(self.state, State::Filling(Some(_)))
    }

    /// What may be committed while nothing waits to be written: the end of the last range, or `position` if the log was
    /// read up to there, for nothing but control records lies in between.
    #[must_use]
    pub fn idle_at(&self, position: Option<i64>) -> Option<Hint> {
        let idle = matches!(self.state, State::Filling(None))
            && self.writing.is_none()
            && self.flow == Flow::Reading;
        let ledger = self.completed.filter(|_| idle)?;
        let committed = position.map_or(self.position, |position| position.max(self.position));
        Some(Hint { committed, ledger })
    }

    /// Up to where everything is in S3, once that is known.
    #[must_use]
    pub fn written_to(&self) -> Option<i64> {
        match (&self.state, &self.writing) {
            (State::Finding | State::Waiting(_) | State::Parked, _) => None,
            (State::Redoing { fixed, .. }, _) => Some(fixed.entry.start),
            (State::Filling(_), Some(writing)) => Some(writing.start),
            (State::Filling(_), None) => Some(self.start),
        }
    }

    /// Memory of what was read and is not handed out to be written, in bytes.
    #[must_use]
    pub fn filling(&self) -> usize {
        let cut = self.writing.as_ref().map_or(0, |writing| writing.memory);
        cut + self.filled().map_or(0, Open::memory)
    }

    /// How much waits for an encoder, in bytes.
    #[must_use]
    pub fn unencoded(&self) -> usize {
        self.filled().map_or(0, Open::unencoded)
    }

    /// When the oldest record came that was read and is not written.
    #[must_use]
    pub fn oldest(&self) -> Option<Instant> {
        self.writing.as_ref().map(|writing| writing.since).or(self.filled().map(Open::since))
    }

    /// Bytes of memory that [`Partition::cut`] would send on their way.
    #[must_use]
    pub const fn cuttable(&self) -> usize {
        match (&self.state, &self.writing) {
            (State::Filling(Some(open)), None) => open.memory(),
            _ => 0,
        }
    }

    /// Whether it is assigned but not delivered.
    #[must_use]
    pub fn paused(&self) -> bool {
        self.flow != Flow::Reading
    }

    /// Whether it uses the permit that it was given.
    #[must_use]
    pub fn redoing(&self) -> bool {
        matches!(self.state, State::Redoing { .. })
            || self.writing.as_ref().is_some_and(|writing| writing.cause == Cause::Redo)
    }

    const fn filled(&self) -> Option<&Open> {
        match &self.state {
            State::Filling(open) | State::Redoing { open, .. } => open.as_ref(),
            State::Finding | State::Waiting(_) | State::Parked => None,
        }
    }
}
