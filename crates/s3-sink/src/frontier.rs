//! Where a partition goes on: decided from the ledger, whatever Kafka's committed offset says.

use std::fmt;

use crate::action::Loss;
use crate::checksum::Checksum;
use crate::encode;
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
        /// Where to read from: the frontier, or later if the log has nothing but control records in between.
        reads: i64,
        /// The start of the last range, all of whose objects were written; `None` if there is none yet.
        completed: Option<i64>,
        /// Whether the committed offset says the same; if not, lag monitors see a lag that is none.
        committed: bool,
        /// The last range, if nobody can write it any more.
        loss: Option<Loss>,
    },
    /// By listing `[from, to)` as lost: the log dropped it before it was written.
    Lost {
        /// The frontier.
        from: i64,
        /// The first offset that the log still has.
        to: i64,
        /// The last range, if nobody can write it any more.
        loss: Option<Loss>,
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
    /// Its records could not be encoded.
    #[error("{0}: a fault of this program; nothing is lost, the records are in Kafka")]
    Unencodable(encode::Error),
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
            Self::Lost { from, to, .. } => write!(f, "[{from}, {to}) left the log"),
            Self::Redo { entry, .. } => {
                write!(f, "[{}, {}) was fixed and not finished: it is written again", entry.start, entry.end)
            }
            Self::Blocked(reason) => write!(f, "{reason}"),
        }
    }
}

/// Decides. The rows, from the top:
///
/// | last in the ledger | objects | committed hint names it | the log has its end | |
/// | --- | --- | --- | --- | --- |
/// | genesis | | | | its start is the frontier |
/// | lost range | | | | its end is the frontier |
/// | range | all there | | | its end is the frontier |
/// | range | missing | as completed | | its end is the frontier: they were deleted on purpose |
/// | range | missing | no | yes | write it again |
/// | range | missing | no | dropped | its end is the frontier: they are lost, which is told |
/// | range | missing | no | not yet | the log lost its end: blocked |
///
/// | the log begins | and ends | committed hint | |
/// | --- | --- | --- | --- |
/// | at the frontier or before | there or later | | continue |
/// | later | there or later | names the range before, and reaches the log's start | continue: no record was in between |
/// | later | there or later | anything else | list the hole as lost, then continue |
/// | | before the frontier | | the log lost its end: blocked |
///
/// `log` has to be looked at *after* the ledger: a ledger that others go on writing may reach beyond an older log end.
#[must_use]
pub fn decide(last: Last, hint: Option<Hint>, log: Log) -> Found {
    let (from, completed, loss) = match last {
        Last::Genesis(start) => (start, None, None),
        Last::Entry { entry, complete } => {
            let lost = entry.content == Content::Lost;
            let deleted = hint.is_some_and(|hint| hint.completed(entry.start, entry.end));
            let settled = lost || complete || deleted;
            if !settled && log.start < entry.end {
                return redo(entry, log);
            }
            (entry.end, Some(entry.start), (!settled).then(|| Loss::unfinished(&entry)))
        }
    };
    if log.end < from {
        return Found::Blocked(Blocked::Behind { frontier: from, log_end: log.end });
    }
    let told = |offset| hint.is_some_and(|hint| completed.is_some_and(|start| hint.completed(start, offset)));
    let reads = from.max(log.start);
    if reads > from && !told(reads) {
        return Found::Lost { from, to: reads, loss };
    }
    Found::Continue { from, reads, completed, committed: told(reads), loss }
}

/// The log may have lost the beginning of the range where no record was: only reading it tells.
fn redo(entry: Entry, log: Log) -> Found {
    if log.end < entry.end {
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
        let recipe = Router::new(crate::Kind::Raw, crate::format::Format::NdjsonGz).recipe();
        Written { recipe, records: 0, first_timestamp: time, last_timestamp: time, objects: vec![] }
    }

    fn entry(content: Content) -> Entry {
        Entry { topic: "t".to_owned(), partition: 0, start: 10, end: 20, content }
    }

    fn told(last: Last, hint: Option<(i64, i64)>, log: Log) -> String {
        let hint = hint.map(|(committed, ledger)| Hint { committed, ledger });
        match decide(last, hint, log) {
            Found::Continue { from, reads, completed, committed, loss } => {
                let after = if reads > from { format!(" reading from {reads}") } else { String::new() };
                let loss = loss.map_or_else(String::new, |loss| format!(", {} lost", loss.offsets()));
                match committed {
                    true => format!("continue {from}{after}, as committed{loss}"),
                    false => format!("continue {from} {completed:?}{after}{loss}"),
                }
            }
            Found::Lost { from, to, loss } => {
                format!("lost [{from}, {to}){}", if loss.is_some() { " too" } else { "" })
            }
            Found::Redo { entry, from } => format!("redo [{}, {}) from {from}", entry.start, entry.end),
            Found::Blocked(Blocked::Behind { frontier, log_end }) => format!("behind {frontier} {log_end}"),
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
    fn a_log_that_has_lost_what_comes_next_is_told() {
        let later = Log { start: 21, end: 100 };
        assert_eq!(told(last(true), None, later), "lost [20, 21)");
        assert_eq!(told(last(true), Some((20, 10)), later), "lost [20, 21)");
        assert_eq!(told(last(true), Some((21, 0)), later), "lost [20, 21)");
        assert_eq!(
            told(last(true), Some((21, 10)), later),
            "continue 20 reading from 21, as committed",
            "whoever committed that had read it: a transaction's marker, say"
        );
        assert_eq!(told(Last::Genesis(3), None, Log { start: 5, end: 9 }), "lost [3, 5)");
    }

    #[test]
    fn a_range_that_nobody_can_write_any_more_is_given_up() {
        assert_eq!(told(last(false), None, Log { start: 19, end: 100 }), "redo [10, 20) from 19");
        assert_eq!(told(last(false), None, Log { start: 20, end: 100 }), "continue 20 Some(10), 10 lost");
        assert_eq!(told(last(false), None, Log { start: 25, end: 100 }), "lost [20, 25) too");
    }

    #[test]
    fn a_log_that_does_not_reach_the_frontier_blocks() {
        assert_eq!(told(last(true), None, Log { start: 20, end: 20 }), "continue 20 Some(10)");
        assert_eq!(told(last(true), None, Log { start: 0, end: 19 }), "behind 20 19");
        assert_eq!(told(last(false), None, Log { start: 15, end: 100 }), "redo [10, 20) from 15");
        assert_eq!(told(last(false), None, Log { start: 0, end: 19 }), "behind 20 19");
    }
}
