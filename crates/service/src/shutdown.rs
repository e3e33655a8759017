//! A wish to stop, passed as a value to everything that runs.

use std::sync::Arc;

use tokio::sync::watch;

/// Cheap to clone; tokio tasks `wait`, threads ask whether it was `requested`.
#[derive(Debug, Clone)]
pub struct Shutdown {
    requested: Arc<watch::Sender<bool>>,
}

impl Shutdown {
    /// Not requested yet.
    #[must_use]
    pub fn new() -> Self {
        Self { requested: Arc::new(watch::Sender::new(false)) }
    }

    /// Asks everything that holds a clone to stop.
    pub fn request(&self) {
        self.requested.send_replace(true);
    }

    /// Whether to stop.
    #[must_use]
    pub fn requested(&self) -> bool {
        *self.requested.borrow()
    }

    /// Returns once it is requested.
    pub async fn wait(&self) {
        // The sender lives in `self`, so the channel cannot be closed.
        let _ = self.requested.subscribe().wait_for(|requested| *requested).await;
    }

    /// Requests it on SIGTERM or SIGINT; a second signal ends the process at once.
    pub(crate) async fn on_signals(self) -> std::io::Result<()> {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        loop {
            let name = tokio::select! {
                _ = terminate.recv() => "SIGTERM",
                _ = interrupt.recv() => "SIGINT",
            };
            if self.requested() {
                tracing::warn!(signal = name, "second signal: leaving at once");
                std::process::exit(1);
            }
            tracing::info!(signal = name, "stopping");
            self.request();
        }
    }
}

impl Default for Shutdown {
    fn default() -> Self {
        Self::new()
    }
}
