//! The rule as one would write it down first: one loop over the whole log.

use model::{EpochSeconds, Window};

use crate::Fate;
use crate::cluster::{FIRST_GRACE, MAX_FUTURE_SKEW};
use crate::log::{Log, Record};

const A_MINUTE: i64 = 60;

pub(crate) fn can_be_counted(record: &Record) -> bool {
    let limit = record.timestamp.0 / 1000 + MAX_FUTURE_SKEW + A_MINUTE;
    record.event_time.is_some_and(|event_time| event_time.0 <= limit)
}

/// What each record should come out as.
pub(crate) fn fates(log: &Log) -> Vec<(usize, Fate)> {
    let mut stream_time = i64::MIN;
    let mut fates = Vec::new();
    for (id, record) in log.surviving() {
        let fate = match record.event_time {
            Some(EpochSeconds(event_time)) if can_be_counted(&record) => {
                stream_time = stream_time.max(event_time.min(record.timestamp.0 / 1000));
                let end = Window::containing(EpochSeconds(event_time)).end().0;
                if end <= stream_time - FIRST_GRACE { Fate::Late } else { Fate::Counted }
            }
            _ => Fate::DeadLetter,
        };
        fates.push((id, fate));
    }
    fates
}
