//! One request's events on their way to Kafka: a countdown that wakes the request once, and the bytes it may use.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use tokio::sync::Notify;

/// Bytes handed to librdkafka and not answered by Kafka, over all requests.
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
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0) })
    }

    /// Takes `bytes` if they fit.
    pub(crate) fn reserve(self: &Arc<Self>, bytes: u64) -> Option<Reservation> {
        let fits = |used: u64| used.checked_add(bytes).filter(|sum| *sum <= self.limit);
        self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits).ok()?;
        Some(Reservation { budget: Arc::clone(self), bytes })
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Ordering::Relaxed)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.used.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The events of one request, shared by their deliveries. It lives until Kafka has answered for the last of them, also
/// when nobody waits any more, and holds their bytes that long.
#[derive(Debug)]
pub(crate) struct Countdown {
    remaining: AtomicUsize,
    /// A bit an event: set once Kafka has it.
    stored: Box<[AtomicU64]>,
    events: usize,
    done: Notify,
    _bytes: Reservation,
}

/// One event of a request; made for each before it is handed over.
#[derive(Debug)]
pub(crate) struct Delivery {
    pub(crate) request: Arc<Countdown>,
    pub(crate) index: usize,
}

impl Countdown {
    pub(crate) fn new(events: usize, bytes: Reservation) -> Arc<Self> {
        let stored = (0..events.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
        Arc::new(Self {
            remaining: AtomicUsize::new(events),
            stored,
            events,
            done: Notify::new(),
            _bytes: bytes,
        })
    }

    /// Kafka has answered for event `index`, or will never be asked.
    pub(crate) fn settle(&self, index: usize, is_stored: bool) {
        if is_stored {
            self.stored[index / 64].fetch_or(1 << (index % 64), Ordering::Relaxed);
        }
        if self.remaining.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }

    /// Returns once all events are settled.
    pub(crate) async fn wait(&self) {
        while self.remaining.load(Ordering::Acquire) > 0 {
            self.done.notified().await;
        }
    }

    /// The events that Kafka is known to have, in order.
    pub(crate) fn stored(&self) -> Vec<usize> {
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
    fn the_budget_is_given_back_when_the_last_delivery_is_settled() {
        let budget = Budget::new(100);
        let request = Countdown::new(1, budget.reserve(60).unwrap());
        let delivery = Delivery { request: Arc::clone(&request), index: 0 };
        assert!(budget.reserve(41).is_none());
        drop(request);
        assert_eq!(budget.used(), 60, "an event in flight holds its bytes when nobody waits for it");
        delivery.request.settle(delivery.index, true);
        drop(delivery);
        assert_eq!(budget.used(), 0);
        assert!(budget.reserve(u64::MAX).is_none());
    }

    #[tokio::test]
    async fn a_request_wakes_when_all_its_events_are_settled_and_knows_which_are_stored() {
        let budget = Budget::new(1);
        let request = Countdown::new(130, budget.reserve(1).unwrap());
        let waiting = tokio::spawn({
            let request = Arc::clone(&request);
            async move { request.wait().await }
        });
        // The test's one thread: the waiting task has looked, and sleeps until it is woken.
        tokio::task::yield_now().await;
        for index in (0..130).rev() {
            assert!(!waiting.is_finished());
            request.settle(index, index != 65);
            tokio::task::yield_now().await;
        }
        waiting.await.unwrap();
        assert!(!request.all_stored());
        let stored = request.stored();
        assert_eq!(stored.len(), 129);
        assert!(!stored.contains(&65) && stored.contains(&129));
    }
}
