//! One request's events on their way to Kafka: a countdown that wakes the request once, and the bytes it may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes held for requests, over all of them, and the most that may be.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

/// Bytes taken from the budget, given back on drop.
#[derive(Debug)]
pub(crate) struct Reservation {
    budget: Arc<Budget>,
    bytes: u64,
    /// What it leaves to others.
    left: u64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0) })
    }

    /// Takes `bytes` if they fit.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let mut reservation = self.leaving(0);
        reservation.grow(bytes).then_some(reservation)
    }

    /// Takes nothing yet, and never the last `left` bytes.
    pub(crate) fn leaving(self: &Arc<Self>, left: u64) -> Reservation {
        Reservation { budget: Arc::clone(self), bytes: 0, left }
    }

    pub(crate) const fn limit(&self) -> u64 {
        self.limit
    }

    /// Whether more than half of it is taken.
    pub(crate) fn is_scarce(&self) -> bool {
        self.used() > self.limit / 2
    }

    /// Whether `bytes` would fit now.
    pub(crate) fn has_room(&self, bytes: u64) -> bool {
        self.used().checked_add(bytes).is_some_and(|sum| sum <= self.limit)
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Reservation {
    /// Takes `bytes` more, if they fit.
    pub(crate) fn grow(&mut self, bytes: u64) -> bool {
        let most = self.budget.limit.saturating_sub(self.left);
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= most);
        let grown = self.budget.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).is_ok();
        self.bytes += if grown { bytes } else { 0 };
        grown
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The events of one request that Kafka has not answered for. It holds their bytes until it has, also when nobody waits
/// any more.
#[derive(Debug)]
pub(crate) struct Countdown {
    remaining: AtomicUsize,
    /// A bit an event: set once Kafka has it.
    stored: Box<[AtomicU64]>,
    events: usize,
    done: Notify,
    _bytes: Reservation,
}

impl Countdown {
    pub(crate) fn new(events: usize, bytes: Reservation) -> Self {
        let stored = (0..events.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Self { remaining: AtomicUsize::new(events), stored, events, done: Notify::new(), _bytes: bytes }
    }

    /// Kafka has answered for event `index`, or will never be asked. Returns whether it was the last one.
    pub(crate) fn settle(&self, index: usize, is_stored: bool) -> bool {
        if is_stored {
            self.stored[index / 64].fetch_or(1 << (index % 64), Ordering::Relaxed);
        }
        let is_last = self.remaining.fetch_sub(1, Ordering::AcqRel) == 1;
        if is_last {
            self.done.notify_one();
        }
        is_last
    }

    /// Returns once all events are settled.
    pub(crate) async fn wait(&self) {
        while self.remaining.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }

    /// The events that Kafka is known to have, in order.
    pub(crate) fn stored(&self) -> Box<[usize]> {
        let is_stored =
            |index: &usize| self.stored[index / 64].load(Ordering::Relaxed) & (1 << (index % 64)) != 0;
        (0..self.events).filter(is_stored).collect()
    }

    /// Whether Kafka has all of them.
    pub(crate) fn all_stored(&self) -> bool {
        let bits: u32 = self.stored.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum();
        bits as usize == self.events
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_never_overdrawn_and_given_back() {
        let budget = Budget::new(100);
        let mut first = budget.reserve(60).unwrap();
        assert!(budget.reserve(41).is_none() && budget.reserve(u64::MAX).is_none());
        assert!(first.grow(40) && !first.grow(1));
        assert!(!budget.has_room(1) && budget.is_scarce());
        drop(first);
        let mut modest = budget.leaving(50);
        assert!(modest.grow(50) && !modest.grow(1) && !budget.is_scarce());
        assert!(budget.reserve(50).is_some());
        drop(modest);
        assert_eq!(budget.used(), 0);
    }

    #[tokio::test]
    async fn a_request_wakes_when_all_its_events_are_settled_and_knows_which_are_stored() {
        let budget = Budget::new(1);
        let request = Arc::new(Countdown::new(130, budget.reserve(1).unwrap()));
        let waiting = tokio::spawn({
            let request = Arc::clone(&request);
            async move { request.wait().await }
        });
        // The test's one thread: the waiting task has looked, and sleeps until it is woken.
        tokio::task::yield_now().await;
        for index in (0..130).rev() {
            assert!(!waiting.is_finished());
            assert_eq!(request.settle(index, index != 65), index == 0);
            tokio::task::yield_now().await;
        }
        waiting.await.unwrap();
        assert!(!request.all_stored());
        let stored = request.stored();
        assert_eq!(stored.len(), 129);
        assert!(!stored.contains(&65) && stored.contains(&129));
    }
}
