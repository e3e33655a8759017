//! All processes there are, for those who look while the stack is busy.

use std::sync::{Arc, Mutex, PoisonError};

use crate::process::Process;
use crate::status::Row;
use crate::watch::Watch;

/// Clones show the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board {
    watches: Arc<Mutex<Vec<Watch>>>,
}

impl Board {
    pub(crate) fn replace<'a>(&self, processes: impl IntoIterator<Item = &'a Process>) {
        let watches = processes.into_iter().map(|process| process.watch.clone()).collect();
        *self.watches.lock().unwrap_or_else(PoisonError::into_inner) = watches;
    }

    pub(crate) fn watches(&self) -> Vec<Watch> {
        self.watches.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Asks all processes, one after the other: each answers or refuses in a moment.
    pub(crate) async fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for watch in self.watches() {
            rows.push(watch.row().await);
        }
        rows
    }
}
