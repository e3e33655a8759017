//! Health in the shape of Spring Boot's actuator, so that probes written for it keep working.
//!
//! *Readiness* is UP when every component is; *liveness* depends on no other system: it goes down only when this
//! process cannot recover by itself. A component starts DOWN and is brought UP by whoever watches that dependency; a
//! process that has none yet is only starting. What was reported is true for a while: a component whose watcher has
//! fallen silent is DOWN, whatever it said last.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use metrics::gauge;
use serde::Serialize;

use crate::clock::monotonic;
use crate::metrics::COMPONENT_UP;

/// The health of this process, cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Health {
    state: Arc<Mutex<State>>,
}

/// One dependency of this process, such as `kafka`, or one of several watchers' share in it.
#[derive(Debug, Clone)]
pub struct Component {
    name: &'static str,
    /// Empty where there is one watcher.
    watcher: String,
    health: Health,
}

#[derive(Debug, Default)]
struct State {
    components: BTreeMap<&'static str, Watched>,
    broken: Option<String>,
    stopping: bool,
}

/// A component, as each of its watchers has reported it last.
#[derive(Debug, Default)]
struct Watched {
    reports: BTreeMap<String, Reported>,
    good_for: Option<Duration>,
}

#[derive(Debug)]
struct Reported {
    /// Why the component is down; `None` is up.
    error: Option<String>,
    at: Instant,
    details: BTreeMap<&'static str, Detail>,
}

#[derive(Debug, Clone, Copy)]
enum Detail {
    Number(u64),
    Since(Instant),
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
    components: BTreeMap<&'a str, Part>,
    #[serde(skip_serializing_if = "<[&str]>::is_empty")]
    groups: &'static [&'static str],
}

#[derive(Serialize)]
struct Part {
    status: &'static str,
    #[serde(skip_serializing_if = "Details::is_empty")]
    details: Details,
}

#[derive(Default, Serialize)]
struct Details {
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    numbers: BTreeMap<&'static str, u64>,
}

impl Health {
    /// Adds the dependency `name`, DOWN until told otherwise.
    #[must_use]
    pub fn component(&self, name: &'static str) -> Component {
        let component = Component { name, watcher: String::new(), health: self.clone() };
        let mut state = self.lock();
        let watched = state.components.entry(name).or_default();
        if watched.reports.is_empty() {
            watched.reports.insert(String::new(), Reported::down("starting"));
        }
        drop(state);
        component
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
        let part = Part::new(self.lock().broken.clone(), "DOWN");
        Body { status: part.status, components: BTreeMap::from([("livenessState", part)]), groups: &[] }
            .report()
    }

    /// `/actuator/health/readiness`.
    #[must_use]
    pub fn readiness(&self) -> Report {
        self.lock().body(&[], monotonic()).report()
    }

    /// `/actuator/health`.
    #[must_use]
    pub fn overall(&self) -> Report {
        self.lock().body(&["liveness", "readiness"], monotonic()).report()
    }

