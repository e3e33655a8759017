//! A look at one process from outside: how it is, and whether it is ready.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::{Error, Result};
use crate::status::Row;
use crate::{Ports, clock, health, home, kafka_probe, ministack};

/// How often a process that is not ready is asked again.
const EVERY: Duration = Duration::from_millis(100);
/// A process that ends this often while it is waited for will not become ready.
const ENDS_UNTIL_GIVING_UP: u32 = 5;
const TAIL_LINES: usize = 12;

/// What its keeper says of a process.
#[derive(Debug, Clone)]
pub(crate) struct State {
    pub(crate) phase: Phase,
    /// How often it ended without being told to.
    pub(crate) crashes: u32,
}

#[derive(Debug, Clone)]
pub(crate) enum Phase {
    Running {
        pid: u32,
        since: Instant,
    },
    /// Ended by itself; it is started again soon. The text says how it ended.
    Waiting(String),
    /// Ended, and stays so. The text says why.
    GaveUp(String),
    /// Told to stop, or not started yet.
    Stopped,
}

/// How to ask a process whether it is ready.
#[derive(Debug, Clone)]
pub(crate) enum Probe {
    /// A broker of so many.
    Kafka(usize),
    S3(Ports),
    /// One of our services.
    Readiness,
    /// The page is served: all else is what it shows.
    Dashboard,
}

/// One process, as others see it. Clones look at the same one.
#[derive(Debug, Clone)]
pub(crate) struct Watch {
    /// For example `aggregator-1`: also the name of its log.
    pub(crate) name: String,
    /// The port that its probe asks.
    pub(crate) port: u16,
    pub(crate) probe: Probe,
    pub(crate) log: PathBuf,
    pub(crate) state: watch::Receiver<State>,
}

impl Watch {
    pub(crate) fn state(&self) -> State {
        self.state.borrow().clone()
    }

    pub(crate) fn pid(&self) -> Option<u32> {
        match self.state.borrow().phase {
            Phase::Running { pid, .. } => Some(pid),
            _ => None,
        }
    }

    /// Waits until the process with this pid has ended and its keeper knows.
    pub(crate) async fn gone(&self, pid: u32) {
        let mut state = self.state.clone();
        let other = |state: &State| !matches!(state.phase, Phase::Running { pid: now, .. } if now == pid);
        // An error means that the keeper has ended, and its process with it.
        let _ = state.wait_for(other).await;
    }

    /// `Err` says why it is not ready.
    pub(crate) async fn ask(&self) -> std::result::Result<(), String> {
        match self.state().phase {
            Phase::Running { .. } => match &self.probe {
                Probe::Kafka(brokers) => kafka_probe::answers(self.port, *brokers).await,
                Probe::S3(ports) => ministack::answers(ports).await,
                Probe::Readiness => health::ready(self.port, "/actuator/health/readiness").await,
                Probe::Dashboard => health::ready(self.port, "/healthz").await,
            },
            Phase::Waiting(how) => Err(format!("{how}, starts again soon")),
            Phase::GaveUp(why) => Err(why),
            Phase::Stopped => Err("stopped".into()),
        }
    }

    /// Waits until it is ready. Ends early when waiting is in vain.
    pub(crate) async fn ready(&self, limit: Duration) -> Result<()> {
        let before = self.state().crashes;
        let mut reason = String::new();
        let ready = clock::poll(limit, EVERY, async || {
            match self.ask().await {
                Ok(()) => return Some(true),
                Err(why) => reason = why,
            }
            let state = self.state();
            let in_vain = matches!(state.phase, Phase::GaveUp(_) | Phase::Stopped)
                || state.crashes - before >= ENDS_UNTIL_GIVING_UP;
            in_vain.then_some(false)
        })
        .await;
        match ready {
            Some(true) => Ok(()),
            Some(false) => Err(self.not_ready(reason)),
            None => Err(self.not_ready(format!("{reason} (after {} s)", limit.as_secs()))),
        }
    }

    fn not_ready(&self, reason: String) -> Error {
        let tail = home::tail(&self.log, TAIL_LINES);
        Error::NotReady { name: self.name.clone(), reason, log: self.log.clone(), tail }
    }

    pub(crate) async fn row(&self) -> Row {
        let state = self.state();
        let (pid, uptime) = match state.phase {
            Phase::Running { pid, since } => (Some(pid), Some(since.elapsed())),
            _ => (None, None),
        };
        Row {
            name: self.name.clone(),
            pid,
            uptime,
            restarts: state.crashes,
            not_ready: self.ask().await.err(),
            port: self.port,
        }
    }
}
