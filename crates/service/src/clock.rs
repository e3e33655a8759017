//! The only place that reads a clock. Cores take the time as an argument; shells take it from here.
#![expect(clippy::disallowed_methods, reason = "this is the clock that everything else is sent to")]

use std::time::{Instant, SystemTime, UNIX_EPOCH};

use model::EpochMillis;

/// The wall clock, for comparing with times of events and records.
#[must_use]
pub fn now() -> EpochMillis {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    EpochMillis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
}

/// The monotonic clock, for measuring durations and deadlines.
#[must_use]
pub fn monotonic() -> Instant {
    Instant::now()
}