    /// Shows each component as a metric, as it is now.
    pub(crate) fn record(&self) {
        let now = monotonic();
        for (name, watched) in &self.lock().components {
            gauge!(COMPONENT_UP.name, "component" => *name).set(f64::from(watched.error(now).is_none()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Component {
    /// What is reported from now on is true for `limit`: the component is DOWN where no report follows in that time.
    #[must_use]
    pub fn good_for(self, limit: Duration) -> Self {
        self.health.lock().components.entry(self.name).or_default().good_for = Some(limit);
        self
    }

    /// Shares the component among `watchers`: it is UP when every one of them says so. Until it has reported, each is
    /// down for `reason`.
    #[must_use]
    pub fn split<'a>(self, watchers: impl IntoIterator<Item = &'a str>, reason: &str) -> Vec<Self> {
        let mut state = self.health.lock();
        let reports = &mut state.components.entry(self.name).or_default().reports;
        reports.clear();
        let watchers = watchers.into_iter().map(|watcher| {
            reports.insert(watcher.to_owned(), Reported::down(reason));
            Self { watcher: watcher.to_owned(), ..self.clone() }
        });
        watchers.collect()
    }

    /// The dependency works.
    pub fn up(&self) {
        self.report(None);
    }

    /// The dependency does not work; `reason` says why, and what to do where that is known.
    pub fn down(&self, reason: impl Into<String>) {
        self.report(Some(reason.into()));
    }

    /// What was reported last is as true as it was.
    pub fn confirm(&self) {
        self.with(|report| report.at = monotonic());
    }

    /// Whether this watcher has reported it as up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.with(|report| report.error.is_none())
    }

    /// Says a number about the component; those of several watchers add up.
    pub fn detail(&self, name: &'static str, value: u64) {
        self.with(|report| report.details.insert(name, Detail::Number(value)));
    }

    /// Says since when something is so: shown in seconds, of the watcher where it is the longest.
    pub fn detail_since(&self, name: &'static str, since: Instant) {
        self.with(|report| report.details.insert(name, Detail::Since(since)));
    }

    fn report(&self, error: Option<String>) {
        let (before, now) = self.with(|report| {
            report.at = monotonic();
            (std::mem::replace(&mut report.error, error.clone()), error)
        });
        let (component, watcher) = (self.name, self.watcher.as_str());
        // Changes are logged here, once, and not by everyone who reports. To be down is news for one that was up only.
        match (before, now) {
            (Some(_), None) => tracing::info!(component, watcher, "up"),
            (None, Some(reason)) => tracing::warn!(component, watcher, reason, "down"),
            (Some(before), Some(reason)) if before != reason => {
                tracing::info!(component, watcher, reason, "still down");
            }
            _ => {}
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Reported) -> T) -> T {
        let mut state = self.health.lock();
        let reports = &mut state.components.entry(self.name).or_default().reports;
        act(reports.entry(self.watcher.clone()).or_insert_with(|| Reported::down("starting")))
    }
}

impl Reported {
    fn down(reason: &str) -> Self {
        Self { error: Some(reason.to_owned()), at: monotonic(), details: BTreeMap::new() }
    }
}

impl Watched {
    /// Why the component is down at `now`: each reason once, with the watchers that have it.
    fn error(&self, now: Instant) -> Option<String> {
        let mut watchers: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (watcher, report) in &self.reports {
            if let Some(reason) = report.error_at(now, self.good_for) {
                watchers.entry(reason).or_default().push(watcher);
            }
        }
        let parts = watchers.into_iter().map(|(reason, watchers)| match watchers.join(", ") {
            names if names.is_empty() => reason,
            names => format!("{reason} ({names})"),
        });
        let parts: Vec<_> = parts.collect();
        (!parts.is_empty()).then(|| parts.join("; "))
    }

    fn part(&self, now: Instant) -> Part {
        let mut part = Part::new(self.error(now), "DOWN");
        for (name, detail) in self.reports.values().flat_map(|report| &report.details) {
            let number = part.details.numbers.entry(name).or_default();
            match detail {
                Detail::Number(value) => *number += value,
                Detail::Since(since) => {
                    *number = now.saturating_duration_since(*since).as_secs().max(*number)
                }
            }
        }
        part
    }
}

impl Reported {
    fn error_at(&self, now: Instant, good_for: Option<Duration>) -> Option<String> {
        let age = now.saturating_duration_since(self.at);
        if good_for.is_none_or(|limit| age <= limit) {
            return self.error.clone();
        }
        let before = self.error.as_deref().unwrap_or("up");
        Some(format!("nothing was heard for {} s; before that: {before}", age.as_secs()))
    }
}

impl State {
    fn body(&self, groups: &'static [&'static str], now: Instant) -> Body<'_> {
        let mut components: BTreeMap<&str, Part> =
            self.components.iter().map(|(name, watched)| (*name, watched.part(now))).collect();
        if let Some(reason) = &self.broken {
            components.insert("livenessState", Part::new(Some(reason.clone()), "DOWN"));
        }
        let not_serving = match (self.stopping, self.components.is_empty()) {
            (true, _) => Some("stopping".to_owned()),
            (false, true) => Some("starting".to_owned()),
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

impl Details {
    fn is_empty(&self) -> bool {
        self.error.is_none() && self.numbers.is_empty()
    }
}

impl Part {
    /// Of `status` if there is an error, else UP.
    fn new(error: Option<String>, status: &'static str) -> Self {
        let status = if error.is_some() { status } else { "UP" };
        Self { status, details: Details { error, ..Details::default() } }
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
#[path = "health_tests.rs"]
mod tests;
