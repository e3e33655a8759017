//! The rule as one would write it down first: one loop over the whole log.

use std::collections::BTreeSet;

use model::{EpochSeconds, Window};

use crate::cluster::{FIRST_GRACE, MAX_FUTURE_SKEW};
use crate::log::{Log, Record};
use crate::outcome::Fate;

const A_MINUTE: i64 = 60;

fn can_be_counted(record: &Record) -> bool {
    let limit = record.timestamp.0 / 1000 + MAX_FUTURE_SKEW + A_MINUTE;
    record.event_time.is_some_and(|event_time| event_time.0 <= limit)
}

/// What each record should come out as.
pub(crate) fn fates(log: &Log) -> Vec<(Record, Fate)> {
    let mut stream_time = i64::MIN;
    let mut seen = BTreeSet::new();
    let mut fates = Vec::new();
    for record in log.surviving() {
        let fate = match record.event_time {
            Some(EpochSeconds(event_time)) if can_be_counted(&record) => {
                stream_time = stream_time.max(event_time.min(record.timestamp.0 / 1000));
                let window = Window::containing(EpochSeconds(event_time));
                if window.end().0 <= stream_time - FIRST_GRACE {
                    Fate::Late
                } else if record.event_id.is_none_or(|id| seen.insert((window, id))) {
                    Fate::Counted
                } else {
                    Fate::Repeat
                }
            }
            _ => Fate::DeadLetter,
        };
        fates.push((record, fate));
    }
    fates
}
