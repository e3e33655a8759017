//! Ctrl-C, and what a supervisor sends.

use service::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

/// The first signal asks everything that holds `shutdown` to come to its end; the second ends the process.
pub(crate) async fn request(shutdown: Shutdown) -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    loop {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        if shutdown.requested() {
            std::process::exit(service::exit::FAILED.into());
        }
        shutdown.request();
    }
}
