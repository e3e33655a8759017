//! Times that are over.

use std::time::SystemTime;

use anyhow::Result;
use model::{EpochSeconds, Window};

/// The window of so many minutes before this one. It closes as soon as time stands still, and not before something newer
/// is read in its partition.
///
/// # Errors
/// When the clock is before 1970.
#[expect(clippy::disallowed_methods, reason = "what is past, only the clock says")]
pub fn minutes_ago(minutes: i64) -> Result<Window> {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?;
    Ok(Window::containing(EpochSeconds(i64::try_from(now.as_secs())? - minutes * Window::SECONDS)))
}
