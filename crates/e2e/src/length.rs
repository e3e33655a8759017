//! How long a test goes on breaking things.

use std::time::Duration;

use anyhow::{Context, Result};

/// The variable that makes a test longer: `make soak` sets it.
const VARIABLE: &str = "E2E_SECONDS";

/// As long as the variable `E2E_SECONDS` says, or `usual`.
///
/// # Errors
/// When the variable is no number.
pub fn length(usual: Duration) -> Result<Duration> {
    match std::env::var(VARIABLE) {
        Ok(text) => {
            let seconds = text.parse().with_context(|| format!("{VARIABLE}={text} is no number"))?;
            Ok(Duration::from_secs(seconds))
        }
        Err(_) => Ok(usual),
    }
}
