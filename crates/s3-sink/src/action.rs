//! What a planner asks of its shell.

use crate::frontier::Blocked;
use crate::hint::Hint;
#[cfg(doc)]
use crate::planner::Partition;
use crate::range::Sealed;

/// What the shell has to do.
#[derive(Debug)]
pub enum Action {
    /// Look for the frontier in the ledger, then call [`Partition::found`].
    Find,
    /// Deliver records from this offset on.
    Read(i64),
    /// Deliver none.
    Pause,
    /// Write the range, then call [`Partition::written`], [`Partition::outdone`] or [`Partition::park`].
    Write(Plan),
    /// Commit the offset as a hint.
    Commit(Hint),
    /// The partition has stopped for good; whoever owns it next tries again.
    Parked(Blocked),
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
    /// The process stops.
    Shutdown,
    /// The ledger had fixed it, and objects were missing: it is written a second time.
    Redo,
}
