//! Where a partition goes on: decided from the ledger, whatever Kafka's committed offset says.

use std::fmt;

use crate::checksum::Checksum;
use crate::hint::Hint;
use crate::ledger::{self, Content, Entry};
use crate::route::UnknownRecipe;

/// What the log holds: offsets `[start, end)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Log {
    /// The first offset that retention has left.
    pub start: i64,
    /// The next offset that a committed record can have.
    pub end: i64,
}

/// The last thing that the ledger says of a partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Last {
    /// No range was fixed yet; the first starts here.
    Genesis(i64),
    /// The last range fixed, and whether all its objects exist.
    Entry {
        /// The range.
        entry: Entry,
        /// Whether all objects that it lists exist.
        complete: bool,
    },
}

/// Where to go on.
#[derive(Debug)]
pub enum Found {
    /// With new ranges.
    Continue {
        /// The frontier: the start of the next range.
        from: i64,
        /// The start of the last range, all of whose objects were written; `None` if there is none yet.
        completed: Option<i64>,
        /// Whether the committed offset says the same; if not, lag monitors see a lag that is none.
        committed: bool,
    },
    /// By writing the last range again: it was fixed, and its owner died before all objects were there.
    Redo {
        /// The range.
        entry: Entry,
        /// Where to read it from: its start, or where the log starts by now.
        from: i64,
    },
    /// Not at all.
    Blocked(Blocked),
}

/// Why a partition is parked. Nothing of this mends itself, and going on would lose or double records silently.
#[derive(Debug, thiserror::Error)]
pub enum Blocked {
    /// A document of the ledger cannot be used.
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
    /// The range to be written again follows rules of a later release.
    #[error("{key} cannot be written again: {unknown}")]
    UnknownRecipe {
        /// The entry.
        key: String,
        /// What is unknown.
        unknown: UnknownRecipe,
    },
    /// Retention dropped records before they were written.
    #[error("offsets [{frontier}, {log_start}) left the log before they were written to S3")]
    Lost {
        /// The next offset to be written.
        frontier: i64,
        /// The first that the log still has.
        log_start: i64,
    },
    /// The log is shorter than the ledger.
    #[error(
        "the log ends at {log_end}, but the ledger reaches to {frontier}: the partition lost records (an unclean \
         leader election?), and new ones would get offsets that are in S3 already"
    )]
    Behind {
        /// The next offset to be written.
        frontier: i64,
        /// The log's end.
        log_end: i64,
    },
    /// What was read again is not what the ledger says.
    #[error("{key} cannot be written again: the log no longer holds the records that it lists")]
    Unrepeatable {
        /// The entry.
        key: String,
    },
    /// An object is there, with other content than the ledger says. It is never overwritten.
    #[error("{key} holds {found}, and the ledger says {expected}: it was not written by this pipeline")]
    Conflict {
        /// The object.
        key: String,
        /// The checksum in the ledger.
        expected: Checksum,
        /// What the object's metadata says.
        found: String,
    },
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Continue { from, .. } => write!(f, "goes on at {from}"),
            Self::Redo { entry, .. } => {
                write!(f, "[{}, {}) was fixed and not finished: it is written again", entry.start, entry.end)
            }
            Self::Blocked(reason) => write!(f, "{reason}"),
        }
    }
}

/// Decides. The rows, from the top:
///
/// | last in the ledger | objects | committed hint names it | |
/// | --- | --- | --- | --- |
/// | genesis | | | continue at its start |
/// | lost range | | | continue at its end |
/// | range | all there | | continue at its end |
/// | range | missing | as completed | continue at its end: they were deleted on purpose |
/// | range | missing | no | write it again, if the log holds the end of it |
///
/// and continuing asks that the log begins at the frontier or before, and ends at it or later. `log` has to be looked at
/// *after* the ledger: a ledger that others go on writing may reach beyond an older log end.
#[must_use]
pub fn decide(last: Last, hint: Option<Hint>, log: Log) -> Found {
    let (from, completed) = match last {
        Last::Genesis(start) => (start, None),
        Last::Entry { entry, complete } => {
            let lost = entry.content == Content::Lost;
            let deleted = hint.is_some_and(|hint| hint.completed(entry.start, entry.end));
            if !(lost || complete || deleted) {
                return redo(entry, log);
            }
            (entry.end, Some(entry.start))
        }
    };
    if log.start > from {
        Found::Blocked(Blocked::Lost { frontier: from, log_start: log.start })
    } else if log.end < from {
        Found::Blocked(Blocked::Behind { frontier: from, log_end: log.end })
    } else {
        let committed = hint.is_some_and(|hint| completed.is_some_and(|start| hint.completed(start, from)));
        Found::Continue { from, completed, committed }
    }
}

