//! Telling how far a long work is: a bar on a terminal, a line now and then elsewhere. On standard error, so that the
//! result on standard output can be piped.

use std::fmt::Display;
use std::io::IsTerminal as _;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use service::clock::monotonic;

/// Between two lines where there is no terminal.
const INTERVAL: Duration = Duration::from_secs(5);

tokio::task_local! {
    static SILENT: ();
}

/// Runs `work` without a word about how far it is: where somebody draws on the terminal, or looks again every minute.
pub async fn silently<T>(work: impl Future<Output = T>) -> T {
    SILENT.scope((), work).await
}

/// Tells the operator something on standard error.
pub(crate) fn say(words: impl Display) {
    if !is_silent() {
        eprintln!("{words}");
    }
}

fn is_silent() -> bool {
    SILENT.try_with(|()| ()).is_ok()
}

/// One piece of work. What it drew on a terminal is gone when it is dropped.
#[derive(Debug)]
pub struct Progress {
    bar: Option<ProgressBar>,
    next_line: Instant,
}

impl Progress {
    /// Work of `total` units; zero if that is not known.
    #[must_use]
    pub fn new(total: u64) -> Self {
        let style = if total == 0 { "{spinner} {elapsed} {msg}" } else { "{wide_bar} {percent:>3} %  {msg}" };
        let bar = (std::io::stderr().is_terminal() && !is_silent()).then(|| {
            let bar = if total == 0 { ProgressBar::new_spinner() } else { ProgressBar::new(total) };
            bar.with_style(
                ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()),
            )
        });
        Self { bar, next_line: monotonic() + INTERVAL }
    }

    /// `done` units are done; `message` says more.
    pub fn update(&mut self, done: u64, message: impl FnOnce() -> String) {
        if let Some(bar) = &self.bar {
            bar.set_message(message());
            bar.set_position(done);
        } else if monotonic() >= self.next_line {
            say(message());
            self.next_line = monotonic() + INTERVAL;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.iter().for_each(ProgressBar::finish_and_clear);
    }
}
