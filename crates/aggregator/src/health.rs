//! The component `kafka` of several threads: up when every one of them is.

use std::sync::{Arc, Mutex, PoisonError};

use service::{Component, Health};

/// What one thread tells about its connection to Kafka.
#[derive(Clone)]
pub(crate) struct ThreadHealth {
    thread: usize,
    all: Arc<Threads>,
}

struct Threads {
    component: Component,
    /// Why each thread is down.
    reasons: Mutex<Vec<Option<String>>>,
}

impl ThreadHealth {
    /// One for each of `threads` threads, all down.
    pub(crate) fn of_threads(health: &Health, threads: usize) -> Vec<Self> {
        let component = health.component("kafka");
        component.down("joining the group");
        let reasons = Mutex::new(vec![Some("joining the group".to_owned()); threads]);
        let all = Arc::new(Threads { component, reasons });
        (0..threads).map(|thread| Self { thread, all: Arc::clone(&all) }).collect()
    }

    pub(crate) fn up(&self) {
        self.set(None);
    }

    pub(crate) fn down(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    pub(crate) fn is_up(&self) -> bool {
        let reasons = self.all.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons[self.thread].is_none()
    }

    fn set(&self, reason: Option<String>) {
        let mut reasons = self.all.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        reasons[self.thread] = reason;
        match reasons.iter().flatten().next() {
            None => self.all.component.up(),
            Some(reason) => self.all.component.down(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_threads_must_be_up() {
        let health = Health::default();
        let threads = ThreadHealth::of_threads(&health, 2);
        threads[0].up();
        assert!(!health.readiness().up);
        threads[1].up();
        assert!(health.readiness().up);
        threads[0].down("no broker answers");
        assert!(health.readiness().json.contains("no broker answers"));
    }
}
