//! When each request is due, and which events it carries.

use std::time::Duration;

/// A stall longer than this is not made up for: a service that comes back is not met with all that it missed.
const CATCH_UP: Duration = Duration::from_secs(1);

/// Hands out requests to however many connections there are. Times count from the start of the load.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    batch: u64,
    /// Between two requests; zero is as fast as it goes.
    interval: Duration,
    duration: Duration,
    due: Duration,
    next: u64,
}

/// One request: the events `[first, first + count)`, to be sent at `due`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) first: u64,
    pub(super) count: u64,
    pub(super) due: Duration,
}

impl Pace {
    /// `rate` events a second, zero for as fast as it goes, `batch` a request, for `duration`.
    pub(super) fn new(rate: u64, batch: u64, duration: Duration) -> Self {
        // Rounded up: a second never holds more than `rate`.
        let interval = if rate == 0 { 0 } else { (batch * 1_000_000_000).div_ceil(rate) };
        let interval = Duration::from_nanos(interval);
        Self { batch, interval, duration, due: Duration::ZERO, next: 0 }
    }

    /// The next request, asked for at `now`; `None` when the load is over.
    pub(super) fn next(&mut self, now: Duration) -> Option<Request> {
        let earliest = if self.interval.is_zero() { now } else { now.saturating_sub(CATCH_UP) };
        let due = self.due.max(earliest);
        if due >= self.duration {
            return None;
        }
        let request = Request { first: self.next, count: self.batch, due };
        self.due = due + self.interval;
        self.next += self.batch;
        Some(request)
    }

    /// How many events were handed out.
    pub(super) const fn handed_out(&self) -> u64 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dues(pace: &mut Pace, now: f64, count: usize) -> Vec<f64> {
        let now = Duration::from_secs_f64(now);
        (0..count).map_while(|_| pace.next(now)).map(|request| request.due.as_secs_f64()).collect()
    }

    #[test]
    fn requests_are_evenly_spaced_and_end_with_the_duration() {
        let mut pace = Pace::new(200, 100, Duration::from_secs(2));
        assert_eq!(dues(&mut pace, 0.0, 9), [0.0, 0.5, 1.0, 1.5]);
        assert_eq!(pace.handed_out(), 400);
    }

    #[test]
    fn a_rate_that_does_not_divide_a_second_is_kept() {
        let mut pace = Pace::new(3000, 1, Duration::from_secs(1));
        let requests = std::iter::from_fn(|| pace.next(Duration::ZERO));
        assert_eq!(requests.count(), 3000);
    }

    #[test]
    fn events_are_handed_out_once_and_in_order() {
        let mut pace = Pace::new(0, 10, Duration::from_secs(1));
        let firsts: Vec<_> =
            (0..3).filter_map(|_| pace.next(Duration::ZERO)).map(|request| request.first).collect();
        assert_eq!(firsts, [0, 10, 20]);
    }

    #[test]
    fn a_short_stall_is_made_up_for_and_a_long_one_is_not() {
        let mut pace = Pace::new(200, 100, Duration::from_secs(60));
        assert_eq!(dues(&mut pace, 0.9, 3), [0.0, 0.5, 1.0]);
        assert_eq!(dues(&mut pace, 30.0, 3), [29.0, 29.5, 30.0]);
    }

    #[test]
    fn as_fast_as_it_goes_is_always_due_now() {
        let mut pace = Pace::new(0, 100, Duration::from_secs(5));
        assert_eq!(dues(&mut pace, 3.0, 2), [3.0, 3.0]);
        assert_eq!(pace.next(Duration::from_secs(5)), None);
    }
}
