//! Health in the shape of Spring Boot's actuator, so that probes written for it keep working.
//!
//! *Readiness* is UP when every component is; *liveness* depends on no other system: it goes down only when this
//! process cannot recover by itself. A component starts DOWN and is brought UP by whoever watches that dependency; a
//! process that has none yet is only starting.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::Serialize;

/// The health of this process, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

/// One dependency of this process, such as `kafka`.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    health: Health,
}

#[derive(Debug, Default)]
struct State {
    /// Why a component is down; `None` is up.
    components: BTreeMap<&'static str, Option<String>>,
    broken: Option<String>,
    stopping: bool,
}

/// What a probe is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// Whether the probe succeeds: 200 if so, else 503.
    pub up: bool,
    /// The body.
    pub json: String,
}

#[derive(Serialize)]
struct Body<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    components: BTreeMap<&'a str, Part<'a>>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    groups: &'static [&'static str],
}

#[derive(Serialize)]
struct Part<'a> {
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    details: Option<Details<'a>>,
}

#[derive(Serialize)]
struct Details<'a> {
    error: &'a str,
}

impl Health {
    /// Adds the dependency `name`, DOWN until told otherwise.
    #[must_use]
    pub fn component(&self, name: &'static str) -> Component {
        self.lock().components.entry(name).or_insert_with(|| Some("starting".to_owned()));
        Component { name, health: self.clone() }
    }

    /// Liveness is lost for good: only a restart helps.
    pub fn broken(&self, reason: impl Into<String>) {
        self.lock().broken.get_or_insert_with(|| reason.into());
    }

    /// Readiness goes down because the process is about to leave.
    pub fn stopping(&self) {
        self.lock().stopping = true;
    }

    /// `/actuator/health/liveness`.
    #[must_use]
    pub fn liveness(&self) -> Report {
        let state = self.lock();
        let part = Part::new(state.broken.as_deref(), "DOWN");
        Body { status: part.status, components: BTreeMap::from([("livenessState", part)]), groups: &[] }
            .report()
    }

    /// `/actuator/health/readiness`.
    #[must_use]
    pub fn readiness(&self) -> Report {
        self.lock().body(&[]).report()
    }

    /// `/actuator/health`.
    #[must_use]
    pub fn overall(&self) -> Report {
        self.lock().body(&["liveness", "readiness"]).report()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// The dependency works.
    pub fn up(&self) {
        self.set(None);
    }

    /// The dependency does not work; `reason` says why, and what to do where that is known.
    pub fn down(&self, reason: impl Into<String>) {
        self.set(Some(reason.into()));
    }

    fn set(&self, error: Option<String>) {
        let mut state = self.health.lock();
        let before = state.components.insert(self.name, error);
        let now = &state.components[self.name];
        // Changes are logged here, once, and not by everyone who reports. To be down is news for one that was up only.
        match (before.flatten(), now) {
            (Some(_), None) => tracing::info!(component = self.name, "up"),
            (None, Some(reason)) => tracing::warn!(component = self.name, reason = reason.as_str(), "down"),
            (Some(before), Some(reason)) if before != *reason => {
                tracing::info!(component = self.name, reason = reason.as_str(), "still down");
            }
            _ => {}
        }
    }
}

impl State {
    fn body(&self, groups: &'static [&'static str]) -> Body<'_> {
        let mut components: BTreeMap<&str, Part<'_>> = self
            .components
            .iter()
            .map(|(name, error)| (*name, Part::new(error.as_deref(), "DOWN")))
            .collect();
        if let Some(reason) = &self.broken {
            components.insert("livenessState", Part::new(Some(reason), "DOWN"));
        }
        let not_serving = match (self.stopping, self.components.is_empty()) {
            (true, _) => Some("stopping"),
            (false, true) => Some("starting"),
            (false, false) => None,
        };
        components.insert("readinessState", Part::new(not_serving, "OUT_OF_SERVICE"));
        let status = ["DOWN", "OUT_OF_SERVICE"]
            .into_iter()
            .find(|status| components.values().any(|part| part.status == *status))
            .unwrap_or("UP");
        Body { status, components, groups }
    }
}

impl<'a> Part<'a> {
    fn new(error: Option<&'a str>, status: &'static str) -> Self {
        match error {
            None => Self { status: "UP", details: None },
            Some(error) => Self { status, details: Some(Details { error }) },
        }
    }
}

impl Body<'_> {
    fn report(&self) -> Report {
        let json = serde_json::to_string(self)
            .unwrap_or_else(|error| format!("{{\"error\":{:?}}}", error.to_string()));
        Report { up: self.status == "UP", json }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_starting_without_a_component_and_a_component_is_down_until_it_is_up() {
        let health = Health::default();
        assert!(health.readiness().json.starts_with(r#"{"status":"OUT_OF_SERVICE""#));
        assert!(!health.readiness().up && health.liveness().up);
        let kafka = health.component("kafka");
        assert!(!health.readiness().up);
        assert!(health.liveness().up);
        kafka.up();
        assert_eq!(
            health.overall().json,
            r#"{"status":"UP","components":{"kafka":{"status":"UP"},"readinessState":{"status":"UP"}},"groups":["liveness","readiness"]}"#
        );
        kafka.down("no broker answers");
        let report = health.readiness();
        assert!(
            !report.up && report.json.contains(r#""details":{"error":"no broker answers"}"#),
            "{}",
            report.json
        );
    }

    #[test]
    fn stopping_takes_readiness_and_leaves_liveness() {
        let health = Health::default();
        health.component("kafka").up();
        health.stopping();
        assert!(health.readiness().json.starts_with(r#"{"status":"OUT_OF_SERVICE""#));
        assert!(health.liveness().up);
    }

    #[test]
    fn what_is_broken_stays_broken_and_keeps_its_first_reason() {
        let health = Health::default();
        health.broken("fenced");
        health.broken("another");
        assert!(health.liveness().json.contains("fenced") && !health.liveness().up && !health.readiness().up);
    }
}