/// The log may have lost the beginning of the range where no record was: only reading it tells.
fn redo(entry: Entry, log: Log) -> Found {
    if log.start >= entry.end {
        Found::Blocked(Blocked::Unrepeatable { key: entry.key() })
    } else if log.end < entry.end {
        Found::Blocked(Blocked::Behind { frontier: entry.end, log_end: log.end })
    } else {
        Found::Redo { from: entry.start.max(log.start), entry }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::Written;
    use crate::route::Router;

    const LOG: Log = Log { start: 0, end: 100 };

    fn last(complete: bool) -> Last {
        Last::Entry { entry: entry(Content::Written(written())), complete }
    }

    fn written() -> Written {
        let time = model::EpochMillis(0);
        let recipe = Router::recipe();
        Written { recipe, records: 0, first_timestamp: time, last_timestamp: time, objects: vec![] }
    }

    fn entry(content: Content) -> Entry {
        Entry { topic: "t".to_owned(), partition: 0, start: 10, end: 20, content }
    }

    fn told(last: Last, hint: Option<(i64, i64)>, log: Log) -> String {
        let hint = hint.map(|(committed, ledger)| Hint { committed, ledger });
        match decide(last, hint, log) {
            Found::Continue { from, completed, committed: false } => format!("continue {from} {completed:?}"),
            Found::Continue { from, .. } => format!("continue {from}, as committed"),
            Found::Redo { entry, from } => format!("redo [{}, {}) from {from}", entry.start, entry.end),
            Found::Blocked(Blocked::Lost { frontier, log_start }) => {
                format!("lost [{frontier}, {log_start})")
            }
            Found::Blocked(Blocked::Behind { frontier, log_end }) => format!("behind {frontier} {log_end}"),
            Found::Blocked(Blocked::Unrepeatable { .. }) => "unrepeatable".to_owned(),
            Found::Blocked(other) => other.to_string(),
        }
    }

    #[test]
    fn each_row_of_the_table() {
        assert_eq!(told(Last::Genesis(7), None, LOG), "continue 7 None");
        let lost = Last::Entry { entry: entry(Content::Lost), complete: false };
        assert_eq!(told(lost, None, LOG), "continue 20 Some(10)");
        assert_eq!(told(last(true), None, LOG), "continue 20 Some(10)");
        assert_eq!(told(last(true), Some((12, 0)), LOG), "continue 20 Some(10)");
        assert_eq!(told(last(true), Some((20, 10)), LOG), "continue 20, as committed");
        assert_eq!(told(last(false), Some((20, 10)), LOG), "continue 20, as committed");
        assert_eq!(told(last(false), Some((25, 10)), LOG), "continue 20, as committed");
        assert_eq!(told(last(false), None, LOG), "redo [10, 20) from 10");
    }

    #[test]
    fn only_the_hint_that_names_the_range_completed_stops_a_redo() {
        for hint in [(10, 0), (20, 0), (19, 10), (20, 11), (90, 20)] {
            assert_eq!(told(last(false), Some(hint), LOG), "redo [10, 20) from 10", "{hint:?}");
        }
    }

    #[test]
    fn a_log_that_does_not_reach_the_frontier_blocks() {
        assert_eq!(told(last(true), None, Log { start: 21, end: 100 }), "lost [20, 21)");
        assert_eq!(told(last(true), None, Log { start: 20, end: 20 }), "continue 20 Some(10)");
        assert_eq!(told(last(true), None, Log { start: 0, end: 19 }), "behind 20 19");
        assert_eq!(told(Last::Genesis(3), None, Log { start: 5, end: 9 }), "lost [3, 5)");
        assert_eq!(told(last(false), None, Log { start: 15, end: 100 }), "redo [10, 20) from 15");
        assert_eq!(told(last(false), None, Log { start: 20, end: 100 }), "unrepeatable");
        assert_eq!(told(last(false), None, Log { start: 0, end: 19 }), "behind 20 19");
    }
}
