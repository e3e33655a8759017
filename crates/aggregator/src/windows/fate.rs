//! What becomes of a record: the restore table.

use model::Reason;

/// What becomes of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is in the output already.
    Skip,
    /// Its count is in the output already, but while its window is open its id is still needed to know a repeat.
    RebuildIds,
    /// It adds one to its open window.
    Count,
    /// It would, but its event is in the window already.
    Repeat,
    /// It adds one to the late count of its window, which is closed.
    Late,
    /// It cannot be counted.
    DeadLetter(Reason),
}

/// Where a record's offset lies, compared with the resume point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Below `next`, and below `flushed`.
    BelowFlushed,
    /// Below `next`.
    BelowNext,
    /// At `next` or above: nobody has decided about it yet.
    Fresh,
}

/// Whether the window of an event that can be counted is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum WindowState {
    Open,
    Closed,
}

impl Fate {
    /// The restore table of DESIGN section 3.
    ///
    /// | record | malformed or over the guard | window closed | window open, below `flushed` | window open |
    /// | --- | --- | --- | --- | --- |
    /// | below `next` | skip | skip | rebuild ids | count |
    /// | at `next` or above | dead letter | late | (cannot be: `flushed <= next`) | count |
    pub(super) const fn of(place: Place, event: Result<WindowState, Reason>) -> Self {
        match (place, event) {
            (Place::BelowNext | Place::BelowFlushed, Err(_) | Ok(WindowState::Closed)) => Self::Skip,
            (Place::BelowFlushed, Ok(WindowState::Open)) => Self::RebuildIds,
            (Place::BelowNext | Place::Fresh, Ok(WindowState::Open)) => Self::Count,
            (Place::Fresh, Err(reason)) => Self::DeadLetter(reason),
            (Place::Fresh, Ok(WindowState::Closed)) => Self::Late,
        }
    }
}
