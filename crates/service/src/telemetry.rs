//! Log lines: readable on a terminal, JSON otherwise. `RUST_LOG` chooses what is shown, `info` by default.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging to standard output.
pub(crate) fn start() {
    let filter = EnvFilter::builder().with_default_directive(tracing::Level::INFO.into()).from_env_lossy();
    let lines = tracing_subscriber::fmt().with_env_filter(filter);
    let on_terminal = std::io::stdout().is_terminal();
    let started = if on_terminal {
        lines.compact().try_init()
    } else {
        lines.json().flatten_event(true).with_current_span(false).with_span_list(false).try_init()
    };
    if let Err(error) = started {
        eprintln!("cannot start logging: {error}");
    }
}
