//! Waiting between attempts: exponential, with full jitter, up to a ceiling.
//!
//! "Full jitter" as in <https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/>: the wait is drawn
//! evenly from `[0, min(ceiling, base * 2^attempt)]`, so that many clients that failed together do not return together.

use std::time::Duration;

use rand::RngExt as _;

/// The waits of one operation that is tried again and again.
#[derive(Debug, Clone)]
pub struct Backoff {
    base: Duration,
    ceiling: Duration,
    attempt: u32,
}

impl Backoff {
    /// Waits of up to `base` after the first failure, twice that after the second, and so on up to `ceiling`.
    #[must_use]
    pub const fn new(base: Duration, ceiling: Duration) -> Self {
        Self { base, ceiling, attempt: 0 }
    }

    /// How long to wait before the next attempt.
    pub fn next_wait(&mut self) -> Duration {
        let longest = self.longest();
        self.attempt = self.attempt.saturating_add(1);
        longest.mul_f64(rand::rng().random::<f64>())
    }

    /// After a success: the next failure waits `base` again.
    pub const fn reset(&mut self) {
        self.attempt = 0;
    }

    /// How many waits were taken since the start or the last reset.
    #[must_use]
    pub const fn attempts(&self) -> u32 {
        self.attempt
    }

    fn longest(&self) -> Duration {
        let factor = 1_u32.checked_shl(self.attempt).unwrap_or(u32::MAX);
        self.base.saturating_mul(factor).min(self.ceiling)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_ceiling_and_start_over_after_a_reset() {
        let mut backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1));
        let longest: Vec<_> = (0..40)
            .map(|_| {
                let longest = backoff.longest();
                assert!(backoff.next_wait() <= longest);
                longest.as_millis()
            })
            .collect();
        assert_eq!(longest[..6], [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(longest[39], 1000);
        backoff.reset();
        assert_eq!(backoff.longest().as_millis(), 100);
    }
}
