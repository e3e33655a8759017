//! What one partition adds to a transaction.

use model::PageviewAggregate;

use crate::resume_point::ResumePoint;

/// One partition's part of a transaction: all of it is committed, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a flush that is not committed is lost, and with it the partition's state"]
pub struct Flush {
    /// Counts of windows that closed, and partial ones that the memory valve let out.
    pub rows: Vec<PageviewAggregate>,
    /// Counts of events that came after their window had closed.
    pub late: Vec<PageviewAggregate>,
    /// Repeats dropped since the flush before.
    pub repeats: u64,
    /// The offset to commit: the first record that an open window still needs.
    pub offset: i64,
    /// The metadata to commit with it.
    pub resume_point: ResumePoint,
}
