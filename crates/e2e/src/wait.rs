//! Waiting for a condition, with a deadline.
#![expect(clippy::disallowed_methods, reason = "the one place where a test lets time pass")]

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(200);

/// Asks `holds` until it answers with a value, for at most `within`.
///
/// # Errors
/// What it answered last, when the time is over.
pub async fn eventually<T>(
    what: &str,
    within: Duration,
    holds: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    ask(what, within, PAUSE, holds).await
}

/// [`eventually`], for what lasts a moment only: asks again at once.
///
/// # Errors
/// What it answered last, when the time is over.
pub async fn at_some_moment<T>(
    what: &str,
    within: Duration,
    holds: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    ask(what, within, Duration::from_millis(1), holds).await
}

async fn ask<T>(
    what: &str,
    within: Duration,
    pause: Duration,
    mut holds: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + within;
    loop {
        let last = holds().await;
        match last {
            Ok(Some(value)) => return Ok(value),
            Ok(None) if Instant::now() > deadline => bail!("not within {within:?}: {what}"),
            Err(error) if Instant::now() > deadline => {
                return Err(error.context(format!("not within {within:?}: {what}")));
            }
            _ => tokio::time::sleep(pause).await,
        }
    }
}

/// Lets a fault last: there is no condition to wait for, the time is the test.
pub async fn for_a_while(time: Duration) {
    tokio::time::sleep(time).await;
}
