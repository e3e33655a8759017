//! When a process that ended is started again.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(10);
/// A process that ran this long was healthy: its next end is a new story.
const FORGIVEN_AFTER: Duration = Duration::from_secs(10);
/// `EX_USAGE`: our services end so when their configuration is wrong. Starting again cannot help.
pub(crate) const WRONG_CONFIGURATION: i32 = 64;

/// Counts the ends of one process that came soon after its start.
#[derive(Debug, Default, Clone)]
pub(crate) struct Backoff {
    failures: u32,
}

/// What to do about a process that ended without being told to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    RestartAfter(Duration),
    GiveUp,
}

impl Backoff {
    /// `code` is the exit code, `None` when a signal ended it; `ran` is how long it had been running.
    pub(crate) fn after_exit(&mut self, code: Option<i32>, ran: Duration) -> Next {
        if code == Some(WRONG_CONFIGURATION) {
            return Next::GiveUp;
        }
        if ran >= FORGIVEN_AFTER {
            self.failures = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.failures.min(16)).min(LONGEST);
        self.failures += 1;
        Next::RestartAfter(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_a_limit() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..8).map(|_| backoff.after_exit(Some(1), Duration::ZERO)).collect();
        let expected = [200, 400, 800, 1600, 3200, 6400, 10_000, 10_000]
            .map(|ms| Next::RestartAfter(Duration::from_millis(ms)));
        assert_eq!(waits, expected);
    }

    #[test]
    fn a_long_run_starts_the_story_again() {
        let mut backoff = Backoff::default();
        backoff.after_exit(Some(1), Duration::ZERO);
        backoff.after_exit(None, Duration::ZERO);
        assert_eq!(backoff.after_exit(None, FORGIVEN_AFTER), Next::RestartAfter(FIRST));
    }

    #[test]
    fn wrong_configuration_is_final() {
        assert_eq!(Backoff::default().after_exit(Some(64), Duration::ZERO), Next::GiveUp);
    }
}
