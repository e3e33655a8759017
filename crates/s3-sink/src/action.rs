//! What a planner asks of its shell.

use crate::batch::Batch;
use crate::encode::{self, Tools};
use crate::frontier::Blocked;
use crate::hint::Hint;
use crate::ledger::Entry;
#[cfg(doc)]
use crate::planner::Partition;
use crate::range::{Range, Sealed};

/// What the shell has to do.
#[derive(Debug)]
pub enum Action {
    /// Look for the frontier in the ledger, then call [`Partition::found`].
    Find,
    /// Deliver records from this offset on.
    Read(i64),
    /// Deliver none.
    Pause,
    /// Have it encoded, then call [`Partition::encoded`].
    Encode(Job),
    /// Write the range, then call [`Partition::written`], [`Partition::outdone`] or [`Partition::park`].
    Write(Plan),
    /// Commit the offset as a hint.
    Commit(Hint),
    /// Tell it loudly: records will never be in S3.
    Lost(Loss),
    /// The partition has stopped for good; whoever owns it next tries again.
    Parked(Blocked),
}

/// Work for an encoder. It takes time, so nobody who polls does it.
#[derive(Debug)]
pub struct Job {
    /// Which of the partition's ranges it is.
    pub id: u64,
    /// The range, which goes there and comes back.
    pub range: Range,
    /// What is added to it.
    pub batch: Batch,
    /// Whether that is all.
    pub seal: bool,
}

/// What an encoder gives back.
#[derive(Debug)]
pub struct Encoded {
    /// Which of the partition's ranges it is.
    pub id: u64,
    /// What became of it.
    pub what: Result<Progress, encode::Error>,
    /// The batch, emptied: its memory is good for the next one.
    pub batch: Batch,
}

/// What became of a range.
#[derive(Debug)]
pub enum Progress {
    /// It has grown.
    Grown(Range),
    /// It is whole.
    Sealed(Sealed),
}

impl Job {
    /// Does it.
    #[must_use]
    pub fn run(self, tools: &mut Tools) -> Encoded {
        let Self { id, mut range, mut batch, seal } = self;
        let what = range.push(&batch, tools).and_then(|()| {
            if seal { range.seal(tools).map(Progress::Sealed) } else { Ok(Progress::Grown(range)) }
        });
        batch.clear();
        Encoded { id, what, batch }
    }
}

/// Records that the log dropped before they were in S3.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// Nobody had read them; the ledger says so from now on.
    #[error(
        "offsets [{from}, {to}) left the log before they were written to S3; the ledger lists them as lost"
    )]
    Unread {
        /// The first.
        from: i64,
        /// The first that the log still has.
        to: i64,
    },
    /// Their owner had fixed the range and died before its objects were written, and nobody came in time.
    #[error(
        "{key} was fixed and never finished, and the log has dropped its records: its missing objects are lost"
    )]
    Unfinished {
        /// The entry.
        key: String,
        /// How many offsets it covers: records, or nothing.
        offsets: u64,
    },
}

impl Loss {
    /// The range of `entry` can be written by nobody any more.
    #[must_use]
    pub fn unfinished(entry: &Entry) -> Self {
        Self::Unfinished { key: entry.key(), offsets: entry.end.abs_diff(entry.start) }
    }

    /// How many offsets it is about.
    #[must_use]
    pub const fn offsets(&self) -> u64 {
        match self {
            Self::Unread { from, to } => to.abs_diff(*from),
            Self::Unfinished { offsets, .. } => *offsets,
        }
    }
}

/// A range to be written.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What the ledger says, or shall say.
    pub sealed: Sealed,
    /// Why it was cut.
    pub cause: Cause,
}

/// Why a range was cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// It was large enough.
    Size,
    /// It was old enough.
    Age,
    /// A record came that belongs into another hour, or one day too many.
    Boundary,
    /// Memory was short.
    Memory,
    /// Retention has passed the position.
    Passed,
    /// The process stops.
    Shutdown,
    /// The ledger had fixed it, and objects were missing: it is written a second time.
    Redo,
    /// The log had dropped it: only the ledger says so.
    Lost,
}
