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
    /// Reports to `component`; each of `writers` is down for `reason` until it has reported.
    #[must_use]
    pub(crate) fn new(component: Component, writers: &[Kind], reason: &str) -> Self {
        let reasons = writers.iter().map(|kind| (*kind, reason.to_owned())).collect();
        Self { component, reasons: Arc::new(Mutex::new(reasons)) }
    }

    /// The writer `kind` has this reason to be down, or none.
    pub(crate) fn set(&self, kind: Kind, reason: Option<String>) {
        let mut reasons = self.reasons.lock().unwrap_or_else(PoisonError::into_inner);
        match reason {
            Some(reason) => reasons.insert(kind, reason),
            None => reasons.remove(&kind),
        };
        if reasons.is_empty() { self.component.up() } else { self.component.down(summary(&reasons)) }
    }
}

/// Each reason once, with the writers that have it.
fn summary(reasons: &BTreeMap<Kind, String>) -> String {
    let mut writers: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (kind, reason) in reasons {
        writers.entry(reason).or_default().push(kind.name());
    }
    let parts: Vec<_> =
        writers.iter().map(|(reason, kinds)| format!("{reason} ({})", kinds.join(", "))).collect();
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use service::Health;

    use super::*;

    #[test]
    fn it_is_up_once_every_writer_is() {
        let health = Health::default();
        let shared = SharedHealth::new(health.component("kafka"), &[Kind::Raw, Kind::Late], "not joined");
        shared.set(Kind::Raw, Some("not joined".to_owned()));
        assert!(health.readiness().json.contains("not joined (raw, late)"), "{}", health.readiness().json);
        shared.set(Kind::Raw, None);
        assert!(!health.readiness().up);
        shared.set(Kind::Late, None);
        assert!(health.readiness().up);
        shared.set(Kind::Raw, Some("no broker answers".to_owned()));
        assert!(!health.readiness().up);
    }
}
