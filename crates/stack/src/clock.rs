//! The one place of this crate that waits, and that knows what time it is.

use std::time::Duration;

use tokio::time::Instant;

/// Asks `done` every `every` until it gives a value; `None` once `limit` has passed.
pub(crate) async fn poll<T>(
    limit: Duration,
    every: Duration,
    mut done: impl AsyncFnMut() -> Option<T>,
) -> Option<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = done().await {
            return Some(value);
        }
        if Instant::now() >= deadline {
            return None;
        }
        pause(every).await;
    }
}

/// [`poll`] for code that runs where no runtime does: a `Drop`.
#[allow(clippy::disallowed_methods, reason = "a poll with a bounded number of tries, outside any runtime")]
pub(crate) fn poll_blocking(tries: u32, every: Duration, mut done: impl FnMut() -> bool) -> bool {
    (0..tries).any(|_| {
        done() || {
            std::thread::sleep(every);
            false
        }
    })
}

/// The pause of a poll that has a deadline.
#[allow(
    clippy::disallowed_methods,
    reason = "the pause between two looks at a condition, bounded by its caller"
)]
pub async fn pause(every: Duration) {
    tokio::time::sleep(every).await;
}

/// The wall clock as it is written in the supervisor's log, in UTC.
pub(crate) fn timestamp() -> String {
    let now = time::OffsetDateTime::now_utc();
    let (hour, minute, second, milli) = now.time().as_hms_milli();
    format!("{}T{hour:02}:{minute:02}:{second:02}.{milli:03}Z", now.date())
}
