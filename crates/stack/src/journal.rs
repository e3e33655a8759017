//! What the stack does, as it does it: to a log file, and to whoever watches.

use std::fmt::Display;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::clock;
use crate::error::{Context, Result};

/// One line of the journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum Event {
    /// A step began.
    Began {
        /// Its name, for example `kafka`.
        step: String,
    },
    /// A step has got somewhere.
    Progress {
        /// Its name.
        step: String,
        /// Where it has got to.
        text: String,
    },
    /// A step is done.
    Done {
        /// Its name.
        step: String,
        /// What came of it.
        text: String,
        /// How long it took.
        took: Duration,
    },
    /// Something happened outside any step: a process was restarted, say.
    Said {
        /// What.
        text: String,
    },
}

type Watcher = Box<dyn FnMut(&Event) + Send>;

/// Writes events to a file and to one watcher. Clones share both.
#[derive(Clone)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
}

struct Inner {
    file: File,
    watcher: Option<Watcher>,
}

impl Journal {
    /// A journal that is appended to `path`.
    pub(crate) fn open(path: &Path) -> Result<Journal> {
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.context(|| format!("cannot write {}", path.display()))?;
        Ok(Journal { inner: Arc::new(Mutex::new(Inner { file, watcher: None })) })
    }

    /// From now on `watcher` sees every event, instead of the one before it.
    pub(crate) fn watch(&self, watcher: Option<Watcher>) {
        self.lock().watcher = watcher;
    }

    /// Notes something that belongs to no step.
    pub(crate) fn say(&self, text: impl Display) {
        self.record(Event::Said { text: text.to_string() });
    }

    /// Begins a step; it is over when [`Step::done`] is called, or failed when it is dropped before.
    pub(crate) fn step(&self, name: impl Display) -> Step {
        let step = Step { journal: self.clone(), name: name.to_string(), began: Instant::now() };
        self.record(Event::Began { step: step.name.clone() });
        step
    }

    fn record(&self, event: Event) {
        let line = match &event {
            Event::Began { step } => Some(format!("{step} ...")),
            // Tools have logs of their own.
            Event::Progress { .. } => None,
            Event::Done { step, text, took } => Some(format!("{step}: {text} ({:.1} s)", took.as_secs_f64())),
            Event::Said { text } => Some(text.clone()),
        };
        let mut inner = self.lock();
        if let Some(line) = line {
            // A full disk must not stop the supervisor.
            let _ = writeln!(inner.file, "{} {line}", clock::timestamp());
        }
        if let Some(watcher) = &mut inner.watcher {
            watcher(&event);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A step that has begun.
pub(crate) struct Step {
    journal: Journal,
    name: String,
    began: Instant,
}

impl Step {
    /// Says where the step has got to.
    pub(crate) fn progress(&self, text: impl Display) {
        self.journal.record(Event::Progress { step: self.name.clone(), text: text.to_string() });
    }

    /// Ends the step.
    pub(crate) fn done(self, text: impl Display) {
        let took = self.began.elapsed();
        self.journal.record(Event::Done { step: self.name, text: text.to_string(), took });
    }
}
