//! One component of health that several writers report to: up when none has a reason to be down.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use service::Component;

use crate::Kind;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct SharedHealth {
    component: Component,
    reasons: Arc<Mutex<BTreeMap<Kind, String>>>,
}

impl SharedHealth {
    /// Reports to `component`; each of `writers` is down until it has reported.
    #[must_use]
    pub(crate) fn new(component: Component, writers: &[Kind]) -> Self {
        let reasons = writers.iter().map(|kind| (*kind, format!("writer {kind} is starting"))).collect();
        Self { component, reasons: Arc::new(Mutex::new(reasons)) }
    }

    /// The writer `kind` has this reason to be down, or none.
    pub(crate) fn set(&self, kind: Kind, reason: Option<String>) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => reasons.insert(kind, reason),
            None => reasons.remove(&kind),
        };
        if reasons.is_empty() {
            self.component.up();
        } else {
            self.component.down(reasons.values().cloned().collect::<Vec<_>>().join("; "));
        }
    }
}
